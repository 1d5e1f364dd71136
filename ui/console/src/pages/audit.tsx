// The record: filtered, exported, and shown to be as it was written.

import { useState } from 'react';
import { address, call } from '../api/client.ts';
import { useTold } from '../api/events.ts';
import { useThing, type List } from '../api/query.ts';
import type { App, Verified } from '../api/types.ts';
import { useMine } from '../session.ts';
import { Button, Head, useVoice, wordsOf } from '../ui/parts.tsx';
import { plural, said, t } from '../words/words.ts';
import { Events } from './events.tsx';
import { useCatalog } from '../api/catalog.ts';

export default function Audit() {
  const [f, setF] = useState({ type: '', outcome: '', app: '', actor: '', target: '', from: '', to: '' });
  const catalog = useCatalog();
  const { toast } = useVoice();
  const told = useTold();
  const apps = useThing<List<App>>(useMine().can('GET /apps') ? '/apps' : null).data?.items ?? [];
  const types = catalog.data?.event_types ?? [];
  // What is chosen or typed is a type's words, or its name or the beginning of it.
  const asked = f.type.trim().toLocaleLowerCase();
  const type = types.find((e) => told(e).toLocaleLowerCase() === asked) ?? f.type.trim();
  const query = { ...f, type, from: f.from && new Date(f.from).toISOString(), to: f.to && new Date(f.to).toISOString() };
  const set = (k: keyof typeof f) => (e: { target: { value: string } }) => setF({ ...f, [k]: e.target.value });
  const verify = async () => {
    try {
      const { value: v } = await call<Verified>('GET', '/audit/verify');
      toast(v.intact ? plural(v.checked, 'The record is as it was written: {n} entry checked.', 'The record is as it was written: {n} entries checked.') : t('Entry {entry} is not as it was written: {problem}', { entry: v.seq, problem: said(v.problem) }), !v.intact);
    } catch (e) { toast(wordsOf(e), true); }
  };
  return (
    <>
      <Head title={t('Audit')} lead={t('Every entry is written with what it records, and chained to the one before it.')}>
        <Button onClick={() => void verify()}>{t('Check the chain')}</Button>
        <a className="btn" href={address('/audit/export', { ...query, format: 'jsonl' })} download>{t('Export {format}', { format: 'JSONL' })}</a>
        <a className="btn" href={address('/audit/export', { ...query, format: 'csv' })} download>{t('Export {format}', { format: 'CSV' })}</a>
      </Head>
      <div className="filters">
        <label>{t('What')}<input list="event-types" value={f.type} onChange={set('type')} placeholder="push." /></label>
        <datalist id="event-types">{types.map((e) => <option key={e} value={told(e)}>{e}</option>)}</datalist>
        <label>{t('Outcome')}<select value={f.outcome} onChange={set('outcome')}><option value="">{t('All')}</option><option value="success">{t('Success')}</option><option value="failure">{t('Failure')}</option></select></label>
        {apps.length > 1 && <label>{t('Application')}<select value={f.app} onChange={set('app')}><option value="">{t('All')}</option>{apps.map((a) => <option key={a.id} value={a.id}>{a.name}</option>)}</select></label>}
        <label>{t('By')}<input value={f.actor} onChange={set('actor')} placeholder="ada@example.org" /></label>
        <label>{t('To')}<input value={f.target} onChange={set('target')} placeholder="ada@example.org" /></label>
        <label>{t('From')}<input type="datetime-local" value={f.from} onChange={set('from')} /></label>
        <label>{t('Until')}<input type="datetime-local" value={f.to} onChange={set('to')} /></label>
      </div>
      <Events path="/audit" query={query} />
    </>
  );
}

