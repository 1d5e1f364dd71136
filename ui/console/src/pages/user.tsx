// One user: names, what proves them, their phones and sessions, what happened.

import { useRef, useState, type ReactNode } from 'react';
import { Problem, seg } from '../api/client.ts';
import { useList, useSend, useThing, type List } from '../api/query.ts';
import type { App, Authenticator, AuthenticatorStatus, Device, Identifier, Shown, SupportAction, User, UserSession } from '../api/types.ts';
import { Ago, Button, Card, Empty, Failure, Form, FormError, Head, Loading, Menu, Modal, Once, Select, State, Tabs, TextArea, TextField, useDo, useVoice, unchanged, wordsOf, type MenuItem } from '../ui/parts.tsx';
import { translated } from '../api/catalog.ts';
import { FormView, type Doc } from '../ui/form.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { number, said, t, time } from '../words/words.ts';
import { Events } from './events.tsx';

export default function UserPage({ id, tab }: { id: string; tab: string }) {
  const base = `/users/${seg(id)}`;
  const { data: user, etag, error, pending, refetch } = useThing<User>(base);
  const apps = useThing<List<App>>('/apps');
  const have = useList<Authenticator>(`${base}/authenticators`);
  const [app, setApp] = useState('');
  const found = useRef(''); // stays what it was when something is unlocked or revoked
  const act = useDo(base, '/users');
  const mine = useMine();
  if (pending) return <Loading />;
  if (error || !user) return <><Head title={t('User')} back={['/users', t('Users')]} /><Failure error={error} again={() => void refetch()} /></>;
  const items = apps.data?.items ?? [];
  if (!have.pending && !apps.pending) found.current ||= home(have.items) || items[0]?.id || '';
  const chosen = app || found.current;
  const inApp = (what: ReactNode) => (have.pending || apps.pending ? <Loading /> : (
    <>
      {items.length > 1 && <div className="filters"><Select label={t('Application')} value={chosen} onChange={setApp} options={items.map((a) => [a.id, a.name])} /></div>}
      {what}
    </>
  ));
  const suspend = user.status === 'active';
  return (
    <>
      <Head title={user.name || user.id} back={['/users', t('Users')]}>
        {mine.can('PATCH /users/{id}') && <Button onClick={() => void act({ method: 'PATCH', path: base, etag, body: { status: suspend ? 'suspended' : 'active' } }, suspend ? t('Suspended. Every session has ended.') : t('Active again.'), suspend ? [t('Suspend this user?'), t('They are signed out everywhere at once and cannot sign in until somebody activates them again.'), t('Suspend')] : undefined)}>{suspend ? t('Suspend') : t('Activate')}</Button>}
        {mine.can('DELETE /users/{id}') && <Button look="danger" onClick={() => void act({ method: 'DELETE', path: base, etag }, t('Deleted.'), [t('Delete this user?'), t('Everything of this user is deleted for good: names, authenticators, devices, sessions.'), t('Delete')]).then((ok) => { if (ok) go('/users'); })}>{t('Delete')}</Button>}
      </Head>
      <div className="grid">
        <Card title={t('Names')}>
          {user.identifiers.length === 0 && <p className="help">{t('No name: only the id finds this user.')}</p>}
          <ul className="names">{user.identifiers.map((i) => <Name key={i.kind + i.value} base={base} i={i} alone={user.identifiers.filter((x) => x.kind === i.kind).length < 2} />)}</ul>
          <AddName base={base} />
        </Card>
        <Card title={t('Facts')}>
          <dl className="facts">
            <dt>{t('Id')}</dt><dd><code>{user.id}</code></dd>
            <dt>{t('State')}</dt><dd><State is={suspend ? 'yes' : 'no'}>{suspend ? t('Active') : t('Suspended')}</State></dd>
            <dt>{t('Added')}</dt><dd>{time(user.created_at)}</dd>
            {Object.entries(user.custom ?? {}).map(([k, v]) => <div key={k} className="fact"><dt>{k}</dt><dd>{typeof v === 'string' ? v : JSON.stringify(v)}</dd></div>)}
          </dl>
          {mine.can('PATCH /users/{id}') && <Attributes base={base} etag={etag} now={user.custom ?? {}} />}
        </Card>
      </div>
      <Tabs label={t('User')} at={tab} onChange={(to) => go(`/users/${id}/${to}`, { replace: true, stay: true })} tabs={[
        ['authenticators', t('Authenticators'), inApp(<Authenticators base={base} app={chosen} />)],
        ['help', t('Help'), inApp(<Help base={base} app={chosen} />)],
        ['devices', t('Devices'), <Devices key="d" base={base} />],
        ['sessions', t('Sessions'), <Sessions key="s" base={base} />],
        ['timeline', t('Timeline'), <Timeline key="t" base={base} id={id} />],
      ]} />
    </>
  );
}

