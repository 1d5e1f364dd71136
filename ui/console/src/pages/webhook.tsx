// One webhook: where it is, what it was told, and telling it again.

import { useState } from 'react';
import { call, seg } from '../api/client.ts';
import { useTold } from '../api/events.ts';
import { useDoc, useList, useSend, useStale, useThing, type Held, type List } from '../api/query.ts';
import type { Delivery, DeliveryState, Webhook } from '../api/types.ts';
import { Ago, Button, Card, Drawer, Empty, Failure, Form, FormError, Head, Link, Loading, Modal, Select, State, TextField, unchanged, useVoice, wordsOf } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { meanwhile, theirs } from '../ui/theirs.ts';
import { go, leave, same, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { answered, number, t, time } from '../words/words.ts';
import { split } from './organisations.tsx';
import { What } from './events.tsx';
import { EventTypes } from './webhooks.tsx';

const list = '/operate/webhooks';

export default function WebhookPage({ id }: { id: string }) {
  const path = `/webhooks/${seg(id)}`;
  const [editing, setEditing] = useState(false);
  const { data, etag, error, pending, refetch, ...held } = useDoc<Webhook>(path, editing);
  const [said, setSaid] = useState<Delivery | null>(null);
  const [busy, setBusy] = useState(false);
  const send = useSend('/webhooks');
  const stale = useStale();
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const back: [string, string] = [list, t('Webhooks')];
  if (pending) return <Loading />;
  if (error || !data) return <><Head title={t('Webhook')} back={back} /><Failure error={error} again={() => void refetch()} /></>;
  const test = async () => {
    setBusy(true);
    try { setSaid((await call<Delivery>('POST', `${path}/test`)).value); await stale('/webhooks'); } catch (e) { toast(wordsOf(e), true); } finally { setBusy(false); }
  };
  const change = async (body: Partial<Webhook>, done: string) => { try { await send.mutateAsync({ method: 'PATCH', path, etag, body }); toast(done); } catch (e) { toast(wordsOf(e), true); } };
  const remove = async () => {
    if (!await confirm({ title: t('Delete this webhook?'), text: data.url, yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); go(list); } catch (e) { toast(wordsOf(e), true); }
  };
  const changes = mine.can('PATCH /webhooks/{id}');
  return (
    <>
      <Head title={data.url.replace(/^https?:\/\//, '')} back={back}>
        {mine.can('POST /webhooks/{id}/test') && <Button disabled={busy} onClick={() => void test()}>{busy ? t('Sending…') : t('Send a test')}</Button>}
        {changes && <Button onClick={() => setEditing(true)}>{t('Change')}</Button>}
        {changes && <Button onClick={() => void change({ enabled: !data.enabled }, data.enabled ? t('Off: nothing is sent any more.') : t('On: it hears of what happens from now on.'))}>{data.enabled ? t('Switch off') : t('Switch on')}</Button>}
        {mine.can('DELETE /webhooks/{id}') && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}
      </Head>
      <div role="status">{said && <div className={`note ${said.ok ? 'yes' : 'no'}`}><Answered d={said} /></div>}</div>
      <Card>
        <dl className="facts">
          <dt>{t('Address')}</dt><dd>{data.url}</dd>
          <dt>{t('Events')}</dt><dd>{data.events.join(', ')}</dd>
          <dt>{t('State')}</dt><dd><State is={data.enabled ? 'yes' : 'off'}>{data.enabled ? t('On') : t('Off')}</State></dd>
          <dt>{t('Added')}</dt><dd>{time(data.created_at)}</dd>
        </dl>
        <p className="help">{t('What is sent is signed: Watchword-Signature is t=TIME,v1=HMAC-SHA256 of “TIME.BODY” by the secret.')}</p>
      </Card>
      <Deliveries path={path} hook={data} />
      <Modal title={t('Change')} open={editing} onClose={() => leave(() => setEditing(false))}>{editing && <Edit path={path} etag={etag} now={data} held={held} done={() => leave(() => setEditing(false))} />}</Modal>
    </>
  );
}

const typed = (hook: Webhook) => ({ url: hook.url, events: hook.events.join(' ') });

function Edit({ path, etag, now, held, done }: { path: string; etag: string; now: Webhook; held: Held<Webhook>; done: () => void }) {
  const [doc, setDoc] = useState(typed(now));
  const send = useSend('/webhooks');
  const { toast } = useVoice();
  const dirty = doc.url !== now.url || !same(split(doc.events), now.events);
  const release = useUnsaved(dirty);
  const save = async () => { await send.mutateAsync({ method: 'PATCH', path, etag, body: { url: doc.url, events: split(doc.events) } }); release(); toast(t('Saved.')); done(); };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void save().catch(() => {}); }}>
      <TextField at="url" label={t('Address')} type="url" value={doc.url} onChange={(url) => setDoc({ ...doc, url })} required />
      <EventTypes value={doc.events} set={(events) => setDoc({ ...doc, events })} />
      <FormError {...meanwhile(doc, (d) => { setDoc(d); send.reset(); }, held, typed, (was, is) => theirs([{ name: 'url', type: 'text', label: t('Address') }, { name: 'events', type: 'list', label: t('Events') }, { name: 'enabled', type: 'boolean', label: t('State') }], was, is))} />
      <div className="acts end"><Button onClick={done}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending} why={unchanged(dirty)}>{t('Save')}</Button></div>
    </Form>
  );
}

