// What becomes of a journey: tried, run, published, called by code.

import { useEffect, useMemo, useRef, useState } from 'react';
import { address, call, Problem as Refused, seg } from '../api/client.ts';
import { useList, useSend, useSettled, useThing, type List as L } from '../api/query.ts';
import type { App, Client, Field as FormField } from '../api/types.ts';
import { Ago, Button, Card, Copy, Empty, Failure, Field, Head, Link, Loading, Select, State, useVoice, wordsOf } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { Table } from '../ui/table.tsx';
import { go } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { number, plural, said as say, t, time, useLanguage } from '../words/words.ts';
import type { Event, Item, Journey, Run, Sample, Stats, Version } from './api.ts';
import { Canvas, type Marks } from './canvas.tsx';
import { andNow, beginWith, readTried, type With } from './model/tried.ts';
import { diff } from './model/diff.ts';
import { nameOf, node } from './model/graph.ts';
import { World } from './world.tsx';
import { edgeId, type Graph, type Step } from './model/types.ts';
import { useCatalog } from '../api/catalog.ts';
import { kinds as clientKinds } from '../pages/clients.tsx';
import { Why } from '../pages/events.tsx';

const none = new Set<string>();

function useSteps() {
  const catalog = useCatalog();
  return useMemo(() => new Map<string, Step>((catalog.data?.steps ?? []).map((s) => [s.kind, s as Step])), [catalog.data]);
}

const kept = 'watchword.tried';

/** The client that a journey is tried with: as whoever works in this browser chose, or as the journey is used. */
function useClients(journey: string) {
  const apps = useList<App>('/apps');
  const journeys = useList<Item>('/journeys');
  const [own, setOwn] = useState<With | null>(null);
  const begin = useMemo(() => (apps.pending || journeys.pending ? { app: '', clients: [] } : beginWith(journey, journeys.items, readTried(localStorage.getItem(kept)), apps.items.map((a) => a.id))), [journey, apps.pending, journeys.pending, apps.items, journeys.items]);
  const { app, clients: first } = own ? { app: own.app, clients: [own.client] } : begin;
  const clients = useThing<L<Client>>(app ? `/apps/${seg(app)}/clients` : null);
  const list = clients.data?.items ?? [];
  const likely = list.some((c) => first.includes(c.id)) ? list.filter((c) => first.includes(c.id)) : list;
  const picked = likely.find((c) => c.kind === 'web')?.id ?? likely[0]?.id ?? '';
  const use = (w: With) => { setOwn(w); localStorage.setItem(kept, JSON.stringify(andNow(readTried(localStorage.getItem(kept)), journey, w))); };
  const names = new Map(clientKinds());
  const choose = <div className="filters"><Select label={t('Application')} value={app} onChange={(id) => use({ app: id, client: '' })} options={apps.items.map((a) => [a.id, a.name])} /><Select label={t('Client')} value={picked} onChange={(id) => use({ app, client: id })} options={list.map((c) => [c.id, `${c.name} (${names.get(c.kind) ?? c.kind})`])} /></div>;
  return { app, client: picked, choose, none: app !== '' && !clients.pending && list.length === 0 };
}

/** Which nodes and ways events have passed. */
function passed(events: Event[], upTo = Infinity): Marks {
  const nodes: Record<string, string> = {};
  const edges: Record<string, string> = {};
  events.filter((e) => !e.journey && e.seq <= upTo).forEach((e) => {
    if (e.what === 'left') edges[edgeId({ node: e.node, outcome: e.outcome ?? '' })] = 'lit';
    for (const id of Object.keys(nodes)) nodes[id] = '';
    nodes[e.node] = 'lit';
  });
  return { nodes, edges };
}

const verbs: Record<string, string> = { entered: 'entered', asked: 'asked', answered: 'answered', woken: 'heard', refused: 'refused', left: 'left', ended: 'ended' };

function Events({ events, graph, steps, at, choose }: { events: Event[]; graph: Graph; steps: Map<string, Step>; at?: number; choose?: (seq: number) => void }) {
  return (
    <ol className="events" aria-label={t('What happened')}>
      {events.map((e) => (
        <li key={e.seq} className={e.seq === at ? 'now' : ''}>
          <span>{choose ? <button type="button" className="btn quiet" onClick={() => choose(e.seq)}>{nameOf(node(graph, e.node), steps.get(e.kind)) || e.node}</button> : <strong>{nameOf(node(graph, e.node), steps.get(e.kind)) || e.node}</strong>} {t(verbs[e.what] ?? e.what)}{e.outcome ? `: ${e.what === 'ended' ? ended(e.outcome) : e.outcome}` : ''}{e.problem && <> (<Why reason={e.problem} />)</>}</span>
          {e.in && <small><code>{JSON.stringify(e.in)}</code></small>}
          {e.out && Object.keys(e.out).length > 0 && <small>→ <code>{JSON.stringify(e.out)}</code></small>}
        </li>
      ))}
    </ol>
  );
}