/** The application to begin with: where something is locked, or where most was enrolled; none where nothing was. */
function home(have: Authenticator[]): string {
  const weight = new Map<string, number>();
  for (const a of have) weight.set(a.app, (weight.get(a.app) ?? 0) + (a.status === 'active' ? 0 : 100) + (a.id === a.kind ? 0 : 1));
  const [app = '', most = 0] = [...weight].sort(([, a], [, b]) => b - a)[0] ?? [];
  return most > 0 ? app : '';
}

const kinds = (): [Identifier['kind'], string][] => [['email', t('E-mail address')], ['phone', t('Phone number')], ['username', t('Username')], ['external', t('External id')]];

/** One name, and what can be done with it. */
function Name({ base, i, alone }: { base: string; i: Identifier; alone: boolean }) {
  const act = useDo(base, '/users');
  const mine = useMine();
  const [changing, setChanging] = useState(false);
  const at = `${base}/identifiers/${seg(i.kind)}/${seg(i.value)}`;
  const items: MenuItem[] = [
    ...(mine.can('PUT /users/{id}/identifiers/{kind}/{value}') ? [{ text: t('Change'), run: () => setChanging(true) }] : []),
    ...(!i.verified && mine.can('POST /users/{id}/identifiers/{kind}/{value}/verify') ? [{ text: t('Take it for verified'), run: () => void act({ method: 'POST', path: `${at}/verify` }, t('Verified.'), [t('Take {name} for verified?', { name: i.value }), t('Do so only if you know that it is theirs: codes and links sent there let somebody in.'), t('Take it for verified')]) }] : []),
    ...(!i.primary && !alone && mine.can('POST /users/{id}/identifiers/{kind}/{value}/primary') ? [{ text: t('Reach them by this one'), run: () => void act({ method: 'POST', path: `${at}/primary` }, t('Changed.')) }] : []),
    ...(mine.can('DELETE /users/{id}/identifiers/{kind}/{value}') ? [{ text: t('Remove'), danger: true, run: () => void act({ method: 'DELETE', path: at }, t('Removed.'), [t('Remove {name}?', { name: i.value }), t('They cannot sign in by this name any more.'), t('Remove')]) }] : []),
  ];
  return (
    <li>
      <span><small className="help">{kinds().find(([k]) => k === i.kind)?.[1] ?? i.kind}</small> {i.value} {i.verified && <State is="yes">{t('verified')}</State>} {i.primary && !alone && <State is="off">{t('reached by it')}</State>}</span>
      {items.length > 0 && <Menu look="quiet" label="⋯" name={`${t('Change')}: ${i.value}`} items={items} />}
      <Modal title={`${t('Change')}: ${i.value}`} open={changing} onClose={() => leave(() => setChanging(false))}>{changing && <ChangeName base={base} at={at} i={i} shut={() => setChanging(false)} />}</Modal>
    </li>
  );
}

