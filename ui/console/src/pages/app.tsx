// One application: its clients, methods, channels, organisations and look.

import { useState } from 'react';
import { Problem, seg } from '../api/client.ts';
import { useList, useSend, useThing } from '../api/query.ts';
import type { App, Catalog, Client, ClientKind, Organisation } from '../api/types.ts';
import { Button, Card, Drawer, Empty, Failure, Head, Loading, Modal, Once, Select, State, Tabs, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { useJourneys } from '../ui/choices.ts';
import { FormView, Widgets, type Doc } from '../ui/form.tsx';
import { Table } from '../ui/table.tsx';
import { go } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { ago, t } from '../words/words.ts';
import { Brand } from './brand.tsx';
import { Methods } from './methodlist.tsx';
import { Providers } from './providers.tsx';

export default function AppPage({ id, tab }: { id: string; tab: string }) {
  const path = `/apps/${seg(id)}`;
  const { data: app, etag, error, pending, refetch } = useThing<App>(path);
  const [renaming, setRenaming] = useState<string | null>(null);
  const send = useSend<App>('/apps');
  const { toast, confirm } = useVoice();
  const mine = useMine();
  if (pending) return <Loading />;
  if (error || !app) return <><Head title={id} back={['/apps', t('Applications')]} /><Failure error={error} again={() => void refetch()} /></>;
  const rename = async () => { try { await send.mutateAsync({ method: 'PATCH', path, etag, body: { name: renaming } }); setRenaming(null); toast(t('Saved.')); } catch (e) { toast(wordsOf(e), true); } };
  const remove = async () => {
    if (!await confirm({ title: t('Delete {name}?', { name: app.name }), text: t('Its clients stop working at once. Users stay; what they enrolled here is gone.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); go('/apps'); } catch (e) { toast(wordsOf(e), true); }
  };
  const may = mine.may('application_admin');
  return (
    <>
      <Head title={app.name} back={['/apps', t('Applications')]}><code>{app.id}</code>{may && <><Button onClick={() => setRenaming(app.name)}>{t('Rename')}</Button><Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button></>}</Head>
      <Tabs label={app.name} at={tab} onChange={(to) => go(`/apps/${id}/${to}`, true)} tabs={[
        ['clients', t('Clients'), <Clients key="c" app={id} may={may} />], ['methods', t('Methods'), <Methods key="m" base={`${path}/methods`} app={id} />],
        ['channels', t('Push channels and providers'), <Providers key="p" app={id} />],
        ...(app.audience === 'b2b' ? [['organisations', t('Organisations'), <Organisations key="o" app={id} may={may} />] as [string, string, React.ReactNode]] : []),
        ['branding', t('Branding'), <Brand key="b" app={id} may={may} />],
      ]} />
      <Modal title={t('Rename')} open={renaming !== null} onClose={() => setRenaming(null)}>
        <form onSubmit={(e) => { e.preventDefault(); void rename(); }}><TextField label={t('Name')} value={renaming ?? ''} onChange={setRenaming} required /><div className="acts end"><Button type="submit" look="primary">{t('Save')}</Button></div></form>
      </Modal>
    </>
  );
}

const kinds = (): [ClientKind, string][] => [['web', t('A page in a browser')], ['native', t('An app on a device')], ['backend', t('A back end that keeps a secret')]];

function Clients({ app, may }: { app: string; may: boolean }) {
  const path = `/apps/${seg(app)}/clients`;
  const list = useList<Client>(path);
  const [open, setOpen] = useState('');
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState('');
  if (list.pending) return <Loading />;
  return (
    <>
      <Failure error={list.error} />
      {may && <div className="acts"><Button look="primary" onClick={() => setAdding(true)}>{t('Add a client')}</Button></div>}
      {secret && <Once label={t('The secret of the client. It is shown this once.')} value={secret} />}
      {list.items.length === 0 ? <Empty title={t('No client yet')}>{t('A client is a program that speaks for the application: a page, an app, a back end.')}</Empty> : (
        <Table<Client> name={t('Clients')} rows={list.items} id={(c) => c.id} open={(c) => setOpen(c.id)} columns={[
          { head: t('Name'), wide: true, cell: (c) => <button type="button" className="btn quiet" onClick={() => setOpen(c.id)}>{c.name || c.id}</button> }, { head: t('Id'), cell: (c) => <code>{c.id}</code> },
          { head: t('Kind'), cell: (c) => kinds().find(([k]) => k === c.kind)?.[1] ?? c.kind }, { head: t('Secret'), hide: true, cell: (c) => (c.has_secret ? <State is="yes">{t('set')}</State> : '—') },
        ]} />
      )}
      <Drawer title={t('Client')} open={open !== ''} onClose={() => setOpen('')}>{open && <EditClient key={open} path={`${path}/${seg(open)}`} may={may} secret={setSecret} done={() => setOpen('')} />}</Drawer>
      <AddClient path={path} open={adding} close={() => setAdding(false)} secret={setSecret} />
    </>
  );
}

/** Where a phone that speaks as a client is set up without a link. */
const phoneApp = (base: string, client: string) => `${base}/authenticator/#client=${encodeURIComponent(client)}`;

function EditClient({ path, may, secret, done }: { path: string; may: boolean; secret: (s: string) => void; done: () => void }) {
  const catalog = useThing<Catalog>('/catalog', undefined, { stale: 600_000 });
  const { data, etag, error, pending } = useThing<Client>(path);
  const [own, setOwn] = useState<{ name?: string; settings?: Doc }>({});
  const list = path.slice(0, path.lastIndexOf('/'));
  const send = useSend<Client>(list, path);
  const { toast, confirm } = useVoice();
  const choices = useJourneys(may);
  const { base } = useMine().session;
  if (pending || catalog.pending) return <Loading />;
  if (error || !data) return <Failure error={error} />;
  const problems = send.error instanceof Problem ? send.error.at('settings') : {};
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, etag, body: { name: own.name ?? data.name, settings: own.settings ?? data.settings } }); toast(t('Saved.')); done(); } catch { /* shown below */ } };
  const rotate = async () => {
    if (!await confirm({ title: t('Make a new secret?'), text: t('The old one stops working at once.'), yes: t('Make a new secret'), danger: true })) return;
    try { secret((await send.mutateAsync({ method: 'POST', path: `${path}/secret`, body: {} })).value.secret ?? ''); done(); } catch { /* shown below */ }
  };
  const remove = async () => {
    if (!await confirm({ title: t('Delete {name}?', { name: data.name }), text: t('It stops working at once.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); done(); } catch { /* shown below */ }
  };
  return (
    <form className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
      <dl className="facts"><dt>{t('Id')}</dt><dd><code>{data.id}</code></dd><dt>{t('Kind')}</dt><dd>{kinds().find(([k]) => k === data.kind)?.[1]}</dd>
        {data.kind === 'native' && <><dt>{t('Phone app')}</dt><dd><a href={phoneApp(base, data.id)} target="_blank" rel="noreferrer">{phoneApp(base, data.id)}</a></dd></>}</dl>
      <TextField label={t('Name')} value={own.name ?? data.name} onChange={(name) => setOwn({ ...own, name })} />
      <Widgets.Provider value={{ choices }}><FormView form={catalog.data?.client ?? []} value={own.settings ?? data.settings} onChange={(settings) => setOwn({ ...own, settings })} problems={problems} disabled={!may} /></Widgets.Provider>
      {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
      {may && <div className="acts end"><Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>{data.kind === 'backend' && <Button onClick={() => void rotate()}>{t('Make a new secret')}</Button>}<Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button></div>}
    </form>
  );
}

const blank = { id: '', name: '', kind: 'web', redirect: '' };

function AddClient({ path, open, close, secret }: { path: string; open: boolean; close: () => void; secret: (s: string) => void }) {
  const [doc, setDoc] = useState(blank);
  const send = useSend<Client>(path, '/apps');
  const add = async () => {
    const settings = doc.redirect ? { redirect_uris: doc.redirect.split(/\s+/).filter(Boolean) } : {};
    const { value } = await send.mutateAsync({ method: 'POST', path, body: { name: doc.name, kind: doc.kind, settings, ...(doc.id && { id: doc.id }) } });
    if (value.secret) secret(value.secret);
    setDoc(blank); // or the next one would get what this one returns to
    close();
  };
  return (
    <Modal title={t('Add a client')} open={open} onClose={close}>
      <form onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
        <TextField label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required />
        <TextField label={t('Id')} value={doc.id} onChange={(id) => setDoc({ ...doc, id })} />
        <Select label={t('Kind')} value={doc.kind} onChange={(kind) => setDoc({ ...doc, kind })} options={kinds()} />
        <TextField label={t('Where the browser may return to')} value={doc.redirect} onChange={(redirect) => setDoc({ ...doc, redirect })} help={t('Exact addresses, separated by spaces.')} />
        {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
        <div className="acts end"><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
      </form>
    </Modal>
  );
}

function Organisations({ app, may }: { app: string; may: boolean }) {
  const path = `/apps/${seg(app)}/organisations`;
  const list = useList<Organisation>(path);
  const [doc, setDoc] = useState<{ name: string; domains: string } | null>(null);
  const send = useSend<Organisation>(path);
  const add = async () => { await send.mutateAsync({ method: 'POST', path, body: { name: doc!.name, domains: doc!.domains.split(/[\s,]+/).filter(Boolean) } }); setDoc(null); };
  if (list.pending) return <Loading />;
  return (
    <Card title={t('Organisations')} acts={may && <Button onClick={() => setDoc({ name: '', domains: '' })}>{t('Add an organisation')}</Button>}>
      <Failure error={list.error} />
      {list.items.length === 0 ? <Empty title={t('No organisation yet')}>{t('An organisation is a customer whose people sign in here.')}</Empty> : (
        <Table<Organisation> name={t('Organisations')} rows={list.items} id={(o) => o.id} columns={[{ head: t('Name'), wide: true, cell: (o) => o.name }, { head: t('Domains'), wide: true, cell: (o) => o.domains.join(', ') || '—' }, { head: t('Members'), cell: (o) => o.members }, { head: t('Added'), hide: true, cell: (o) => ago(o.created_at) }]} />
      )}
      <Modal title={t('Add an organisation')} open={doc !== null} onClose={() => setDoc(null)}>
        {doc && <form onSubmit={(e) => { e.preventDefault(); void add().catch(() => {}); }}>
          <TextField label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required />
          <TextField label={t('Domains')} value={doc.domains} onChange={(domains) => setDoc({ ...doc, domains })} />
          {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
          <div className="acts end"><Button type="submit" look="primary">{t('Add')}</Button></div>
        </form>}
      </Modal>
    </Card>
  );
}