const deliveryStates: Record<DeliveryState, ['yes' | 'no' | 'wait', string]> = { told: ['yes', 'Delivered'], waiting: ['wait', 'Retrying'], given_up: ['no', 'Given up'] };

const ms = (n: number) => number(n, { style: 'unit', unit: 'millisecond' });

/** What came of an attempt. */
function Answered({ d }: { d: Delivery }) {
  return <span className="answered"><State is={d.ok ? 'yes' : 'no'}>{d.status ? String(d.status) : t('no answer')}</State>{d.answer && <span className="excerpt" title={answered(d.answer)}>{answered(d.answer)}</span>}<small className="help">{ms(d.ms)}</small></span>;
}

/** Every event that the hook was to be told, with the newest attempt. */
function Deliveries({ path, hook }: { path: string; hook: Webhook }) {
  const [f, setF] = useState({ state: '', type: '' });
  const deliveries = useList<Delivery>(`${path}/deliveries`, { ...f, newest: true }, { every: 10_000 });
  const [open, setOpen] = useState<Delivery | null>(null);
  const told = useTold();
  const types = ['', ...hook.events.filter((e) => e !== '*'), ...[...new Set(deliveries.items.map((d) => d.type))].filter((e) => !hook.events.includes(e)).sort()];
  const filtered = f.state !== '' || f.type !== '';
  return (
    <section className="block">
      <h2>{t('Deliveries')}</h2>
      <div className="filters">
        <Select label={t('State')} value={f.state} onChange={(state) => setF({ ...f, state })} options={[['', t('All')], ...Object.entries(deliveryStates).map(([k, v]): [string, string] => [k, t(v[1])])]} />
        <Select label={t('Event')} value={f.type} onChange={(type) => setF({ ...f, type })} options={[...types, ...(types.includes(f.type) ? [] : [f.type])].map((e) => [e, !e ? t('All') : told(e) === e ? e : `${told(e)} · ${e}`])} />
      </div>
      <Failure error={deliveries.error} again={() => void deliveries.refetch()} />
      {deliveries.pending ? <Loading /> : deliveries.items.length === 0 ? !deliveries.error && (filtered
        ? <Empty title={t('No delivery fits')} action={<Button onClick={() => setF({ state: '', type: '' })}>{t('Show all')}</Button>} />
        : <Empty title={t('Nothing was sent yet')}>{t('Events appear here when they are sent, with what was answered. They are kept for seven days.')}</Empty>) : (
        <Table<Delivery> name={t('Deliveries')} rows={deliveries.items} id={(d) => d.id} open={setOpen} more={deliveries.more} next={deliveries.next} fetching={deliveries.fetching && deliveries.more} columns={[
          { head: t('When'), cell: (d) => <button type="button" className="btn quiet" onClick={() => setOpen(d)}><Ago at={d.at} /></button> },
          { head: t('Event'), wide: true, cell: (d) => <What type={d.type} /> },
          { head: t('State'), cell: (d) => <State is={deliveryStates[d.state][0]}>{t(deliveryStates[d.state][1])}</State> },
          { head: t('Attempts'), hide: true, cell: (d) => number(d.attempt) },
          { head: t('Next try'), hide: true, cell: (d) => <Ago at={d.next_at} /> },
          { head: t('Answer'), hide: true, wide: true, cell: (d) => <Answered d={d} /> },
        ]} />
      )}
      <Drawer title={open ? told(open.type) : ''} open={open !== null} onClose={() => setOpen(null)}>{open && <One key={open.event} path={path} d={open} />}</Drawer>
    </section>
  );
}

/** One event with every attempt to tell of it. */
function One({ path, d }: { path: string; d: Delivery }) {
  const attempts = useThing<List<Delivery>>(`${path}/deliveries`, { event: d.event, limit: 100 });
  const send = useSend<Delivery>('/webhooks');
  const mine = useMine();
  const items = attempts.data?.items ?? [d];
  const newest = items[0] ?? d;
  return (
    <>
      <dl className="facts">
        <dt>{t('State')}</dt><dd><State is={deliveryStates[newest.state][0]}>{t(deliveryStates[newest.state][1])}</State></dd>
        {newest.next_at && <><dt>{t('Next try')}</dt><dd>{time(newest.next_at, 'medium')}</dd></>}
        <dt>{t('Event')}</dt><dd><code>{d.type}</code> <code>{d.event}</code></dd>
      </dl>
      {mine.can('POST /webhooks/{id}/deliveries/{delivery}/again') && (
        <div className="acts"><Button look="primary" disabled={send.isPending} onClick={() => send.mutate({ method: 'POST', path: `${path}/deliveries/${seg(newest.id)}/again` })}>{send.isPending ? t('Sending…') : t('Send again')}</Button></div>
      )}
      <div role="status">{send.data && <div className={`note ${send.data.value.ok ? 'yes' : 'no'}`}><Answered d={send.data.value} /></div>}</div>
      {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
      <h3>{t('Attempts')}</h3>
      <ol className="timeline" aria-label={t('Attempts')}>{items.map((a) => <li key={a.id}><Answered d={a} /><small>{time(a.at, 'medium')}</small></li>)}</ol>
      {mine.can('GET /audit') && <Link to="/audit">{t('Open the audit record')}</Link>}
    </>
  );
}
