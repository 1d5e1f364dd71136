// One user: names, what proves them, their phones and sessions, what happened.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useList, useSend, useThing, type List, type Send } from '../api/query.ts';
import type { App, Authenticator, AuthenticatorStatus, Device, Shown, SupportAction, User, UserSession } from '../api/types.ts';
import { Button, Card, Empty, Failure, Head, Loading, Menu, Modal, Once, Select, State, Tabs, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { Table } from '../ui/table.tsx';
import { go } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { ago, t, time } from '../words/words.ts';
import { Events } from './events.tsx';

export default function UserPage({ id, tab }: { id: string; tab: string }) {
  const base = `/users/${seg(id)}`;
  const { data: user, etag, error, pending, refetch } = useThing<User>(base);
  const apps = useThing<List<App>>('/apps');
  const [app, setApp] = useState('');
  const act = useAct(base);
  const mine = useMine();
  if (pending) return <Loading />;
  if (error || !user) return <><Head title={t('User')} back={['/users', t('Users')]} /><Failure error={error} again={() => void refetch()} /></>;
  const items = apps.data?.items ?? [];
  const chosen = app || items[0]?.id || '';
  const helps = mine.may('security_admin', 'helpdesk');
  const suspend = user.status === 'active';
  return (
    <>
      <Head title={user.name || user.id} back={['/users', t('Users')]}>
        {items.length > 1 && <Select label={t('Application')} value={chosen} onChange={setApp} options={items.map((a) => [a.id, a.name])} />}
        {helps && <Button onClick={() => void act({ method: 'PATCH', path: base, etag, body: { status: suspend ? 'suspended' : 'active' } }, suspend ? t('Suspended. Every session has ended.') : t('Active again.'))}>{suspend ? t('Suspend') : t('Activate')}</Button>}
        {mine.may('security_admin') && <Button look="danger" onClick={() => void act({ method: 'DELETE', path: base, etag }, t('Deleted.'), [t('Delete this user?'), t('Everything of this user is deleted for good: names, authenticators, devices, sessions.'), t('Delete')]).then((ok) => { if (ok) go('/users'); })}>{t('Delete')}</Button>}
      </Head>
      <div className="grid">
        <Card title={t('Names')}>
          <dl className="facts">{user.identifiers.map((i) => <div key={i.kind + i.value} className="fact"><dt>{i.kind}</dt><dd>{i.value} {i.verified && <State is="yes">{t('verified')}</State>}</dd></div>)}</dl>
          <AddName base={base} helps={helps} />
        </Card>
        <Card title={t('Facts')}>
          <dl className="facts">
            <dt>{t('Id')}</dt><dd><code>{user.id}</code></dd>
            <dt>{t('State')}</dt><dd><State is={suspend ? 'yes' : 'no'}>{suspend ? t('Active') : t('Suspended')}</State></dd>
            <dt>{t('Added')}</dt><dd>{time(user.created_at)}</dd>
          </dl>
        </Card>
      </div>
      <Tabs label={t('User')} at={tab} onChange={(to) => go(`/users/${id}/${to}`, true)} tabs={[
        ['authenticators', t('Authenticators'), <Authenticators key="a" base={base} app={chosen} helps={helps} />],
        ['help', t('Help'), <Help key="h" base={base} app={chosen} helps={helps} />],
        ['devices', t('Devices'), <Devices key="d" base={base} helps={helps} />],
        ['sessions', t('Sessions'), <Sessions key="s" base={base} helps={helps} />],
        ['timeline', t('Time line'), <Events key="t" path={`${base}/timeline`} />],
      ]} />
    </>
  );
}

/** Does something to the user, asks before if told to, and says how it went. */
function useAct(base: string) {
  const send = useSend(base, '/users');
  const { toast, confirm } = useVoice();
  return async (s: Send, said: string, ask?: [string, string, string]) => {
    if (ask && !await confirm({ title: ask[0], text: ask[1], yes: ask[2], danger: true })) return false;
    try {
      await send.mutateAsync(s);
      toast(said);
      return true;
    } catch (e) {
      toast(wordsOf(e), true);
      return false;
    }
  };
}

function AddName({ base, helps }: { base: string; helps: boolean }) {
  const [open, setOpen] = useState(false);
  const [kind, setKind] = useState('email');
  const [value, setValue] = useState('');
  const act = useAct(base);
  if (!helps) return null;
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t('Add a name')}</Button>
      <Modal title={t('Add a name')} open={open} onClose={() => setOpen(false)}>
        <form onSubmit={(e) => { e.preventDefault(); void act({ method: 'POST', path: `${base}/identifiers`, body: { kind, value } }, t('Added.')).then((ok) => { if (ok) { setOpen(false); setValue(''); } }); }}>
          <Select label={t('Kind')} value={kind} onChange={setKind} options={[['email', t('E-mail address')], ['phone', t('Phone number')], ['username', t('Username')], ['external', t('External id')]]} />
          <TextField label={t('Name')} value={value} onChange={setValue} required />
          <div className="acts end"><Button type="submit" look="primary">{t('Add')}</Button></div>
        </form>
      </Modal>
    </>
  );
}

