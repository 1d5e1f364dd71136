// The programs that speak for an application.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useDoc, useList, useSend } from '../api/query.ts';
import type { Client, ClientKind } from '../api/types.ts';
import { Button, Drawer, Empty, Failure, Form, FormError, Loading, Modal, Once, ReadOnly, Select, State, TextField, useVoice } from '../ui/parts.tsx';
import { useJourneys } from '../ui/choices.ts';
import { FormView, Widgets, type Doc } from '../ui/form.tsx';
import { Table } from '../ui/table.tsx';
import { theirs } from '../ui/theirs.ts';
import { go, leave, rebased, same, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { t } from '../words/words.ts';
import { useCatalog } from '../api/catalog.ts';

export const kinds = (): [ClientKind, string][] => [['web', t('A page in a browser')], ['native', t('An app on a device')], ['backend', t('A back end that keeps a secret')]];

/** `at` is the place of the list, `open` the id of the client beside it. */
export function Clients({ app, at, open }: { app: string; at: string; open: string }) {
  const path = `/apps/${seg(app)}/clients`;
  const list = useList<Client>(path);
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState('');
  const adds = useMine().can('POST /apps/{app}/clients');
  if (list.pending) return <Loading />;
  const show = (id: string) => go(`${at}/${seg(id)}`, { stay: true });
  const back = () => go(at, { stay: true });
  const add = adds && <Button look="primary" onClick={() => setAdding(true)}>{t('Add a client')}</Button>;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {add && list.items.length > 0 && <div className="acts">{add}</div>}
      {secret && <Once label={t('The secret of the client. It is shown this once.')} value={secret} />}
      {list.items.length === 0 ? !list.error && <Empty title={t('No client yet')} action={add}>{t('A client is a program that speaks for the application: a page, an app, a back end.')}</Empty> : (
        <Table<Client> name={t('Clients')} rows={list.items} id={(c) => c.id} open={(c) => show(c.id)} more={list.more} next={list.next} columns={[
          { head: t('Name'), wide: true, cell: (c) => <button type="button" className="btn quiet" onClick={() => show(c.id)}>{c.name || c.id}</button> }, { head: t('Id'), cell: (c) => <code>{c.id}</code> },
          { head: t('Kind'), wide: true, cell: (c) => kinds().find(([k]) => k === c.kind)?.[1] ?? c.kind }, { head: t('Secret'), hide: true, cell: (c) => (c.has_secret ? <State is="yes">{t('set')}</State> : '—') },
        ]} />
      )}
      <Drawer title={list.items.find((c) => c.id === open)?.name || t('Client')} open={open !== ''} onClose={back}>{open && <EditClient key={open} path={`${path}/${seg(open)}`} secret={setSecret} done={back} />}</Drawer>
      <Modal title={t('Add a client')} open={adding} onClose={() => leave(() => setAdding(false))}>{adding && <AddClient path={path} close={() => leave(() => setAdding(false))} secret={setSecret} />}</Modal>
    </>
  );
}

/** Where a phone that speaks as a client is set up without a link. */
const phoneApp = (base: string, client: string) => `${base}/authenticator/#client=${encodeURIComponent(client)}`;

