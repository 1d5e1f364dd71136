// Everybody, and whom one looks for.

import { useEffect, useState } from 'react';
import { useList, useSend, useSettled } from '../api/query.ts';
import type { User } from '../api/types.ts';
import { Ago, Button, Empty, Failure, Form, FormError, Head, Link, Loading, Modal, State, TextField } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { t } from '../words/words.ts';

export default function Users() {
  const [q, setQ] = useState('');
  const [status, setStatus] = useState('');
  const [adding, setAdding] = useState(false);
  const [entered, setEntered] = useState(''); // what Enter was pressed on: the only one whom it finds is opened
  const asked = useSettled(q);
  const list = useList<User>('/users', { q: asked, status });
  const [only] = list.items;
  useEffect(() => {
    if (!entered || entered !== asked || list.pending || list.fetching) return;
    setEntered('');
    if (only && list.items.length === 1) go(`/users/${only.id}`);
  }, [entered, asked, list.pending, list.fetching, list.items.length, only]);
  const adds = useMine().can('POST /users');
  const add = adds && <Button look="primary" onClick={() => setAdding(true)}>{t('Add a user')}</Button>;
  return (
    <>
      <Head title={t('Users')}>{add}</Head>
      <div className="filters" role="search">
        <label>{t('Search')}<input type="search" value={q} placeholder={t('E-mail, phone, name or id')} onChange={(e) => { setQ(e.target.value); setEntered(''); }} onKeyDown={(e) => { if (e.key === 'Enter') setEntered(q); }} /></label>
        <label>{t('State')}<select value={status} onChange={(e) => setStatus(e.target.value)}><option value="">{t('All')}</option><option value="active">{t('Active')}</option><option value="suspended">{t('Suspended')}</option></select></label>
      </div>
      <Failure error={list.error} again={() => void list.refetch()} />
      {list.pending ? <Loading what={t('Loading users…')} /> : list.items.length === 0 ? !list.error && (
        q || status ? <Empty title={t('Nobody fits')}>{t('Search by the beginning of an e-mail address, a phone number, a username, an external id or our own id.')}</Empty>
          : <Empty title={t('Nobody has signed up yet')}>{t('Users appear here when they register, or when you add them.')}</Empty>
      ) : (
        <Table<User> name={t('Users')} rows={list.items} id={(u) => u.id} open={(u) => go(`/users/${u.id}`)} more={list.more} next={list.next} fetching={list.fetching}
          columns={[
            { head: t('Name'), wide: true, cell: (u) => <Link to={`/users/${u.id}`}>{u.name || u.id}</Link> },
            { head: t('Other names'), wide: true, hide: true, cell: (u) => u.identifiers.map((i) => i.value).filter((v) => v !== u.name).join(', ') },
            { head: t('State'), cell: (u) => <State is={u.status === 'active' ? 'yes' : 'no'}>{u.status === 'active' ? t('Active') : t('Suspended')}</State> },
            { head: t('Added'), hide: true, cell: (u) => <Ago at={u.created_at} /> },
          ]} />
      )}
      <Modal title={t('Add a user')} open={adding} onClose={() => leave(() => setAdding(false))}>{adding && <AddUser close={() => leave(() => setAdding(false))} />}</Modal>
    </>
  );
}

function AddUser({ close }: { close: () => void }) {
  const [doc, setDoc] = useState({ email: '', phone_number: '', username: '', external_user_id: '' });
  const send = useSend<User>('/users');
  const release = useUnsaved(Object.values(doc).some((v) => v !== ''));
  const add = async () => {
    const body = Object.fromEntries(Object.entries(doc).filter(([, v]) => v !== ''));
    const { value } = await send.mutateAsync({ method: 'POST', path: '/users', body });
    release();
    close();
    go(`/users/${value.id}`);
  };
  const set = (k: keyof typeof doc) => (v: string) => setDoc({ ...doc, [k]: v });
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
      <p className="help">{t('One of these is enough. What you give is not verified yet.')}</p>
      <TextField at="email" label={t('E-mail address')} type="email" value={doc.email} onChange={set('email')} autoFocus />
      <TextField at="phone_number" label={t('Phone number')} value={doc.phone_number} onChange={set('phone_number')} help={t('With the country code: +49…')} />
      <TextField at="username" label={t('Username')} value={doc.username} onChange={set('username')} />
      <TextField at="external_user_id" label={t('External id')} value={doc.external_user_id} onChange={set('external_user_id')} />
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={Object.values(doc).every((v) => v === '') && t('Nothing is filled in yet.')}>{t('Add')}</Button></div>
    </Form>
  );
}
