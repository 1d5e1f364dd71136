// What keeps the server running: who administrates it, its keys, providers,
// webhooks and settings.

import { useState, type ReactNode } from 'react';
import { call, seg } from '../api/client.ts';
import * as passkey from '../api/passkey.ts';
import { useDoc, useList, useSend, useStale } from '../api/query.ts';
import type { Administrator, Catalog, Ceremony, Form as Fields, Key, Passkey, Role, Settings as S } from '../api/types.ts';
import { Ago, Button, Card, Empty, Failure, Form, FormError, Head, Loading, Menu, Modal, Once, ReadOnly, Select, State, Tabs, TextField, unchanged, useDo, useVoice, wordsOf, type MenuItem } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { theirs } from '../ui/theirs.ts';
import { go, leave, rebased, same, useUnsaved } from '../ui/route.ts';
import { roleName, roleText, useMine, type Call } from '../session.ts';
import { languages, t, time, type Language } from '../words/words.ts';
import { Providers } from './providers.tsx';
import { Webhooks } from './webhooks.tsx';
import { useCatalog } from '../api/catalog.ts';

/** `item` is what of the tab is open at its side. */
export default function Operate({ tab, item = '' }: { tab?: string; item?: string }) {
  const mine = useMine();
  const all: [string, string, Call, ReactNode][] = [
    ['administrators', t('Administrators'), 'GET /administrators', <Administrators key="a" />], ['passkeys', t('Your passkeys'), 'GET /me/passkeys', <Passkeys key="p" />],
    ['providers', t('Providers'), 'GET /providers', <Providers key="pr" app="" at="/operate/providers" open={item} />], ['webhooks', t('Webhooks'), 'GET /webhooks', <Webhooks key="w" />],
    ['keys', t('Signing keys'), 'GET /keys', <Keys key="k" />], ['settings', t('Settings'), 'GET /settings', <Settings key="s" />],
  ];
  const tabs = all.filter(([, , needs]) => mine.can(needs)).map(([name, title, , body]): [string, string, ReactNode] => [name, title, body]);
  return (
    <>
      <Head title={t('Operate')} />
      <Tabs label={t('Operate')} at={tabs.some(([name]) => name === tab) ? tab! : tabs[0]![0]} onChange={(to) => go(`/operate/${to}`, { replace: true, stay: true })} tabs={tabs} />
    </>
  );
}

function Administrators() {
  const list = useList<Administrator>('/administrators');
  const catalog = useCatalog();
  const act = useDo('/administrators');
  const mine = useMine();
  const [inviting, setInviting] = useState(false);
  const [link, setLink] = useState('');
  const roles = catalog.data?.roles ?? [];
  if (list.pending) return <Loading />;
  const items = (a: Administrator): MenuItem[] => [
    ...(mine.can('PATCH /administrators/{id}') ? [...roles.filter((r) => r.id !== a.role).map((r) => ({ text: t('Make {role}', { role: roleName(r.id) }), run: () => void act({ method: 'PATCH', path: `/administrators/${seg(a.id)}`, body: { role: r.id } }, t('Changed.')) })), null] : []),
    ...(mine.can('POST /administrators/{id}/invitation') ? [{ text: t('New link'), run: () => void act({ method: 'POST', path: `/administrators/${seg(a.id)}/invitation` }, '').then((r) => { if (r) setLink(String(r.link)); }) }] : []),
    ...(mine.can('DELETE /administrators/{id}') ? [{ text: t('Remove'), danger: true, run: () => void act({ method: 'DELETE', path: `/administrators/${seg(a.id)}` }, t('Removed.'), [t('Remove {name}?', { name: a.name || a.email }), t('They are signed out at once.'), t('Remove')]) }] : []),
  ];
  const changes = mine.can('PATCH /administrators/{id}');
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {!changes && <ReadOnly />}
      {mine.can('POST /administrators') && <div className="acts"><Button look="primary" onClick={() => setInviting(true)}>{t('Invite an administrator')}</Button></div>}
      {link && <Once label={t('Hand this link to them. It is good once, for a day.')} value={link} />}
      <Table<Administrator> name={t('Administrators')} rows={list.items} id={(a) => a.id} columns={[
        { head: t('Name'), wide: true, cell: (a) => <>{a.name || a.email}{a.id === mine.session.administrator!.id && <small className="help"> {t('(you)')}</small>}</> },
        { head: t('E-mail address'), wide: true, hide: true, cell: (a) => a.email },
        { head: t('Role'), cell: (a) => roleName(a.role) },
        { head: t('State'), cell: (a) => <State is={a.status === 'active' ? 'yes' : 'wait'}>{a.status === 'active' ? t('Active') : t('Invited')}</State> },
        { head: t('Last seen'), hide: true, cell: (a) => <Ago at={a.last_seen_at} /> },
        ...(changes ? [{ head: t('Actions'), cell: (a: Administrator) => <Menu label={t('Change')} name={`${t('Change')}: ${a.name || a.email}`} items={items(a)} /> }] : []),
      ]} />
      <Modal title={t('Invite an administrator')} open={inviting} onClose={() => leave(() => setInviting(false))}>{inviting && <Invite roles={roles} done={(l) => { setLink(l); setInviting(false); }} close={() => leave(() => setInviting(false))} />}</Modal>
    </>
  );
}

