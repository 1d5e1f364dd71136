// What happened today, whether all is well, and what to do next.

import { useState } from 'react';
import { useSettled, useThing, type List } from '../api/query.ts';
import type { AuditItem, Overview, User } from '../api/types.ts';
import { Ago, Card, Copy, Failure, Head, Link, Loading, Select, State, Tabs } from '../ui/parts.tsx';
import { useMine } from '../session.ts';
import { clock, day, number, plural, t } from '../words/words.ts';
import { useCatalog } from '../api/catalog.ts';
import { What } from './events.tsx';

/** An address of the server's list of next steps, as a place here. */
const place = (href: string) => href.replace(/^\/console/, '') || '/';

const nextTitles: Record<string, string> = {
  passkey: 'Add a passkey', client: 'Add an application with a web client', redirect: 'Say where sign-ins return to',
  journey: 'Publish a journey', mail: 'Connect a mail server', second: 'Invite a second owner',
};
const nextTexts: Record<string, string> = {
  passkey: 'The link that let you in works once. A passkey lets you in from now on.', client: 'A client is what your pages sign people in with.', redirect: 'A browser returns only to addresses that a client names.',
  journey: 'It says who may sign in, and how.', mail: 'Codes and links are mailed by it.', second: 'So that a lost passkey locks nobody out.',
};
const healthTexts: Record<string, string> = {
  Database: 'Database', jobs: 'Messages and jobs', clock: 'Reachable, up to date, and its clock agrees.', queue: 'Nothing is held up.',
  parked: 'Some were given up after many tries. The log says which and why.', late: 'Some have waited for more than a minute.',
};
/** What the server says of its health, in the reader's language where we know the sentence. */
const healthy = (text: string) => (Object.values(healthTexts).includes(text) ? t(text) : text);

export default function Home() {
  const [hours, setHours] = useState('24');
  const { data, error, pending, refetch } = useThing<Overview>('/overview', { hours }, { every: 30_000 });
  const catalog = useCatalog();
  const mine = useMine();
  if (pending && !data) return <Loading what={t('Looking at the last hours…')} />;
  if (error || !data) return <><Head title={t('Home')} /><Failure error={error} again={() => void refetch()} /></>;
  const sum = (of: 'succeeded' | 'failed') => data.sign_ins.reduce((n, m) => n + m[of], 0);
  const todo = data.next_steps.filter((s) => !s.done);
  const title = (kind: string) => catalog.data?.methods.find((m) => m.kind === kind)?.title ?? kind;
  const figures: [string, number][] = [
    [t('Proofs given'), sum('succeeded')], [t('Proofs refused'), sum('failed')], [t('Locks'), data.lockouts], [t('Approved by phone'), data.approvals.approved ?? 0],
    [t('Denied by phone'), data.approvals.denied ?? 0], [t('Journeys completed'), data.journeys.completed ?? 0], [t('Journeys rejected'), data.journeys.rejected ?? 0],
  ];
  return (
    <>
      <Head title={t('Good to see you, {name}', { name: mine.session.administrator!.name || mine.session.administrator!.email })}>
        <Select label={t('Time')} value={hours} onChange={setHours} options={[['1', t('Last hour')], ['24', t('Last day')], ['168', t('Last week')]]} />
      </Head>
      {todo.length > 0 && <Card title={t('Next')}><ul className="next">{todo.map((s) => <li key={s.id}><Link to={place(s.href)}>{t(nextTitles[s.id] ?? s.title)}</Link><span className="help">{t(nextTexts[s.id] ?? s.text)}</span></li>)}</ul></Card>}
      <dl className="figures">{figures.map(([name, n]) => <div key={name} className="card"><dt>{name}</dt><dd className="figure">{number(n)}</dd></div>)}</dl>
      <div className="grid">
        <Card title={t('Proofs by hour')}>{data.series.some((s) => s.succeeded + s.failed > 0) ? <Bars series={data.series} /> : <p className="help">{t('Nothing yet. Sign in at the playground, or with your own page.')}</p>}</Card>
        <Card title={t('By method')}>
          {data.sign_ins.length === 0 ? <p className="help">{t('No method was used yet.')}</p> : <dl className="facts">{data.sign_ins.map((m) => [<dt key={m.method}>{title(m.method)}</dt>, <dd key={`${m.method}v`}><State is="yes">{number(m.succeeded)}</State> {m.failed > 0 && <State is="no">{number(m.failed)}</State>}</dd>])}</dl>}
        </Card>
        <Card title={t('Health')}><dl className="facts stacked">{data.health.map((h) => [<dt key={h.name}>{healthy(h.name)}</dt>, <dd key={`${h.name}v`}><State is={h.ok ? 'yes' : 'no'}>{healthy(h.detail) || (h.ok ? t('well') : t('not well'))}</State></dd>])}</dl></Card>
        {mine.can('GET /audit') && <Lately />}
        {mine.can('POST /apps') ? <Code s={data.snippet} /> : mine.can('GET /users') && <Find />}
      </div>
    </>
  );
}

