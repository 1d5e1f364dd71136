// What happened today, whether all is well, and what to do next.

import { useState } from 'react';
import { useThing } from '../api/query.ts';
import type { Overview } from '../api/types.ts';
import { Card, Copy, Empty, Failure, Head, Link, Loading, Select, State } from '../ui/parts.tsx';
import { useMine } from '../session.ts';
import { clock, number, t } from '../words/words.ts';

/** An address of the server's list of next steps, as a place here. */
const place = (href: string) => href.replace(/^\/console/, '') || '/';

export default function Home() {
  const [hours, setHours] = useState('24');
  const { data, error, pending, refetch } = useThing<Overview>('/overview', { hours }, { every: 30_000 });
  const mine = useMine();
  if (pending) return <Loading what={t('Looking at the last hours…')} />;
  if (error || !data) return <><Head title={t('Home')} /><Failure error={error} again={() => void refetch()} /></>;
  const total = data.sign_ins.reduce((n, m) => n + m.succeeded, 0);
  const failed = data.sign_ins.reduce((n, m) => n + m.failed, 0);
  const todo = data.next_steps.filter((s) => !s.done);
  const figures: [string, number, string?][] = [[t('Proofs given'), total], [t('Refused'), failed], [t('Approvals'), data.approvals.approved ?? 0], [t('Denied'), data.approvals.denied ?? 0], [t('Locks'), data.lockouts], [t('Journeys completed'), data.journeys.completed ?? 0], [t('Journeys rejected'), data.journeys.rejected ?? 0]];
  return (
    <>
      <Head title={t('Good to see you, {name}', { name: mine.session.administrator!.name || mine.session.administrator!.email })}>
        <Select label={t('Time')} value={hours} onChange={setHours} options={[['1', t('Last hour')], ['24', t('Last day')], ['168', t('Last week')]]} />
      </Head>
      {todo.length > 0 && <Card title={t('Next')}><ul className="next">{todo.map((s) => <li key={s.id}><Link to={place(s.href)}>{s.title}</Link><span className="help">{s.text}</span></li>)}</ul></Card>}
      <div className="figures">{figures.map(([name, n]) => <div key={name} className="card"><span className="figure">{number(n)}</span><span>{name}</span></div>)}</div>
      <div className="grid">
        <Card title={t('Proofs by hour')}>{data.series.some((s) => s.succeeded + s.failed > 0) ? <Bars series={data.series} /> : <p className="help">{t('Nothing yet. Sign in at the playground, or with your own page.')}</p>}</Card>
        <Card title={t('By method')}>
          {data.sign_ins.length === 0 ? <p className="help">{t('No method was used yet.')}</p> : <dl className="facts">{data.sign_ins.map((m) => [<dt key={m.method}>{m.method}</dt>, <dd key={`${m.method}v`}><State is="yes">{number(m.succeeded)}</State> {m.failed > 0 && <State is="no">{number(m.failed)}</State>}</dd>])}</dl>}
        </Card>
        <Card title={t('Health')}><dl className="facts">{data.health.map((h) => [<dt key={h.name}>{h.name}</dt>, <dd key={`${h.name}v`}><State is={h.ok ? 'yes' : 'no'}>{h.detail || (h.ok ? t('well') : t('not well'))}</State></dd>])}</dl></Card>
        <Card className="whole" title={t('For your page')} acts={<Copy text={snippet(data.snippet)} />}><pre tabIndex={0}><code>{snippet(data.snippet)}</code></pre></Card>
      </div>
      {data.sign_ins.length === 0 && todo.length === 0 && <Empty title={t('All set')}>{t('As soon as people sign in, you see it here.')}</Empty>}
    </>
  );
}

const snippet = (s: Overview['snippet']) => `import { ido } from '@transmitsecurity/platform-web-sdk/ido';
await ido.initialize({ clientId: '${s.client_id}', ido: { serverPath: '${s.issuer}/ido' } });
let step = await ido.startJourney('${s.journey}');`;

/** Proofs and refusals by the hour; the same as a table for who listens. */
function Bars({ series }: { series: Overview['series'] }) {
  const most = Math.max(1, ...series.map((s) => s.succeeded + s.failed));
  const w = 100 / series.length;
  return (
    <svg className="bars" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={series.filter((s) => s.succeeded + s.failed > 0).map((s) => `${clock(s.at)}: ${s.succeeded} / ${s.failed}`).join(', ')}>
      {series.map((s, i) => {
        const good = (38 * s.succeeded) / most;
        const bad = (38 * s.failed) / most;
        return <g key={s.at}><rect className="good" x={i * w + w * 0.1} width={w * 0.8} y={40 - good} height={good} /><rect className="bad" x={i * w + w * 0.1} width={w * 0.8} y={40 - good - bad} height={bad} /></g>;
      })}
    </svg>
  );
}