const states: Record<AuthenticatorStatus, ['yes' | 'no' | 'wait' | 'off', string]> = {
  active: ['yes', 'Active'], locked: ['wait', 'Locked'], permanently_locked: ['no', 'Locked for good'], deactivated: ['no', 'Locked by a person'], disabled: ['off', 'Switched off'],
};

function Authenticators({ base, app, helps }: { base: string; app: string; helps: boolean }) {
  const list = useList<Authenticator>(app ? `${base}/authenticators` : null, { app });
  const act = useAct(base);
  const q = { app };
  if (list.pending) return <Loading />;
  if (list.items.length === 0) return <Empty title={t('Nothing can prove this user yet')}>{t('Authenticators appear here when the user enrols them in a journey.')}</Empty>;
  const at = (a: Authenticator) => `${base}/authenticators/${seg(a.id)}`;
  return (
    <>
      <Failure error={list.error} />
      <Table<Authenticator> name={t('Authenticators')} rows={list.items} id={(a) => a.kind + a.id} columns={[
        { head: t('Method'), cell: (a) => a.title },
        { head: t('Name'), wide: true, cell: (a) => a.label },
        { head: t('State'), cell: (a) => <State is={states[a.status][0]}>{t(states[a.status][1])}{a.status === 'locked' && a.until && ` ${t('until {at}', { at: time(a.until) })}`}</State> },
        { head: t('Failures'), hide: true, cell: (a) => a.failures },
        { head: t('Last used'), hide: true, cell: (a) => ago(a.used_at) },
        { head: t('Acts'), cell: (a) => helps && (
          <Menu label={t('Change')} items={[
            { text: t('Unlock'), run: () => void act({ method: 'POST', path: `${base}/unlock`, body: { kind: a.kind, type: 'any', app } }, t('Unlocked.')), disabled: a.status === 'active' || a.status === 'disabled' },
            { text: t('Lock'), run: () => void act({ method: 'POST', path: `${at(a)}/lock`, query: q, body: { reason: 'console' } }, t('Locked.')), disabled: a.status !== 'active' },
            { text: t('Revoke'), danger: true, run: () => void act({ method: 'DELETE', path: at(a), query: q }, t('Revoked.'), [t('Revoke {name}?', { name: a.label || a.title }), t('The user cannot sign in with it any more and must enrol another.'), t('Revoke')]) },
          ]} />
        ) },
      ]} />
    </>
  );
}