/** Another name in the place of one, such as an address that was mistyped. */
function ChangeName({ base, at, i, shut }: { base: string; at: string; i: Identifier; shut: () => void }) {
  const [value, setValue] = useState(i.value);
  const send = useSend(base, '/users');
  const release = useUnsaved(value !== i.value);
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void send.mutateAsync({ method: 'PUT', path: at, body: { value } }).then(() => { release(); shut(); }).catch(() => {}); }}>
      <TextField at="value" label={kinds().find(([k]) => k === i.kind)?.[1] ?? i.kind} value={value} onChange={setValue} required autoFocus type={i.kind === 'email' ? 'email' : i.kind === 'phone' ? 'tel' : 'text'} help={i.kind === 'email' || i.kind === 'phone' ? t('It is not verified until they show that it is theirs.') : undefined} />
      <FormError />
      <div className="acts end"><Button onClick={() => leave(shut)}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={unchanged(value !== i.value)}>{t('Change')}</Button></div>
    </Form>
  );
}

function AddName({ base }: { base: string }) {
  const [open, setOpen] = useState(false);
  const [kind, setKind] = useState<string>('email');
  const [value, setValue] = useState('');
  const send = useSend(base, '/users');
  const adds = useMine().can('POST /users/{id}/identifiers');
  const release = useUnsaved(open && value !== '');
  if (!adds) return null;
  const shut = () => { release(); setOpen(false); setValue(''); send.reset(); };
  const close = () => leave(shut);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t('Add a name')}</Button>
      <Modal title={t('Add a name')} open={open} onClose={close}>
        <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void send.mutateAsync({ method: 'POST', path: `${base}/identifiers`, body: { kind, value } }).then(shut).catch(() => {}); }}>
          <Select at="kind" label={t('Kind')} value={kind} onChange={setKind} options={kinds()} />
          <TextField at="value" label={t('Name')} value={value} onChange={setValue} required autoFocus type={kind === 'email' ? 'email' : kind === 'phone' ? 'tel' : 'text'} help={kind === 'phone' ? t('With the country code: +49…') : undefined} />
          <FormError />
          <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
        </Form>
      </Modal>
    </>
  );
}

/** What else is known of the user, as JSON: journeys read and write it. */
function Attributes({ base, etag, now }: { base: string; etag: string; now: Record<string, unknown> }) {
  const [text, setText] = useState<string | null>(null);
  const [wrong, setWrong] = useState('');
  const send = useSend(base, '/users');
  const release = useUnsaved(text !== null && text !== JSON.stringify(now, null, 2));
  const shut = () => { release(); setText(null); setWrong(''); send.reset(); };
  const close = () => leave(shut);
  const save = async () => {
    let doc: unknown;
    try { doc = JSON.parse(text ?? ''); } catch { doc = null; }
    if (typeof doc !== 'object' || doc === null || Array.isArray(doc)) { setWrong(t('This is no JSON object.')); return; }
    setWrong('');
    const gone = Object.fromEntries(Object.keys(now).filter((k) => !(k in doc)).map((k) => [k, null]));
    await send.mutateAsync({ method: 'PATCH', path: base, etag, body: { custom: { ...gone, ...doc } } });
    shut();
  };
  return (
    <>
      <Button onClick={() => setText(JSON.stringify(now, null, 2))}>{t('Attributes')}</Button>
      <Modal title={t('Attributes')} open={text !== null} onClose={close}>
        <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void save().catch(() => {}); }}>
          <TextArea at="custom" label={t('JSON')} rows={10} value={text ?? ''} onChange={setText} problem={wrong || undefined} help={t('Of your own: journeys read and write them. What you leave out is removed.')} />
          <FormError />
          <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button></div>
        </Form>
      </Modal>
    </>
  );
}

const states: Record<AuthenticatorStatus, ['yes' | 'no' | 'wait' | 'off', string]> = {
  active: ['yes', 'Active'], locked: ['wait', 'Locked'], permanently_locked: ['no', 'Locked for good'], deactivated: ['no', 'Locked by a person'], disabled: ['off', 'Switched off'],
};