type Prompt = { kind: string; title: string; text: string; button: string; fields: FormField[]; data: Record<string, unknown>; options: { id: string; label: string; fields: FormField[] }[]; resend: boolean; poll: boolean; empty: boolean };
type Try = { id: string; prompt: Prompt | null; problem: { code: string; message: string } | null; end: { ok: boolean; registered: boolean; reason: string; message: string; user: string } | null; trace: Event[] };

export function TryOut({ journey }: { journey: Journey }) {
  const steps = useSteps();
  const mine = useMine();
  const { app, client, choose, none: nobody } = useClients(journey.id);
  const [now, setNow] = useState<Try | null>(null);
  const [events, setEvents] = useState<Event[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [link, setLink] = useState('');
  const seen = useRef(0);
  const lang = useLanguage(); // of what people read on the way
  const take = (x: Try) => {
    const fresh = x.trace.filter((e) => e.seq >= seen.current);
    setNow(x);
    setEvents((was) => [...was, ...fresh]);
    seen.current = Math.max(seen.current, ...x.trace.map((e) => e.seq + 1));
  };
  const run = async (fn: () => Promise<{ value: Try }>) => { setError(null); try { take((await fn()).value); } catch (e) { setError(e); } };
  const begin = () => { setEvents([]); seen.current = 0; void run(() => call<Try>('POST', `/journeys/${seg(journey.id)}/try`, { app, client }, { query: { lang } })); };
  const answer = (option: string, data: Doc) => void run(() => call<Try>('POST', `/tries/${now!.id}`, { option, data }, { query: { after: seen.current, lang } }));
  const begun = useRef(lang);
  useEffect(() => {
    if (begun.current !== lang && now) void run(() => call<Try>('GET', `/tries/${now.id}`, undefined, { query: { after: seen.current, wait: 0, lang } }));
    begun.current = lang;
  }, [lang]); // eslint-disable-line
  const waiting = now?.prompt?.poll && !now.end;
  useEffect(() => {
    if (!waiting) return;
    const stop = new AbortController();
    void (async () => {
      while (!stop.signal.aborted) {
        try {
          const { value } = await call<Try>('GET', `/tries/${now!.id}`, undefined, { query: { after: seen.current, wait: 20, lang }, signal: stop.signal });
          if (value.trace.length > 0 || value.end) { take(value); return; }
        } catch { return; }
      }
    })();
    return () => stop.abort();
  }, [now]); // eslint-disable-line
  const marks = useMemo(() => passed(events), [events]);
  if (!mine.can('POST /journeys/{id}/try')) return <Empty title={t('Your role does not try journeys')}>{t('A try is real in what it does: it sends, registers and locks. Whoever may draw journeys may try them.')}</Empty>;
  const makeLink = async () => { try { setLink((await call<{ url: string }>('POST', `/journeys/${seg(journey.id)}/test-link`, { app, client })).value.url); } catch (e) { setError(e); } };
  return (
    <>
      {choose}
      <div className="bar"><Button look="primary" onClick={begin} disabled={!client} why={nobody ? t('This application has no client yet.') : !client && t('Loading…')}>{now ? t('Start again') : t('Start')}</Button><Button onClick={() => void makeLink()} disabled={!client}>{t('Make a test link')}</Button>
      </div>
      {link && <div className="note"><p>{t('Runs the draft as it is now, for a day. It signs nobody in.')}</p><div className="once"><a href={link} target="_blank" rel="noreferrer">{t('Open')}</a><Copy text={link} /></div></div>}
      <Failure error={error} />
      <p className="help">{t('A try is real: it sends messages, registers devices and counts failures. It signs nobody in, and the statistics leave it out.')}</p>
      <div className={`tryout ${mine.session.dev ? 'world' : ''}`}>
        <div>
          {!now && <Empty title={t('Not started yet')}>{t('Press Start. What people would be asked appears here, and the canvas shows the way it takes.')}</Empty>}
          {now?.prompt && <Ask key={events.length} prompt={now.prompt} problem={now.problem ? say(now.problem.message) : undefined} answer={answer} />}
          {now?.end && <Card title={now.end.ok ? t('It ended well') : t('It ended')}><State is={now.end.ok ? 'yes' : 'no'}>{now.end.ok ? (now.end.registered ? t('Nobody was signed in: something was registered.') : t('{user} was authenticated.', { user: now.end.user })) : now.end.message ? say(now.end.message) : <Why reason={now.end.reason} />}</State></Card>}
          <Events events={events} graph={journey.draft.graph} steps={steps} />
        </div>
        <Canvas graph={journey.draft.graph} outcomes={journey.outcomes} steps={steps} problems={journey.problems} selected={none} marks={marks} fixed />
        {mine.session.dev && <World />}
      </div>
    </>
  );
}

function Ask({ prompt, problem, answer }: { prompt: Prompt; problem?: string; answer: (option: string, data: Doc) => void }) {
  const [doc, setDoc] = useState<Doc>({});
  const data = Object.entries(prompt.data).filter(([k, v]) => typeof v !== 'object' && v !== '' && k !== 'form_title' && k !== 'form_description');
  return (
    <Card title={prompt.title || prompt.kind}>
      {prompt.text && <p>{prompt.text}</p>}
      {problem && <p className="problem" role="alert">{problem}</p>}
      {data.length > 0 && <dl className="facts">{data.map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k}v`}>{k === 'number' ? <span className="figure">{String(v)}</span> : k.endsWith('_at') && typeof v === 'number' ? time(new Date(v).toISOString(), 'medium') : String(v)}</dd>])}</dl>}
      {prompt.poll && <p className="loading" role="status">{t('Waiting for something to happen…')}</p>}
      {(prompt.empty || prompt.fields.length > 0) && <form className="form" onSubmit={(e) => { e.preventDefault(); answer('', doc); }}><FormView form={prompt.fields} value={doc} onChange={setDoc} /><div className="acts"><Button type="submit" look="primary">{prompt.button || t('Continue')}</Button></div></form>}
      {prompt.options.map((o) => <OptionForm key={o.id} label={o.label} fields={o.fields} send={(d) => answer(o.id, d)} />)}
      {prompt.resend && <Button onClick={() => answer('resend', {})}>{t('Send again')}</Button>}
    </Card>
  );
}

function OptionForm({ label, fields, send }: { label: string; fields: FormField[]; send: (d: Doc) => void }) {
  const [doc, setDoc] = useState<Doc>({});
  return <form className="form" onSubmit={(e) => { e.preventDefault(); send(doc); }}>{fields.length > 0 && <FormView form={fields} value={doc} onChange={setDoc} />}<div className="acts"><Button type="submit">{label}</Button></div></form>;
}

const outcomes: Record<string, ['yes' | 'no' | 'wait' | 'off', string]> = { completed: ['yes', 'Completed'], rejected: ['no', 'Rejected'], abandoned: ['off', 'Abandoned'], open: ['wait', 'Under way'] };
const ended = (outcome: string) => t(outcomes[outcome]?.[1] ?? outcome);

/** Leads to a run of which nothing but the id is known. */
export function RunPage({ id }: { id: string }) {
  const { data, error, refetch } = useThing<Run>(`/runs/${seg(id)}`);
  useEffect(() => { if (data) go(`/journeys/${seg(data.journey)}/runs/${seg(id)}`, { replace: true }); }, [data, id]);
  return error ? <><Head title={t('Run')} back={['/journeys', t('Journeys')]} /><Failure error={error} again={() => void refetch()} /></> : <Loading />;
}

/** `chosen` is the run that is open. */
export function Runs({ journey, chosen }: { journey: Journey; chosen: string }) {
  const steps = useSteps();
  const mine = useMine();
  const [f, setF] = useState({ outcome: '', node: '', user: '' });
  const setChosen = (id: string) => go(`/journeys/${seg(journey.id)}/runs${id && `/${seg(id)}`}`, { stay: true });
  const [at, setAt] = useState(Infinity);
  useEffect(() => setAt(Infinity), [chosen]);
  const list = useList<Run>('/runs', { journey: journey.id, ...f, user: useSettled(f.user.trim()) });
  const run = useThing<Run>(chosen ? `/runs/${seg(chosen)}` : null);
  const stats = useThing<Stats>(`/journeys/${seg(journey.id)}/stats`, { hours: 168 });
  const places = journey.published?.graph ?? journey.draft.graph;
  const graph = run.data?.graph ?? places;
  const trace = run.data?.trace ?? [];
  const marks = useMemo((): Marks => {
    if (run.data) return passed(trace, at);
    const numbers: Record<string, string> = {};
    for (const [id, n] of Object.entries(stats.data?.nodes ?? {})) for (const [o, k] of Object.entries(n.left ?? {})) numbers[edgeId({ node: id, outcome: o })] = `${number(k)} (${number(k / Math.max(1, n.entered), { style: 'percent' })})`;
    return { numbers };
  }, [run.data, stats.data, at]);
  const s = stats.data;
  return (
    <>
      {s && <div className="bar"><span>{plural(s.runs, 'In seven days: {n} run', 'In seven days: {n} runs')}</span>{s.runs > 0 && <><State is="yes">{plural(s.completed, '{n} completed', '{n} completed')}</State><State is="no">{plural(s.rejected, '{n} rejected', '{n} rejected')}</State><State is="off">{plural(s.abandoned, '{n} abandoned', '{n} abandoned')}</State></>}</div>}
      <div className="filters" role="search">
        <Select label={t('Outcome')} value={f.outcome} onChange={(outcome) => setF({ ...f, outcome })} options={[['', t('All')], ...Object.entries(outcomes).map(([k, v]): [string, string] => [k, t(v[1])])]} />
        <Select label={t('Where')} value={f.node} onChange={(node) => setF({ ...f, node })} options={[['', t('All')], ...Object.keys(places.nodes).map((id): [string, string] => [id, nameOf(node(places, id), steps.get(node(places, id)!.kind)) || id])]} />
        <Field label={t('Who')}>{(ids) => <input {...ids} type="search" value={f.user} placeholder={t('E-mail, phone, name or id')} onChange={(e) => setF({ ...f, user: e.target.value })} />}</Field>
      </div>
      <div className="tryout">
        <div>
          {run.data ? (
            <Card title={t('Run of {at}', { at: time(run.data.started_at, 'medium') })} acts={<Button onClick={() => setChosen('')}>{t('All runs')}</Button>}>
              <State is={outcomes[run.data.outcome]![0]}>{ended(run.data.outcome)}{run.data.reason && <>: <Why reason={run.data.reason} /></>}</State>
              <div className="acts"><Button onClick={() => setAt(Math.max(0, (at === Infinity ? trace.length : at) - 1))}>{t('Back')}</Button><Button onClick={() => setAt(Math.min(trace.length - 1, (at === Infinity ? -1 : at) + 1))}>{t('Forward')}</Button></div>
              <Events events={trace} graph={graph} steps={steps} at={at} choose={setAt} />
            </Card>
          ) : list.pending ? <Loading /> : list.items.length === 0 ? Object.values(f).some(Boolean) ? <Empty title={t('No run fits')}>{t('Take back a part of the filter, or look at another time.')}</Empty> : <Empty title={t('No run yet')}>{t('Runs appear here as people come, with where they went and how it ended. What they typed is not kept.')}</Empty> : (
            <Table<Run> name={t('Runs')} rows={list.items} id={(r) => r.id} open={(r) => setChosen(r.id)} more={list.more} next={list.next} columns={[
              { head: t('When'), cell: (r) => <button type="button" className="btn quiet" onClick={() => setChosen(r.id)}><Ago at={r.started_at} /></button> },
              { head: t('Outcome'), cell: (r) => <><State is={outcomes[r.outcome]?.[0] ?? 'off'}>{ended(r.outcome)}</State><small className="help below">{nameOf(node(graph, r.node), steps.get(node(graph, r.node)?.kind ?? '')) || r.node}</small></> },
              { head: t('Who'), wide: true, cell: (r) => (r.user_name ? mine.can('GET /users/{id}') ? <Link to={`/users/${seg(r.user)}`}>{r.user_name}</Link> : r.user_name : '—') },
            ]} />
          )}
          <Failure error={list.error ?? run.error} />
        </div>
        <Canvas graph={graph} outcomes={journey.outcomes} steps={steps} problems={[]} selected={none} marks={marks} fixed />
      </div>
    </>
  );
}

export function Versions({ journey, etag, reload }: { journey: Journey; etag: string; reload: () => void }) {
  const steps = useSteps();
  const path = `/journeys/${seg(journey.id)}`;
  const list = useList<Version>(`${path}/versions`);
  const [chosen, setChosen] = useState(0);
  const one = useThing<Version>(chosen ? `${path}/versions/${chosen}` : null);
  const send = useSend<{ version: number }>(path, '/journeys');
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const d = useMemo(() => (one.data?.graph ? diff(one.data.graph, journey.draft.graph) : null), [one.data, journey]);
  const marks = useMemo((): Marks | undefined => d ? { nodes: Object.fromEntries(d.nodes.map((n) => [n.id, n.mark === 'same' ? '' : n.mark])), edges: Object.fromEntries(d.edges.map((e) => [edgeId(e), e.mark === 'same' ? '' : e.mark])) } : undefined, [d]);
  const act = async (s: Parameters<typeof send.mutateAsync>[0], said: string, ask: [string, string, string]) => {
    if (!await confirm({ title: ask[0], text: ask[1], yes: ask[2] })) return;
    try { await send.mutateAsync(s); toast(said); reload(); } catch (e) { toast(e instanceof Refused && e.status === 412 ? t('Somebody changed the draft meanwhile. Look again.') : wordsOf(e), true); }
  };
  if (list.pending) return <Loading />;
  if (list.items.length === 0) return <Empty title={t('Nothing was published yet')}>{t('Each time somebody publishes, a version is kept here.')}</Empty>;
  return (
    <div className="tryout">
      <div>
        <Table<Version> name={t('Versions')} rows={list.items} id={(v) => String(v.version)} open={(v) => setChosen(v.version)} more={list.more} next={list.next} columns={[
          { head: t('Version'), cell: (v) => <button type="button" className="btn quiet" aria-pressed={v.version === chosen} onClick={() => setChosen(v.version)}>{v.version}</button> },
          { head: t('State'), cell: (v) => (v.state === 'live' ? <State is="yes">{t('Live')}</State> : '') },
          { head: t('What changed'), wide: true, cell: (v) => v.note || '—' }, { head: t('When'), cell: (v) => <><Ago at={v.at} /> {v.by}</> },
        ]} />
        {d && <Card title={t('From version {version} to the draft', { version: chosen })} acts={<>
          {!d.same && mine.can('POST /journeys/{id}/versions/{version}/restore') && <Button onClick={() => void act({ method: 'POST', path: `${path}/versions/${chosen}/restore`, etag }, t('It is the draft now.'), [t('Draw on from version {version}?', { version: chosen }), t('The draft of now is replaced. Ctrl Z in the editor brings it back.'), t('Restore')])}>{t('Make it the draft')}</Button>}
          {list.items.find((v) => v.version === chosen)?.state !== 'live' && mine.can('POST /journeys/{id}/versions/{version}/publish') && <Button look="danger" onClick={() => void act({ method: 'POST', path: `${path}/versions/${chosen}/publish`, body: { note: t('Back to version {version}', { version: chosen }) } }, t('Rolled back. New runs get it.'), [t('Roll back to version {version}?', { version: chosen }), t('It is published as a new version; runs under way keep theirs.'), t('Roll back')])}>{t('Roll back')}</Button>}</>}>
          {d.same ? <p>{t('No difference.')}</p> : <ul className="problems">
            {d.head.map((c) => <li key={c.path}>{c.path}: <code>{JSON.stringify(c.before)}</code> → <code>{JSON.stringify(c.after)}</code></li>)}
            {d.nodes.filter((n) => n.mark !== 'same').map((n) => <li key={n.id}><State is={n.mark === 'added' ? 'yes' : n.mark === 'removed' ? 'no' : 'wait'}>{t(n.mark)}</State> <strong>{n.id}</strong> {n.changes.map((c) => <span key={c.path}>{c.path}: <code>{JSON.stringify(c.before) ?? '—'}</code> → <code>{JSON.stringify(c.after) ?? '—'}</code> </span>)}</li>)}
          </ul>}
        </Card>}
      </div>
      <Canvas graph={d?.both ?? journey.draft.graph} outcomes={journey.outcomes} steps={steps} problems={[]} selected={none} marks={marks} fixed />
    </div>
  );
}

export function Code({ journey }: { journey: Journey }) {
  const { client, choose } = useClients(journey.id);
  const list = useList<Sample>(`/journeys/${seg(journey.id)}/code`, { client });
  return (
    <>
      {choose}
      <div className="bar">{['yaml', 'json'].map((f) => <a key={f} className="btn" href={address(`/journeys/${seg(journey.id)}/export`, { format: f, draft: true })} download>{t('Export {format}', { format: f.toUpperCase() })}</a>)}</div>
      <Failure error={list.error} />
      {list.items.map((s) => <Card key={s.platform} title={say(s.title)} acts={<Copy text={s.text} />}><pre tabIndex={0}><code>{s.text}</code></pre></Card>)}
    </>
  );
}