function Invite({ roles, done, close }: { roles: Catalog['roles']; done: (link: string) => void; close: () => void }) {
  const [doc, setDoc] = useState<{ name: string; email: string; role: Role }>({ name: '', email: '', role: 'helpdesk' });
  const send = useSend<{ link: string }>('/administrators');
  const release = useUnsaved(doc.name !== '' || doc.email !== '');
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void send.mutateAsync({ method: 'POST', path: '/administrators', body: doc }).then((r) => { release(); done(r.value.link); }).catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required autoFocus maxLength={100} />
      <TextField at="email" label={t('E-mail address')} type="email" value={doc.email} onChange={(email) => setDoc({ ...doc, email })} required />
      <Select at="role" label={t('Role')} value={doc.role} onChange={(role) => setDoc({ ...doc, role: role as Role })} options={roles.map((r) => [r.id, roleName(r.id)])} help={roleText(doc.role)} />
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Make a link')}</Button></div>
    </Form>
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
      await call('POST', '/me/passkeys', { ticket: value.ticket, credential: await passkey.create(value.options), label: `${t('Passkey')} · ${passkey.here()}` });
      await stale('/me/passkeys', '/session', '/overview');
      toast(t('Added. You can sign in with it from now on.'));
    } catch (e) { if (!passkey.refused(e)) toast(wordsOf(e), true); }
  };
  if (list.pending) return <Loading />;
  const button = <Button look="primary" onClick={() => void add()}>{t('Add a passkey')}</Button>;
  if (list.error) return <Failure error={list.error} again={() => void list.refetch()} />;
  if (list.items.length === 0) return <Empty title={t('You have no passkey yet')} action={button}>{t('The link that brought you here was good once. With a passkey you can come back.')}</Empty>;
  return (
    <>
      <div className="acts">{button}</div>
      <Table<Passkey> name={t('Your passkeys')} rows={list.items} id={(p) => p.id} columns={[
        { head: t('Name'), wide: true, cell: (p) => p.label }, { head: t('Added'), hide: true, cell: (p) => <Ago at={p.created_at} /> }, { head: t('Last used'), cell: (p) => <Ago at={p.used_at} /> },
        { head: t('Actions'), cell: (p) => <Button look="danger" aria-label={t('Remove {name}', { name: p.label })} onClick={() => void act({ method: 'DELETE', path: `/me/passkeys/${seg(p.id)}` }, t('Removed.'), [t('Remove {name}?', { name: p.label }), t('You cannot sign in with it any more.'), t('Remove')])}>{t('Remove')}</Button> },
      ]} />
    </>
  );
}

const keyStates: Record<Key['state'], ['yes' | 'wait' | 'off', string]> = { active: ['yes', 'Signs'], next: ['wait', 'Comes next'], retiring: ['off', 'Verifies only'] };

function Keys() {
  const list = useList<Key>('/keys');
  const act = useDo('/keys');
  const rotates = useMine().can('POST /keys/rotate');
  if (list.pending) return <Loading />;
  const rotate = (alg: string) => void act({ method: 'POST', path: '/keys/rotate', body: { alg } }, t('A new key was made.'), [t('Make a new {alg} key?', { alg }), t('It is published at once and signs ten minutes later. What the old one signed stays good for a day.'), t('Make a new key')]);
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      <p className="help">{t('These keys sign this server’s tokens. Whoever verifies tokens fetches them from')} <code>/.well-known/jwks.json</code></p>
      <p className="help">{t('If somebody else may have a key, a new one is not enough: on the server, this ends everything it signed.')} <code>watchword keys revoke</code></p>
      {rotates ? <div className="acts"><Button onClick={() => rotate('ES256')}>{t('New {alg} key', { alg: 'ES256' })}</Button><Button onClick={() => rotate('RS256')}>{t('New {alg} key', { alg: 'RS256' })}</Button></div> : <ReadOnly />}
      <Table<Key> name={t('Signing keys')} rows={list.items} id={(k) => k.id} columns={[
        { head: t('Key'), wide: true, cell: (k) => <code>{k.id}</code> }, { head: t('Algorithm'), cell: (k) => k.alg },
        { head: t('State'), cell: (k) => <State is={keyStates[k.state][0]}>{t(keyStates[k.state][1])}</State> },
        { head: t('From'), hide: true, cell: (k) => time(k.activates_at) }, { head: t('Until'), hide: true, cell: (k) => time(k.retires_at) },
      ]} />
    </>
  );
}