function Authenticators({ base, app }: { base: string; app: string }) {
  const list = useList<Authenticator>(app ? `${base}/authenticators` : null, { app });
  const act = useDo(base, '/users');
  const mine = useMine();
  const send = useSend(base, '/users');
  const { toast, confirm } = useVoice();
  const [named, setNamed] = useState<Authenticator | null>(null);
  const q = { app };
  if (list.pending) return <Loading />;
  if (list.error) return <Failure error={list.error} again={() => void list.refetch()} />;
  if (list.items.length === 0) return <Empty title={t('Nothing can prove this user yet')}>{t('Authenticators appear here when the user enrols them in a journey.')}</Empty>;
  const at = (a: Authenticator) => `${base}/authenticators/${seg(a.id)}`;
  const revoke = async (a: Authenticator) => {
    const ask = (text: string) => confirm({ title: t('Revoke {name}?', { name: a.label || said(a.title) }), text, yes: t('Revoke'), danger: true });
    const gone = (force: boolean) => send.mutateAsync({ method: 'DELETE', path: at(a), query: { app, force: force || undefined } });
    if (!await ask(t('The user cannot sign in with it any more and must enrol another.'))) return;
    try {
      await gone(false).catch(async (e) => {
        if (!(e instanceof Problem && e.code === 'conflict')) throw e;
        if (!await ask(`${said(e.message)} ${t('Without it they must be helped to sign in.')}`)) throw null;
        return gone(true);
      });
      toast(t('Revoked.'));
    } catch (e) { if (e) toast(wordsOf(e), true); }
  };
  /** What was not enrolled, such as a code by mail, goes by its kind: there is nothing to rename or revoke. */
  const enrolled = (a: Authenticator) => a.id !== a.kind;
  const items = (a: Authenticator): MenuItem[] => [
    { text: t('Unlock'), run: () => void act({ method: 'POST', path: `${base}/unlock`, body: { kind: a.kind, type: 'any', app } }, t('Unlocked.')), disabled: a.status === 'active' || a.status === 'disabled' },
    ...(mine.can('POST /users/{id}/authenticators/{aid}/lock') ? [{ text: t('Lock'), run: () => void act({ method: 'POST', path: `${at(a)}/lock`, query: q, body: { reason: 'console' } }, t('Locked.'), [t('Lock {name}?', { name: a.label || said(a.title) }), t('It proves nobody until somebody unlocks it.'), t('Lock')]), disabled: a.status !== 'active' }] : []),
    ...(enrolled(a) && mine.can('PATCH /users/{id}/authenticators/{aid}') ? [{ text: t('Rename'), run: () => setNamed(a) }] : []),
    ...(enrolled(a) && mine.can('DELETE /users/{id}/authenticators/{aid}') ? [null, { text: t('Revoke'), danger: true, run: () => void revoke(a) }] : []),
  ];
  return (
    <>
      <Table<Authenticator> name={t('Authenticators')} rows={list.items} id={(a) => a.kind + a.id} columns={[
        { head: t('Method'), cell: (a) => said(a.title) },
        { head: t('Name'), wide: true, cell: (a) => a.label },
        { head: t('State'), cell: (a) => <State is={states[a.status][0]}>{t(states[a.status][1])}{a.status === 'locked' && a.until && ` ${t('until {at}', { at: time(a.until) })}`}</State> },
        { head: t('Failures'), hide: true, cell: (a) => number(a.failures) },
        { head: t('Last used'), hide: true, cell: (a) => <Ago at={a.used_at} /> },
        ...(mine.can('POST /users/{id}/unlock') ? [{ head: t('Actions'), cell: (a: Authenticator) => <Menu label={t('Change')} name={`${t('Change')}: ${said(a.title)} ${a.label}`} items={items(a)} /> }] : []),
      ]} />
      <Modal title={t('Rename')} open={named !== null} onClose={() => setNamed(null)}>{named && <Rename path={at(named)} app={app} base={base} now={named.label} done={() => setNamed(null)} />}</Modal>
    </>
  );
}