function EditClient({ path, secret, done }: { path: string; secret: (s: string) => void; done: () => void }) {
  const catalog = useCatalog();
  const [own, setOwn] = useState<{ name?: string; settings?: Doc }>({});
  const { data, etag, error, pending, refetch, renew, compare } = useDoc<Client>(path, Object.keys(own).length > 0);
  const list = path.slice(0, path.lastIndexOf('/'));
  const send = useSend<Client>(list, path);
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const may = mine.can('PUT /apps/{app}/clients/{client}');
  const choices = useJourneys(mine.can('GET /journeys'));
  const doc = { name: own.name ?? data?.name ?? '', settings: own.settings ?? data?.settings ?? {} };
  const dirty = data !== undefined && !(doc.name === data.name && same(doc.settings, data.settings));
  const release = useUnsaved(dirty);
  if (pending || catalog.pending) return <Loading />;
  if (error || !data) return <Failure error={error} again={() => void refetch()} />;
  const save = async () => { if (!dirty) { done(); return; } try { await send.mutateAsync({ method: 'PUT', path, etag, body: doc }); release(); toast(t('Saved.')); done(); } catch { /* shown below */ } };
  const rotate = async () => {
    if (!await confirm({ title: t('Make a new secret?'), text: t('The old one stops working at once.'), yes: t('Make a new secret'), danger: true })) return;
    try { secret((await send.mutateAsync({ method: 'POST', path: `${path}/secret`, body: {} })).value.secret ?? ''); done(); } catch { /* shown below */ }
  };
  const remove = async () => {
    if (!await confirm({ title: t('Delete {name}?', { name: data.name || data.id }), text: t('It stops working at once.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); release(); done(); } catch { /* shown below */ }
  };
  return (
    <Form error={send.error} className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
      {!may && <ReadOnly />}
      <dl className="facts"><dt>{t('Id')}</dt><dd><code>{data.id}</code></dd><dt>{t('Kind')}</dt><dd>{kinds().find(([k]) => k === data.kind)?.[1]}</dd>
        {data.kind === 'native' && <><dt>{t('Phone app')}</dt><dd><a href={phoneApp(mine.session.base, data.id)} target="_blank" rel="noreferrer">{phoneApp(mine.session.base, data.id)}</a></dd></>}</dl>
      <TextField at="name" label={t('Name')} value={doc.name} disabled={!may} maxLength={100} onChange={(name) => setOwn({ ...own, name })} />
      <Widgets.Provider value={{ choices }}><FormView form={catalog.data?.client ?? []} value={doc.settings} onChange={(settings) => setOwn({ ...own, settings })} root="settings." disabled={!may} /></Widgets.Provider>
      <FormError compare={async () => {
        const r = await compare();
        return r ? [...theirs([{ name: 'name', type: 'text', label: t('Name') }], r.was, r.is), ...theirs(catalog.data?.client ?? [], r.was.settings, r.is.settings)] : [];
      }} reload={() => renew().then((r) => { if (r) { setOwn({}); send.reset(); } })}
        keep={() => renew().then((r) => { if (r) { setOwn(rebased({ name: r.was.name, settings: r.was.settings }, doc, { name: r.is.name, settings: r.is.settings })); send.reset(); } })} />
      {may && (
        <div className="acts end foot-acts">
          {mine.can('DELETE /apps/{app}/clients/{client}') && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}
          {data.kind === 'backend' && mine.can('POST /apps/{app}/clients/{client}/secret') && <Button onClick={() => void rotate()}>{t('Make a new secret')}</Button>}
          <Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button>
        </div>
      )}
    </Form>
  );
}

function AddClient({ path, close, secret }: { path: string; close: () => void; secret: (s: string) => void }) {
  const [doc, setDoc] = useState({ id: '', name: '', kind: 'web', redirect: '' });
  const release = useUnsaved(doc.id !== '' || doc.name !== '' || doc.redirect !== '');
  const send = useSend<Client>(path, '/apps');
  const add = async () => {
    const settings = doc.redirect ? { redirect_uris: doc.redirect.split(/\s+/).filter(Boolean) } : {};
    const { value } = await send.mutateAsync({ method: 'POST', path, body: { name: doc.name, kind: doc.kind, settings, ...(doc.id && { id: doc.id }) } });
    if (value.secret) secret(value.secret);
    release();
    close();
  };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required autoFocus />
      <TextField at="id" label={t('Id')} value={doc.id} onChange={(id) => setDoc({ ...doc, id })} help={t('Leave it empty and one is made. It cannot be changed later.')} />
      <Select at="kind" label={t('Kind')} value={doc.kind} onChange={(kind) => setDoc({ ...doc, kind })} options={kinds()} />
      {doc.kind !== 'backend' && <TextField at="settings.redirect_uris" label={t('Where the browser may return to')} value={doc.redirect} onChange={(redirect) => setDoc({ ...doc, redirect })} placeholder="https://shop.example/callback" help={t('Exact addresses, separated by spaces.')} />}
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
    </Form>
  );
}
