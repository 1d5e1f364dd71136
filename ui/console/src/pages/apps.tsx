// What people sign in to: consumers' applications and those of organisations.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useList, useSend } from '../api/query.ts';
import type { App } from '../api/types.ts';
import { Ago, Button, Empty, Failure, Form, FormError, Head, Link, Loading, Modal, Select, TextField } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { number, t } from '../words/words.ts';

export default function Apps() {
  const list = useList<App>('/apps');
  const [adding, setAdding] = useState(false);
  const mine = useMine();
  const add = mine.can('POST /apps') && <Button look="primary" onClick={() => setAdding(true)}>{t('Add an application')}</Button>;
  const sections: [App['audience'], string, string][] = [['b2c', t('For people'), t('Everybody may have an account (B2C).')], ['b2b', t('For organisations'), t('Users belong to organisations (B2B).')]];
  return (
    <>
      <Head title={t('Applications')} lead={t('What people sign in to. Each has clients, methods, providers and a look of its own.')}>{list.items.length > 0 && add}</Head>
      <Failure error={list.error} again={() => void list.refetch()} />
      {list.pending ? <Loading /> : list.items.length === 0 ? !list.error && <Empty title={t('No application yet')} action={add}>{t('An application is what people sign in to. Its name is what they see.')}</Empty> : sections.map(([audience, title, text]) => {
        const apps = list.items.filter((a) => a.audience === audience);
        return (
          <section key={audience} className="block">
            <h2>{title}</h2><p className="help">{text}</p>
            {apps.length === 0 ? <p className="help">{t('None yet.')}</p> : (
              <Table<App> name={title} rows={apps} id={(a) => a.id} open={(a) => go(`/apps/${seg(a.id)}`)} columns={[
                { head: t('Name'), wide: true, cell: (a) => <Link to={`/apps/${seg(a.id)}`}>{a.name}</Link> }, { head: t('Id'), cell: (a) => <code>{a.id}</code> },
                { head: t('Clients'), cell: (a) => number(a.clients) }, { head: t('Added'), hide: true, cell: (a) => <Ago at={a.created_at} /> },
              ]} />
            )}
          </section>
        );
      })}
      <Modal title={t('Add an application')} open={adding} onClose={() => leave(() => setAdding(false))}>{adding && <AddApp close={() => leave(() => setAdding(false))} />}</Modal>
    </>
  );
}

function AddApp({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  const [id, setId] = useState('');
  const [audience, setAudience] = useState('b2c');
  const send = useSend<App>('/apps', '/overview');
  const release = useUnsaved(name !== '' || id !== '');
  const add = async () => { const { value } = await send.mutateAsync({ method: 'POST', path: '/apps', body: { name, audience, ...(id && { id }) } }); release(); close(); go(`/apps/${value.id}`); };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={name} onChange={setName} required help={t('What users see: in mail, in their authenticator app, on the phone.')} />
      <TextField at="id" label={t('Id')} value={id} onChange={setId} help={t('Leave it empty and one is made. It cannot be changed later.')} />
      <Select at="audience" label={t('Whom it serves')} value={audience} onChange={setAudience} options={[['b2c', t('For people')], ['b2b', t('For organisations')]]} />
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
    </Form>
  );
}
