// One organisation: what it is called, and who belongs to it.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useDoc, useList, useSend, useSettled, useThing, type Held, type List } from '../api/query.ts';
import type { App, Candidate, Member, Organisation } from '../api/types.ts';
import { Button, Card, Empty, Failure, Form, FormError, Head, Link, Loading, Modal, Select, State, TextField, unchanged, useVoice, wordsOf } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { meanwhile, theirs } from '../ui/theirs.ts';
import { go, leave, same, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { number, plural, t, time } from '../words/words.ts';
import { split } from './organisations.tsx';

const roles = (): [Member['role'], string][] => [['member', t('Member')], ['admin', t('Administrator of the organisation')]];

export default function OrganisationPage({ app, id }: { app: string; id: string }) {
  const list = `/apps/${seg(app)}/organisations`;
  const path = `${list}/${seg(id)}`;
  const [editing, setEditing] = useState(false);
  const { data, etag, error, pending, refetch, ...held } = useDoc<Organisation>(path, editing);
  const of = useThing<App>(`/apps/${seg(app)}`);
  const send = useSend(list);
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const back: [string, string] = [list, of.data?.name ?? t('Organisations')];
  if (pending) return <Loading />;
  if (error || !data) return <><Head title={t('Organisation')} back={back} /><Failure error={error} again={() => void refetch()} /></>;
  const remove = async () => {
    const text = data.members === 0 ? t('Nobody belongs to it.') : plural(data.members, 'One user loses the membership and stays a user.', '{n} users lose their membership and stay users.');
    if (!await confirm({ title: t('Delete {name}?', { name: data.name }), text, yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); go(list); } catch (e) { toast(wordsOf(e), true); }
  };
  return (
    <>
      <Head title={data.name} back={back}>
        {mine.can('PATCH /apps/{app}/organisations/{org}') && <Button onClick={() => setEditing(true)}>{t('Change')}</Button>}
        {mine.can('DELETE /apps/{app}/organisations/{org}') && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}
      </Head>
      <Card>
        <dl className="facts">
          <dt>{t('Id')}</dt><dd><code>{data.id}</code></dd>
          <dt>{t('Domains')}</dt><dd>{data.domains.join(', ') || '—'}</dd>
          <dt>{t('Members')}</dt><dd>{number(data.members)}</dd>
          <dt>{t('Added')}</dt><dd>{time(data.created_at)}</dd>
        </dl>
      </Card>
      {mine.can('GET /apps/{app}/organisations/{org}/members') && <Members path={path} list={list} name={data.name} />}
      <Modal title={t('Change')} open={editing} onClose={() => leave(() => setEditing(false))}>{editing && <Edit path={path} list={list} etag={etag} now={data} held={held} done={() => leave(() => setEditing(false))} />}</Modal>
    </>
  );
}

const typed = (org: Organisation) => ({ name: org.name, domains: org.domains.join(' ') });

function Edit({ path, list, etag, now, held, done }: { path: string; list: string; etag: string; now: Organisation; held: Held<Organisation>; done: () => void }) {
  const [doc, setDoc] = useState(typed(now));
  const send = useSend(list);
  const { toast } = useVoice();
  const dirty = doc.name !== now.name || !same(split(doc.domains), now.domains);
  const release = useUnsaved(dirty);
  const save = async () => { await send.mutateAsync({ method: 'PATCH', path, etag, body: { name: doc.name, domains: split(doc.domains) } }); release(); toast(t('Saved.')); done(); };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void save().catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={doc.name} onChange={(name) => setDoc({ ...doc, name })} required autoFocus maxLength={100} />
      <TextField at="domains" label={t('Domains')} value={doc.domains} onChange={(domains) => setDoc({ ...doc, domains })} help={t('Of their e-mail addresses, separated by spaces.')} />
      <FormError {...meanwhile(doc, (d) => { setDoc(d); send.reset(); }, held, typed, (was, is) => theirs([{ name: 'name', type: 'text', label: t('Name') }, { name: 'domains', type: 'list', label: t('Domains') }], was, is))} />
      <div className="acts end"><Button onClick={done}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={unchanged(dirty)}>{t('Save')}</Button></div>
    </Form>
  );
}

function Members({ path, list, name }: { path: string; list: string; name: string }) {
  const members = useList<Member>(`${path}/members`);
  const [adding, setAdding] = useState(false);
  const send = useSend(list);
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const sets = mine.can('PUT /apps/{app}/organisations/{org}/members/{user}');
  const at = (user: string) => `${path}/members/${seg(user)}`;
  const set = async (m: Member, role: string) => { try { await send.mutateAsync({ method: 'PUT', path: at(m.user_id), body: { role } }); toast(t('Changed.')); } catch (e) { toast(wordsOf(e), true); } };
  const remove = async (m: Member) => {
    if (!await confirm({ title: t('Remove {name}?', { name: m.name }), text: t('They are no member of {name} any more, and stay a user.', { name }), yes: t('Remove'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path: at(m.user_id) }); toast(t('Removed.')); } catch (e) { toast(wordsOf(e), true); }
  };
  const add = sets && mine.can('GET /apps/{app}/organisations/{org}/candidates') && <Button look="primary" onClick={() => setAdding(true)}>{t('Add a member')}</Button>;
  const person = (m: Member) => (mine.can('GET /users/{id}') ? <Link to={`/users/${seg(m.user_id)}`}>{m.name || m.user_id}</Link> : m.name || m.user_id);
  return (
    <section className="block">
      <div className="card-head"><h2>{t('Members')}</h2>{members.items.length > 0 && add}</div>
      <Failure error={members.error} again={() => void members.refetch()} />
      {members.pending ? <Loading /> : members.items.length === 0 ? !members.error && <Empty title={t('Nobody belongs to it yet')} action={add}>{t('Members sign in as users do; whoever asks for their tokens learns of which organisation they are.')}</Empty> : (
        <Table<Member> name={t('Members')} rows={members.items} id={(m) => m.user_id} more={members.more} next={members.next} fetching={members.fetching && members.more} columns={[
          { head: t('Name'), wide: true, cell: person },
          { head: t('Role'), cell: (m) => (sets ? <select className="inline" aria-label={t('Role of {name}', { name: m.name })} value={m.role} onChange={(e) => void set(m, e.target.value)}>{roles().map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select> : roles().find(([v]) => v === m.role)?.[1]) },
          ...(mine.can('DELETE /apps/{app}/organisations/{org}/members/{user}') ? [{ head: t('Actions'), cell: (m: Member) => <Button onClick={() => void remove(m)} aria-label={t('Remove {name}', { name: m.name })}>{t('Remove')}</Button> }] : []),
        ]} />
      )}
      <Modal title={t('Add a member')} open={adding} onClose={() => setAdding(false)}>{adding && <Add path={path} list={list} close={() => setAdding(false)} />}</Modal>
    </section>
  );
}

function Add({ path, list, close }: { path: string; list: string; close: () => void }) {
  const [q, setQ] = useState('');
  const [role, setRole] = useState<string>('member');
  const still = useSettled(q.trim());
  const found = useThing<List<Candidate>>(still.length > 2 ? `${path}/candidates` : null, { q: still });
  const send = useSend(list);
  const { toast } = useVoice();
  const add = async (c: Candidate) => { await send.mutateAsync({ method: 'PUT', path: `${path}/members/${seg(c.user_id)}`, body: { role } }); toast(t('{name} is a member now.', { name: c.name })); setQ(''); };
  const items = found.data?.items ?? [];
  return (
    <form onSubmit={(e) => { e.preventDefault(); const one = items.filter((c) => !c.role); if (one.length === 1) void add(one[0]!).catch(() => {}); }}>
      <TextField label={t('Search')} type="search" value={q} onChange={setQ} autoFocus autoComplete="off" placeholder={t('E-mail, phone, name or id')} help={t('The beginning is enough: three characters or more.')} />
      <Select label={t('Role')} value={role} onChange={setRole} options={roles()} />
      <Failure error={found.error ?? send.error} />
      {still.length > 2 && !found.pending && items.length === 0 && <p className="help" role="status">{t('No user of this name. Users are added on the page Users, or register themselves.')}</p>}
      <ul className="picks" aria-label={t('Users')}>{items.map((c) => (
        <li key={c.user_id}><span>{c.name}</span>{c.role ? <State is="yes">{roles().find(([v]) => v === c.role)?.[1]}</State> : <Button disabled={send.isPending} onClick={() => void add(c).catch(() => {})} aria-label={t('Add {name}', { name: c.name })}>{t('Add')}</Button>}</li>
      ))}</ul>
      <div className="acts end"><Button onClick={close}>{t('Done')}</Button></div>
    </form>
  );
}
