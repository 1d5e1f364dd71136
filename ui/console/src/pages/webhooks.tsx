// Who is told what happens.

import { useState } from 'react';
import { seg } from '../api/client.ts';
import { useList, useSend } from '../api/query.ts';
import type { Webhook } from '../api/types.ts';
import { Button, Empty, Failure, Form, FormError, Link, Loading, Modal, Once, State, TextField } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { ago, t } from '../words/words.ts';
import { split } from './organisations.tsx';
import { useCatalog } from '../api/catalog.ts';

export function Webhooks() {
  const list = useList<Webhook>('/webhooks');
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState('');
  const adds = useMine().can('POST /webhooks');
  if (list.pending) return <Loading />;
  const at = (w: Webhook) => `/operate/webhooks/${seg(w.id)}`;
  const add = adds && <Button look="primary" onClick={() => setAdding(true)}>{t('Add a webhook')}</Button>;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      {add && list.items.length > 0 && <div className="acts">{add}</div>}
      {secret && <Once label={t('The secret that signs what is sent. It is shown this once.')} value={secret} />}
      {list.items.length === 0 ? !list.error && <Empty title={t('No webhook yet')} action={add}>{t('A webhook is an https address. It is sent the events you choose, signed, and again until it accepts them.')}</Empty> : (
        <Table<Webhook> name={t('Webhooks')} rows={list.items} id={(w) => w.id} open={(w) => go(at(w))} columns={[
          { head: t('Address'), wide: true, cell: (w) => <Link to={at(w)}>{w.url}</Link> }, { head: t('Events'), hide: true, wide: true, cell: (w) => w.events.join(', ') },
          { head: t('State'), cell: (w) => <State is={w.enabled ? 'yes' : 'off'}>{w.enabled ? t('On') : t('Off')}</State> },
          { head: t('Last'), cell: (w) => (w.last ? <State is={w.last.ok ? 'yes' : 'no'}>{`${w.last.status || t('no answer')} · ${ago(w.last.at)}`}</State> : '—') },
        ]} />
      )}
      <Modal title={t('Add a webhook')} open={adding} onClose={() => leave(() => setAdding(false))}>{adding && <Add done={(s) => { setSecret(s); setAdding(false); }} close={() => leave(() => setAdding(false))} />}</Modal>
    </>
  );
}

function Add({ done, close }: { done: (secret: string) => void; close: () => void }) {
  const [doc, setDoc] = useState({ url: '', events: '*' });
  const send = useSend<Webhook>('/webhooks');
  const release = useUnsaved(doc.url !== '' || doc.events !== '*');
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void send.mutateAsync({ method: 'POST', path: '/webhooks', body: { url: doc.url, events: split(doc.events), enabled: true } }).then((r) => { release(); done(r.value.secret ?? ''); }).catch(() => {}); }}>
      <TextField at="url" label={t('Address')} type="url" value={doc.url} onChange={(url) => setDoc({ ...doc, url })} required autoFocus placeholder="https://hooks.example/watchword" />
      <EventTypes value={doc.events} set={(events) => setDoc({ ...doc, events })} />
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Add')}</Button></div>
    </Form>
  );
}

/** Types of events, with the families that there are to press. */
export function EventTypes({ value, set, disabled }: { value: string; set: (v: string) => void; disabled?: boolean }) {
  const catalog = useCatalog();
  const families = (catalog.data?.event_types ?? []).filter((e) => e.endsWith('.')).map((e) => `${e}*`);
  const have = split(value);
  const toggle = (e: string) => set((have.includes(e) ? have.filter((x) => x !== e) : [...have.filter((x) => x !== '*'), e]).join(' '));
  return (
    <>
      <TextField at="events" label={t('Events')} value={value} onChange={set} disabled={disabled} required help={t('Names, or beginnings of names with a star: push.* - a star alone is everything.')} />
      <div className="chips" role="group" aria-label={t('Families of events')}>{families.map((e) => <button key={e} type="button" className="chip" disabled={disabled} aria-pressed={have.includes(e)} onClick={() => toggle(e)}>{e}</button>)}</div>
    </>
  );
}