function Help({ base, app, helps }: { base: string; app: string; helps: boolean }) {
  const list = useList<SupportAction>(app ? `${base}/actions` : null, { app });
  const [chosen, setChosen] = useState<SupportAction | null>(null);
  const [doc, setDoc] = useState<Doc>({});
  const send = useSend<Shown>(base);
  const close = () => { setChosen(null); setDoc({}); send.reset(); };
  if (list.pending) return <Loading />;
  if (list.items.length === 0) return <Empty title={t('No method offers help here')} />;
  return (
    <div className="grid">
      <Failure error={list.error} />
      {list.items.map((a) => <Card key={a.id} title={a.title}><p className="help">{a.text}</p>{helps && <Button look={a.danger ? 'danger' : undefined} onClick={() => setChosen(a)}>{a.title}</Button>}</Card>)}
      <Modal title={chosen?.title ?? ''} open={chosen !== null} onClose={close}>
        {send.data ? (
          <>
            <p>{send.data.value.text}</p>
            {(send.data.value.shown ?? []).map((s) => <Once key={s.label} label={s.label} value={s.value} />)}
            <div className="acts end"><Button onClick={close}>{t('Done')}</Button></div>
          </>
        ) : chosen && (
          <form onSubmit={(e) => { e.preventDefault(); send.mutate({ method: 'POST', path: `${base}/actions/${seg(chosen.id)}`, query: { app }, body: doc }); }}>
            <FormView form={chosen.form} value={doc} onChange={setDoc} />
            {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
            <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{chosen.title}</Button></div>
          </form>
        )}
      </Modal>
    </div>
  );
}

function Devices({ base, helps }: { base: string; helps: boolean }) {
  const list = useList<Device>(`${base}/devices`);
  const act = useAct(base);
  if (list.pending) return <Loading />;
  if (list.items.length === 0) return <Empty title={t('No phone or browser is known')} />;
  const at = (d: Device) => `${base}/devices/${seg(d.id)}`;
  return (
    <Table<Device> name={t('Devices')} rows={list.items} id={(d) => d.id} columns={[
      { head: t('Name'), wide: true, cell: (d) => d.name },
      { head: t('System'), hide: true, cell: (d) => `${d.platform} ${d.os_version}` },
      { head: t('Reached by'), hide: true, cell: (d) => d.push.join(', ') || '—' },
      { head: t('State'), cell: (d) => <State is={d.status === 'active' ? 'yes' : 'no'}>{d.status === 'active' ? t('Active') : t('Blocked')}</State> },
      { head: t('Last seen'), cell: (d) => ago(d.last_seen_at) },
      { head: t('Acts'), cell: (d) => helps && <Menu label={t('Change')} items={[
        d.status === 'active' ? { text: t('Block'), run: () => void act({ method: 'POST', path: `${at(d)}/block` }, t('Blocked.')) } : { text: t('Unblock'), run: () => void act({ method: 'POST', path: `${at(d)}/unblock` }, t('Unblocked.')) },
        { text: t('Forget'), danger: true, run: () => void act({ method: 'DELETE', path: at(d) }, t('Forgotten.'), [t('Forget {name}?', { name: d.name }), t('The phone must be set up anew.'), t('Forget')]) },
      ]} /> },
    ]} />
  );
}

function Sessions({ base, helps }: { base: string; helps: boolean }) {
  const list = useList<UserSession>(`${base}/sessions`);
  const act = useAct(base);
  if (list.pending) return <Loading />;
  if (list.items.length === 0) return <Empty title={t('Not signed in anywhere')} />;
  return (
    <>
      {helps && <div className="acts"><Button look="danger" onClick={() => void act({ method: 'DELETE', path: `${base}/sessions` }, t('Signed out everywhere.'), [t('Sign out everywhere?'), t('Every session and what was granted on it ends at once.'), t('Sign out')])}>{t('Sign out everywhere')}</Button></div>}
      <Table<UserSession> name={t('Sessions')} rows={list.items} id={(s) => s.id} columns={[
        { head: t('Client'), cell: (s) => s.client },
        { head: t('Proven by'), cell: (s) => s.methods.join(', ') },
        { head: t('From'), wide: true, hide: true, cell: (s) => `${s.address} ${s.user_agent}` },
        { head: t('Since'), cell: (s) => ago(s.created_at) },
        { head: t('Acts'), cell: (s) => helps && <Button onClick={() => void act({ method: 'DELETE', path: `${base}/sessions/${seg(s.id)}` }, t('Ended.'))}>{t('End')}</Button> },
      ]} />
    </>
  );
}