function Settings() {
  const [own, setOwn] = useState<Partial<S>>({});
  const { data, etag, error, pending, refetch, renew, compare } = useDoc<S>('/settings', Object.keys(own).length > 0);
  const catalog = useCatalog();
  const send = useSend<S>('/settings', '/session');
  const { toast } = useVoice();
  const may = useMine().can('PUT /settings');
  const doc: S | undefined = data && { ...data, ...own };
  const dirty = !same(doc, data);
  const release = useUnsaved(dirty);
  if (pending) return <Loading />;
  if (error || !data || !doc) return <Failure error={error} again={() => void refetch()} />;
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path: '/settings', etag, body: doc }); release(); setOwn({}); toast(t('Saved.')); } catch { /* shown below */ } };
  const spoken = catalog.data?.languages ?? Object.keys(languages);
  const name = (l: string) => languages[l as Language] ?? l;
  const offer = (l: string, on: boolean) => {
    const next = spoken.filter((x) => (x === l ? on : doc.languages.length === 0 || doc.languages.includes(x)));
    setOwn({ ...own, languages: next.length === spoken.length ? [] : next });
  };
  const form: Fields = [
    { name: 'tenant_name', type: 'text', label: t('Tenant name') }, { name: 'languages', type: 'list', label: t('Languages offered') }, { name: 'default_language', type: 'text', label: t('Language when nothing else is known') },
    { name: 'run_retention_days', type: 'number', label: t('Days to keep runs') }, { name: 'audit_retention_days', type: 'number', label: t('Days to keep the audit record') },
  ];
  const named = (s: S) => ({ ...s, languages: (s.languages.length > 0 ? s.languages : spoken).map(name), default_language: name(s.default_language || 'en') });
  const days = (label: string, k: 'run_retention_days' | 'audit_retention_days', help: string) => <TextField at={k} label={label} type="number" min={0} max={3650} disabled={!may} value={String(doc[k])} onChange={(v) => setOwn({ ...own, [k]: Number(v) })} help={help} />;
  return (
    <Card>
      <Form error={send.error} className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {!may && <ReadOnly />}
        <TextField at="tenant_name" label={t('Tenant name')} value={doc.tenant_name} required maxLength={100} disabled={!may} onChange={(tenant_name) => setOwn({ ...own, tenant_name })} />
        <fieldset className="fieldrow" disabled={!may}>
          <legend>{t('Languages offered')}</legend>
          <div className="checks">{spoken.map((l) => {
            const on = doc.languages.length === 0 || doc.languages.includes(l);
            return <label key={l}><input type="checkbox" checked={on} disabled={!may || (on && doc.languages.length === 1)} onChange={(e) => offer(l, e.target.checked)} /> {name(l)}</label>;
          })}</div>
        </fieldset>
        <Select at="default_language" label={t('Language when nothing else is known')} value={doc.default_language || 'en'} disabled={!may} onChange={(default_language) => setOwn({ ...own, default_language })} options={(doc.languages.length > 0 ? doc.languages : spoken).map((l) => [l, name(l)])} />
        {days(t('Days to keep runs'), 'run_retention_days', t('A run says where it went and how it ended, never what was typed. 0: as long as the server keeps them by itself.'))}
        {days(t('Days to keep the audit record'), 'audit_retention_days', t('0: for good.'))}
        <FormError compare={async () => { const r = await compare(); return r ? theirs(form, named(r.was), named(r.is)) : []; }} reload={() => renew().then((r) => { if (r) { setOwn({}); send.reset(); } })}
          keep={() => renew().then((r) => { if (r) { setOwn(rebased<Partial<S>>(r.was, { ...r.was, ...own }, r.is)); send.reset(); } })} />
        {may && <div className="acts end"><Button disabled={!dirty} onClick={() => { setOwn({}); send.reset(); }}>{t('Take back')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={unchanged(dirty)}>{t('Save')}</Button></div>}
      </Form>
    </Card>
  );
}