function Rename({ path, app, base, now, done }: { path: string; app: string; base: string; now: string; done: () => void }) {
  const [label, setLabel] = useState(now);
  const send = useSend(base);
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void send.mutateAsync({ method: 'PATCH', path, query: { app }, body: { label } }).then(done).catch(() => {}); }}>
      <TextField at="label" label={t('Name')} value={label} onChange={setLabel} required maxLength={100} autoFocus />
      <FormError />
      <div className="acts end"><Button onClick={done}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button></div>
    </Form>
  );
}

function Help({ base, app }: { base: string; app: string }) {
  const mine = useMine();
  const helps = mine.can('POST /users/{id}/actions/{action}');
  const deletes = mine.can('DELETE /users/{id}');
  const list = useList<SupportAction>(app ? `${base}/actions` : null, { app });
  const [chosen, setChosen] = useState<SupportAction | null>(null);
  const [doc, setDoc] = useState<Doc>({});
  const send = useSend<Shown>(base);
  const close = () => { setChosen(null); setDoc({}); send.reset(); };
  if (list.pending) return <Loading />;
  if (list.error) return <Failure error={list.error} again={() => void list.refetch()} />;
  const without = !deletes && <Card title={t('Delete this user')}><p className="help">{t('Your role may not. Users do it themselves on their account page, by “Delete account”; otherwise an owner or a security administrator does.')}</p></Card>;
  if (list.items.length === 0) return <><Empty title={t('No method offers help here')}>{t('Passwords, codes and phones do, where they are switched on in the application.')}</Empty>{without}</>;
  return (
    <div className="grid">
      {translated(list.items).map((a) => <Card key={a.id} title={a.title}><p className="help">{a.text}</p>{helps && <Button look={a.danger ? 'danger' : undefined} onClick={() => setChosen(a)}>{a.title}</Button>}</Card>)}
      {without}
      <Modal title={chosen?.title ?? ''} open={chosen !== null} onClose={close}>
        {send.data ? (
          <>
            <p>{said(send.data.value.text)}</p>
            {(send.data.value.shown ?? []).map((s) => <div key={s.label}><Once label={said(s.label)} value={s.value} />{s.qr && <img className="qr" src={`data:image/svg+xml,${encodeURIComponent(s.qr)}`} alt={t('The same as a QR code')} />}</div>)}
            <div className="acts end"><Button onClick={close}>{t('Done')}</Button></div>
          </>
        ) : chosen && (
          <Form error={send.error} onSubmit={(e) => { e.preventDefault(); send.mutate({ method: 'POST', path: `${base}/actions/${seg(chosen.id)}`, query: { app }, body: doc }); }}>
            <p>{chosen.text}</p>
            <FormView form={chosen.form} value={doc} onChange={setDoc} />
            <FormError />
            <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{chosen.title}</Button></div>
          </Form>
        )}
      </Modal>
    </div>
  );
}

function Devices({ base }: { base: string }) {
  const list = useList<Device>(`${base}/devices`);
  const act = useDo(base, '/users');
  const mine = useMine();
  if (list.pending) return <Loading />;
  if (list.error) return <Failure error={list.error} again={() => void list.refetch()} />;
  if (list.items.length === 0) return <Empty title={t('No phone or browser is known')}>{t('Phones appear here when they are set up for this user, browsers when they are remembered.')}</Empty>;
  const at = (d: Device) => `${base}/devices/${seg(d.id)}`;
  return (
    <Table<Device> name={t('Devices')} rows={list.items} id={(d) => d.id} columns={[
      { head: t('Name'), wide: true, cell: (d) => d.name },
      { head: t('System'), hide: true, cell: (d) => `${d.platform} ${d.os_version}`.trim() || '—' },
      { head: t('Reached by'), hide: true, cell: (d) => d.push.filter((kind) => kind !== 'none').join(', ') || '—' },
      { head: t('State'), cell: (d) => <State is={d.status === 'active' ? 'yes' : 'no'}>{d.status === 'active' ? t('Active') : t('Blocked')}</State> },
      { head: t('Last seen'), cell: (d) => <Ago at={d.last_seen_at} /> },
      ...(mine.can('POST /users/{id}/devices/{did}/block') ? [{ head: t('Actions'), cell: (d: Device) => <Menu label={t('Change')} name={`${t('Change')}: ${d.name}`} items={[
        d.status === 'active' ? { text: t('Block'), run: () => void act({ method: 'POST', path: `${at(d)}/block` }, t('Blocked.'), [t('Block {name}?', { name: d.name }), t('It approves nothing until somebody unblocks it.'), t('Block')]) } : { text: t('Unblock'), run: () => void act({ method: 'POST', path: `${at(d)}/unblock` }, t('Unblocked.')) },
        { text: t('Forget'), danger: true, run: () => void act({ method: 'DELETE', path: at(d) }, t('Forgotten.'), [t('Forget {name}?', { name: d.name }), t('The phone must be set up anew.'), t('Forget')]) },
      ]} /> }] : []),
    ]} />
  );
}