/** Entries of the same kind, by the same one to the same, that follow each other: somebody who draws stores every few seconds. */
function together(items: AuditItem[]): { e: AuditItem; times: number }[] {
  const out: { e: AuditItem; times: number }[] = [];
  for (const e of items) {
    const last = out.at(-1);
    if (last && last.e.type === e.type && last.e.actor === e.actor && last.e.target === e.target) last.times++; else out.push({ e, times: 1 });
  }
  return out;
}

/** The newest entries of the record. */
function Lately() {
  const { data, error } = useThing<List<AuditItem>>('/audit', { limit: 40 }, { every: 30_000 });
  return (
    <Card className="whole" title={t('Lately')} acts={<Link to="/audit">{t('Open the audit record')}</Link>}>
      {error ? <Failure error={error} /> : data?.items.length === 0 ? <p className="help">{t('Nothing happened yet')}</p> : (
        <ul className="lately">{together(data?.items ?? []).slice(0, 8).map(({ e, times }) => <li key={e.id}><State is={e.outcome === 'failure' ? 'no' : 'yes'}><What type={e.type} />{times > 1 && ` × ${number(times)}`}</State><span>{e.target_name || e.actor_name}</span><small className="help"><Ago at={e.at} /></small></li>)}</ul>
      )}
    </Card>
  );
}

/** Whom somebody who helps is asked about. */
function Find() {
  const [q, setQ] = useState('');
  const asked = useSettled(q);
  const found = useThing<List<User>>(asked ? '/users' : null, { q: asked, limit: 5 });
  return (
    <Card className="whole" title={t('Users')} acts={<Link to="/users">{t('All')}</Link>}>
      <div className="filters" role="search"><label>{t('Search')}<input type="search" value={q} placeholder={t('E-mail, phone, name or id')} onChange={(e) => setQ(e.target.value)} /></label></div>
      <div role="status">{asked && (found.error ? <Failure error={found.error} /> : found.data?.items.length === 0 ? <p className="help">{t('Nobody fits')}</p> : <ul className="lately">{found.data?.items.map((u) => <li key={u.id}><Link to={`/users/${u.id}`}>{u.name || u.id}</Link><span>{u.identifiers.map((i) => i.value).filter((v) => v !== u.name).join(', ')}</span></li>)}</ul>)}</div>
    </Card>
  );
}

/** A first sign-in with the ids that there are. */
function Code({ s }: { s: Overview['snippet'] }) {
  const [at, setAt] = useState('sdk');
  if (!s.client_id) return <Card className="whole" title={t('For your page')}><p className="help">{t('Add an application with a web client, and the code for your page stands here with its ids.')}</p></Card>;
  const texts: [string, string, string][] = [
    ['sdk', t('Browser'), `import { ido } from '@transmitsecurity/platform-web-sdk/ido';
await ido.initialize({ clientId: '${s.client_id}', ido: { serverPath: '${s.issuer}/ido' } });
let step = await ido.startJourney('${s.journey}');`],
    ['openid', 'OpenID Connect', `${s.issuer}/.well-known/openid-configuration

${s.issuer}/authorize?response_type=code&client_id=${s.client_id}
  &redirect_uri=${s.redirect_uri ? encodeURIComponent(s.redirect_uri.replace(':*', ':3000')) : '…'}&scope=openid%20email
  &state=…&code_challenge=…&code_challenge_method=S256`],
    ['page', t('The server’s own page'), `${s.issuer}/login/${s.client_id}/${s.journey}`],
  ];
  const text = texts.find(([id]) => id === at)![2];
  return (
    <Card className="whole" title={t('For your page')} acts={<Copy text={text} />}>
      <Tabs label={t('For your page')} at={at} onChange={setAt} tabs={texts.map(([id, name, body]) => [id, name, <pre key={id} tabIndex={0}><code>{body}</code></pre>])} />
    </Card>
  );
}

/** Proofs and refusals by the hour; the same in words for who listens. */
function Bars({ series }: { series: Overview['series'] }) {
  const most = Math.max(1, ...series.map((s) => s.succeeded + s.failed));
  const w = 100 / series.length;
  const name = (at: string) => (series.length > 48 ? day(at) : clock(at));
  const said = series.filter((s) => s.succeeded + s.failed > 0).map((s) => `${name(s.at)} ${clock(s.at)}: ${plural(s.succeeded, '{n} given', '{n} given')}, ${plural(s.failed, '{n} refused', '{n} refused')}`);
  const marks = series.length < 3 ? [0] : [0, Math.floor((series.length - 1) / 2), series.length - 1];
  return (
    <div>
      <svg className="bars" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={said.join('; ')}>
        {series.map((s, i) => {
          const good = (38 * s.succeeded) / most;
          const bad = (38 * s.failed) / most;
          return <g key={s.at}><title>{`${name(s.at)}: ${number(s.succeeded)} / ${number(s.failed)}`}</title><rect className="good" x={i * w + w * 0.1} width={w * 0.8} y={40 - good} height={good} /><rect className="bad" x={i * w + w * 0.1} width={w * 0.8} y={40 - good - bad} height={bad} /></g>;
        })}
      </svg>
      <div className="axis" aria-hidden="true">{marks.map((i) => <small key={i}>{name(series[i]!.at)}</small>)}</div>
      <p className="legend" aria-hidden="true"><State is="yes">{t('Proofs given')}</State> <State is="no">{t('Proofs refused')}</State></p>
    </div>
  );
}
