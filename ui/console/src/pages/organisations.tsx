// The customers of an application for organisations.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useList, useSend } from '../api/query.ts';
import type { Organisation } from '../api/types.ts';
import { Ago, Button, Empty, Failure, Form, FormError, Link, Loading, Modal, TextField } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { number, t } from '../words/words.ts';

export function Organisations({ app }: { app: string }) {
  const path = `/apps/${seg(app)}/organisations`;
  const list = useList<Organisation>(path);
  const [adding, setAdding] = useState(false);
  const adds = useMine().can('POST /apps/{app}/organisations');
  if (list.pending) return <Loading />;
  const at = (o: Organisation) => `${path}/${seg(o.id)}`;
  const add = adds && <Button look="primary" onClick={() => setAdding(true)}>{t('Add an organisation')}</Button>;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {add && list.items.length > 0 && <div className="acts">{add}</div>}
      {list.items.length === 0 ? !list.error && <Empty title={t('No organisation yet')} action={add}>{t('An organisation is a customer whose people sign in here.')}</Empty> : (
        <Table<Organisation> name={t('Organisations')} rows={list.items} id={(o) => o.id} open={(o) => go(at(o))} more={list.more} next={list.next} fetching={list.fetching && list.more} columns={[
          { head: t('Name'), wide: true, cell: (o) => <Link to={at(o)}>{o.name}</Link> }, { head: t('Domains'), wide: true, hide: true, cell: (o) => o.domains.join(', ') || '—' },
          { head: t('Members'), cell: (o) => number(o.members) }, { head: t('Added'), hide: true, cell: (o) => <Ago at={o.created_at} /> },
        ]} />
      )}
      <Modal title={t('Add an organisation')} open={adding} onClose={() => leave(() => setAdding(false))}>{adding && <Add path={path} close={() => leave(() => setAdding(false))} />}</Modal>
    </>
  );
}

export const split = (text: string) => text.split(/[\s,]+/).filter(Boolean);

function Add({ path, close }: { path: string; close: () => void }) {
  const [doc, setDoc] = useState({ name: '', domains: '' });
  const send = useSend<Organisation>(path);
  const release = useUnsaved(doc.name !== '' || doc.domains !== '');
  const add = async () => {
    const { value } = await send.mutateAsync({ method: 'POST', path, body: { name: doc.name, domains: split(doc.domains) } });
    release();
    close();
    go(`${path}/${seg(value.id)}`);
  };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required autoFocus maxLength={100} />
      <TextField at="domains" label={t('Domains')} value={doc.domains} onChange={(domains) => setDoc({ ...doc, domains })} placeholder="acme.example" help={t('Of their e-mail addresses, separated by spaces.')} />
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
    </Form>
  );
}