function Sessions({ base }: { base: string }) {
  const list = useList<UserSession>(`${base}/sessions`);
  const act = useDo(base, '/users');
  const mine = useMine();
  if (list.pending) return <Loading />;
  if (list.error) return <Failure error={list.error} again={() => void list.refetch()} />;
  if (list.items.length === 0) return <Empty title={t('Not signed in anywhere')}>{t('Sessions appear here when the user signs in. Each can be ended.')}</Empty>;
  return (
    <>
      {mine.can('DELETE /users/{id}/sessions') && <div className="acts"><Button look="danger" onClick={() => void act({ method: 'DELETE', path: `${base}/sessions` }, t('Signed out everywhere.'), [t('Sign out everywhere?'), t('Every session and what was granted on it ends at once.'), t('Sign out')])}>{t('Sign out everywhere')}</Button></div>}
      <Table<UserSession> name={t('Sessions')} rows={list.items} id={(s) => s.id} columns={[
        { head: t('Client'), cell: (s) => s.client },
        { head: t('Proven by'), cell: (s) => s.methods.join(', ') },
        { head: t('Where from'), wide: true, hide: true, cell: (s) => `${s.address} ${s.user_agent}` },
        { head: t('Since'), cell: (s) => <Ago at={s.created_at} /> },
        { head: t('Until'), hide: true, cell: (s) => time(s.expires_at) },
        ...(mine.can('DELETE /users/{id}/sessions/{sid}') ? [{ head: t('Actions'), cell: (s: UserSession) => <Button aria-label={`${t('End')}: ${s.client}`} onClick={() => void act({ method: 'DELETE', path: `${base}/sessions/${seg(s.id)}` }, t('Ended.'))}>{t('End')}</Button> }] : []),
      ]} />
    </>
  );
}

/** What happened to one user, from where, and that of one kind or time alone. */
function Timeline({ base, id }: { base: string; id: string }) {
  const [f, setF] = useState({ type: '', outcome: '', from: '', to: '' });
  const set = (k: keyof typeof f) => (v: string) => setF({ ...f, [k]: v });
  const moment = (at: string) => at && new Date(at).toISOString();
  return (
    <>
      <div className="filters">
        <Select label={t('What')} value={f.type} onChange={set('type')} options={[['', t('All')], ['auth.', t('What they signed in with')], ['push.', t('Requests to their phone')], ['session.', t('Sessions')], ['admin.', t('What administrators did')]]} />
        <Select label={t('Outcome')} value={f.outcome} onChange={set('outcome')} options={[['', t('All')], ['success', t('Success')], ['failure', t('Failure')]]} />
        <label>{t('From')}<input type="datetime-local" value={f.from} onChange={(e) => set('from')(e.target.value)} /></label>
        <label>{t('Until')}<input type="datetime-local" value={f.to} onChange={(e) => set('to')(e.target.value)} /></label>
      </div>
      <Events path={`${base}/timeline`} about={id} query={{ ...f, from: moment(f.from), to: moment(f.to) }} />
    </>
  );
}
