// What keeps the server running: who administrates it, its keys, providers,
// webhooks and settings.

import { useState } from 'react';
import { call, seg } from '../api/client.ts';
import * as passkey from '../api/passkey.ts';
import { useList, useSend, useStale, useThing } from '../api/query.ts';
import type { Administrator, Catalog, Ceremony, Key, Passkey, Role, Settings as S, Webhook } from '../api/types.ts';
import { Button, Card, Empty, Failure, Head, Loading, Menu, Modal, Once, Select, State, Tabs, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { ago, languages, t, time, type Language } from '../words/words.ts';
import { Providers } from './providers.tsx';

export default function Operate({ tab }: { tab: string }) {
  return (
    <>
      <Head title={t('Operate')} />
      <Tabs label={t('Operate')} at={tab} onChange={(to) => go(`/operate/${to}`, true)} tabs={[
        ['administrators', t('Administrators'), <Administrators key="a" />], ['passkeys', t('Your passkeys'), <Passkeys key="p" />], ['providers', t('Providers'), <Providers key="pr" app="" />],
        ['webhooks', t('Webhooks'), <Webhooks key="w" />], ['keys', t('Signing keys'), <Keys key="k" />], ['settings', t('Settings'), <Settings key="s" />],
      ]} />
    </>
  );
}

function useDo(...stale: string[]) {
  const send = useSend<Record<string, unknown>>(...stale);
  const { toast, confirm } = useVoice();
  return async (s: Parameters<typeof send.mutateAsync>[0], said: string, ask?: [string, string, string]) => {
    if (ask && !await confirm({ title: ask[0], text: ask[1], yes: ask[2], danger: true })) return null;
    try { const { value } = await send.mutateAsync(s); if (said) toast(said); return value ?? {}; } catch (e) { toast(wordsOf(e), true); return null; }
  };
}

function Administrators() {
  const list = useList<Administrator>('/administrators');
  const catalog = useThing<Catalog>('/catalog', undefined, { stale: 600_000 });
  const act = useDo('/administrators');
  const mine = useMine();
  const [doc, setDoc] = useState<{ name: string; email: string; role: Role } | null>(null);
  const [link, setLink] = useState('');
  const owner = mine.may();
  const roles = catalog.data?.roles ?? [];
  const invite = async () => { const r = await act({ method: 'POST', path: '/administrators', body: doc }, ''); if (r) { setLink(String(r.link)); setDoc(null); } };
  if (list.pending) return <Loading />;
  return (
    <>
      <Failure error={list.error} />
      {owner && <div className="acts"><Button look="primary" onClick={() => setDoc({ name: '', email: '', role: 'helpdesk' })}>{t('Invite an administrator')}</Button></div>}
      {link && <Once label={t('Hand this link to them. It is good once, for a day.')} value={link} />}
      <Table<Administrator> name={t('Administrators')} rows={list.items} id={(a) => a.id} columns={[
        { head: t('Name'), wide: true, cell: (a) => a.name || a.email },
        { head: t('E-mail address'), wide: true, hide: true, cell: (a) => a.email },
        { head: t('Role'), cell: (a) => roles.find((r) => r.id === a.role)?.title ?? a.role },
        { head: t('State'), cell: (a) => <State is={a.status === 'active' ? 'yes' : 'wait'}>{a.status === 'active' ? t('Active') : t('Invited')}</State> },
        { head: t('Last seen'), hide: true, cell: (a) => ago(a.last_seen_at) },
        { head: t('Acts'), cell: (a) => owner && <Menu label={t('Change')} items={[
          ...roles.filter((r) => r.id !== a.role).map((r) => ({ text: t('Make {role}', { role: r.title }), run: () => void act({ method: 'PATCH', path: `/administrators/${seg(a.id)}`, body: { role: r.id } }, t('Changed.')) })),
          null,
          { text: t('New link'), run: () => void act({ method: 'POST', path: `/administrators/${seg(a.id)}/invitation` }, '').then((r) => { if (r) setLink(String(r.link)); }) },
          { text: t('Remove'), danger: true, run: () => void act({ method: 'DELETE', path: `/administrators/${seg(a.id)}` }, t('Removed.'), [t('Remove {name}?', { name: a.name }), t('They are signed out at once.'), t('Remove')]) },
        ]} /> },
      ]} />
      <Modal title={t('Invite an administrator')} open={doc !== null} onClose={() => setDoc(null)}>
        {doc && <form onSubmit={(e) => { e.preventDefault(); void invite(); }}>
          <TextField label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required />
          <TextField label={t('E-mail address')} type="email" value={doc.email} onChange={(email) => setDoc({ ...doc, email })} required />
          <Select label={t('Role')} value={doc.role} onChange={(role) => setDoc({ ...doc, role: role as Role })} options={roles.map((r) => [r.id, r.title])} help={roles.find((r) => r.id === doc.role)?.may} />
          <div className="acts end"><Button type="submit" look="primary">{t('Make a link')}</Button></div>
        </form>}
      </Modal>
    </>
  );
}

function Passkeys() {
  const list = useList<Passkey>('/me/passkeys');
  const act = useDo('/me/passkeys');
  const stale = useStale();
  const { toast } = useVoice();
  const add = async () => {
    try {
      const { value } = await call<Ceremony>('POST', '/me/passkeys/start', {});
      await call('POST', '/me/passkeys', { ticket: value.ticket, credential: await passkey.create(value.options), label: t('Passkey') });
      await stale('/me/passkeys', '/session', '/overview');
      toast(t('Added. You can sign in with it from now on.'));
    } catch (e) { if (!passkey.refused(e)) toast(wordsOf(e), true); }
  };
  if (list.pending) return <Loading />;
  const button = <Button look="primary" onClick={() => void add()}>{t('Add a passkey')}</Button>;
  if (list.items.length === 0) return <Empty title={t('You have no passkey yet')} action={button}>{t('The link that brought you here was good once. With a passkey you can come back.')}</Empty>;
  return (
    <>
      <div className="acts">{button}</div>
      <Table<Passkey> name={t('Your passkeys')} rows={list.items} id={(p) => p.id} columns={[
        { head: t('Name'), wide: true, cell: (p) => p.label }, { head: t('Added'), cell: (p) => ago(p.created_at) }, { head: t('Last used'), cell: (p) => ago(p.used_at) },
        { head: t('Acts'), cell: (p) => <Button look="danger" onClick={() => void act({ method: 'DELETE', path: `/me/passkeys/${seg(p.id)}` }, t('Removed.'), [t('Remove {name}?', { name: p.label }), t('You cannot sign in with it any more.'), t('Remove')])}>{t('Remove')}</Button> },
      ]} />
    </>
  );
}

function Webhooks() {
  const list = useList<Webhook>('/webhooks');
  const act = useDo('/webhooks');
  const [doc, setDoc] = useState<{ url: string; events: string } | null>(null);
  const [secret, setSecret] = useState('');
  const add = async () => {
    const r = await act({ method: 'POST', path: '/webhooks', body: { url: doc!.url, events: doc!.events.split(/[\s,]+/).filter(Boolean), enabled: true } }, '');
    if (r) { setSecret(String(r.secret)); setDoc(null); }
  };
  const test = async (w: Webhook) => { const r = await act({ method: 'POST', path: `/webhooks/${seg(w.id)}/test` }, ''); if (r) await act2(r); };
  const { toast } = useVoice();
  const act2 = async (r: Record<string, unknown>) => toast(`${String(r.answer)} (${String(r.ms)} ms)`, r.ok !== true);
  if (list.pending) return <Loading />;
  const button = <Button look="primary" onClick={() => setDoc({ url: 'https://', events: '*' })}>{t('Add a webhook')}</Button>;
  return (
    <>
      <Failure error={list.error} />
      {secret && <Once label={t('The secret that signs what is sent. It is shown this once.')} value={secret} />}
      {list.items.length === 0 ? <Empty title={t('Nobody is told of events yet')} action={button}>{t('A webhook gets every event that fits, signed, and again until it was taken.')}</Empty> : (
        <>
          <div className="acts">{button}</div>
          <Table<Webhook> name={t('Webhooks')} rows={list.items} id={(w) => w.id} columns={[
            { head: t('Address'), wide: true, cell: (w) => w.url }, { head: t('Events'), cell: (w) => w.events.join(', ') },
            { head: t('Last'), cell: (w) => (w.last ? <State is={w.last.ok ? 'yes' : 'no'}>{`${w.last.status} ${ago(w.last.at)}`}</State> : '—') },
            { head: t('Acts'), cell: (w) => <Menu label={t('Change')} items={[
              { text: t('Test'), run: () => void test(w) },
              { text: t('Delete'), danger: true, run: () => void call('GET', `/webhooks/${seg(w.id)}`).then((r) => act({ method: 'DELETE', path: `/webhooks/${seg(w.id)}`, etag: r.etag }, t('Deleted.'), [t('Delete this webhook?'), w.url, t('Delete')])) },
            ]} /> },
          ]} />
        </>
      )}
      <Modal title={t('Add a webhook')} open={doc !== null} onClose={() => setDoc(null)}>
        {doc && <form onSubmit={(e) => { e.preventDefault(); void add(); }}>
          <TextField label={t('Address')} value={doc.url} onChange={(url) => setDoc({ ...doc, url })} required />
          <TextField label={t('Events')} value={doc.events} onChange={(events) => setDoc({ ...doc, events })} help={t('Names, or beginnings of names with a star: push.*')} />
          <div className="acts end"><Button type="submit" look="primary">{t('Add')}</Button></div>
        </form>}
      </Modal>
    </>
  );
}

const keyStates: Record<Key['state'], ['yes' | 'wait' | 'off', string]> = { active: ['yes', 'Signs'], next: ['wait', 'Comes next'], retiring: ['off', 'Verifies only'] };

function Keys() {
  const list = useList<Key>('/keys');
  const act = useDo('/keys');
  const mine = useMine();
  if (list.pending) return <Loading />;
  const rotate = (alg: string) => void act({ method: 'POST', path: '/keys/rotate', body: { alg } }, t('A new key was made.'), [t('Make a new {alg} key?', { alg }), t('It is published at once and signs ten minutes later. What the old one signed stays good for a day.'), t('Make a new key')]);
  return (
    <>
      <Failure error={list.error} />
      {mine.may('security_admin') && <div className="acts"><Button onClick={() => rotate('ES256')}>{t('New {alg} key', { alg: 'ES256' })}</Button><Button onClick={() => rotate('RS256')}>{t('New {alg} key', { alg: 'RS256' })}</Button></div>}
      <Table<Key> name={t('Signing keys')} rows={list.items} id={(k) => k.id} columns={[
        { head: t('Key'), wide: true, cell: (k) => <code>{k.id}</code> }, { head: t('Algorithm'), cell: (k) => k.alg },
        { head: t('State'), cell: (k) => <State is={keyStates[k.state][0]}>{t(keyStates[k.state][1])}</State> },
        { head: t('From'), hide: true, cell: (k) => time(k.activates_at) }, { head: t('Until'), hide: true, cell: (k) => time(k.retires_at) },
      ]} />
    </>
  );
}

function Settings() {
  const { data, etag, error, pending } = useThing<S>('/settings');
  const [own, setOwn] = useState<Partial<S>>({});
  const act = useDo('/settings', '/session');
  if (pending) return <Loading />;
  if (error || !data) return <Failure error={error} />;
  const doc = { ...data, ...own };
  const number = (label: string, k: 'run_retention_days' | 'audit_retention_days', help: string) => <TextField label={label} type="number" value={String(doc[k])} onChange={(v) => setOwn({ ...own, [k]: Number(v) })} help={help} />;
  return (
    <Card>
      <form className="form" onSubmit={(e) => { e.preventDefault(); void act({ method: 'PUT', path: '/settings', etag, body: doc }, t('Saved.')).then((r) => { if (r) setOwn({}); }); }}>
        <TextField label={t('Name of the tenant')} value={doc.tenant_name} onChange={(tenant_name) => setOwn({ ...own, tenant_name })} />
        <Select label={t('Language where nothing else is known')} value={doc.default_language || 'en'} onChange={(default_language) => setOwn({ ...own, default_language })} options={(doc.languages.length > 0 ? doc.languages : Object.keys(languages)).map((l) => [l, languages[l as Language] ?? l])} />
        {number(t('Days for which runs are kept'), 'run_retention_days', t('Where a run went and how it ended; nothing that was typed. 0 keeps it as long as the server does by itself.'))}
        {number(t('Days for which the record is kept'), 'audit_retention_days', t('0 keeps it for good.'))}
        <div className="acts end"><Button type="submit" look="primary" disabled={Object.keys(own).length === 0}>{t('Save')}</Button></div>
      </form>
    </Card>
  );
}
