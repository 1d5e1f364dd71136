// How people may prove who they are: every method of a place, its settings with
// where they come from, and what failures would lead to.

import { useEffect, useMemo, useState } from 'react';
import { call, Problem, seg } from '../api/client.ts';
import { useList, useSend, useThing } from '../api/query.ts';
import type { Catalog, Checked, MethodSettings } from '../api/types.ts';
import { Button, Drawer, Failure, Loading, State, useVoice, wordsOf } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { setDirty } from '../ui/route.ts';
import { Table } from '../ui/table.tsx';
import { useMine } from '../session.ts';
import { t } from '../words/words.ts';
import { Simulator } from './simulator.tsx';

export function Methods({ base, app }: { base: string; app: string }) {
  const list = useList<MethodSettings>(base);
  const [open, setOpen] = useState('');
  if (list.pending) return <Loading />;
  const own = (m: MethodSettings) => Object.keys(m.own ?? {}).length;
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      <Table<MethodSettings> name={t('Methods')} rows={list.items} id={(m) => m.kind} open={(m) => setOpen(m.kind)} columns={[
        { head: t('Method'), wide: true, cell: (m) => <button type="button" className="btn quiet" onClick={() => setOpen(m.kind)}>{m.title}</button> },
        { head: t('State'), cell: (m) => <State is={m.enabled ? 'yes' : 'off'}>{m.enabled ? t('On') : t('Off')}</State> },
        { head: t('Set here'), cell: (m) => (own(m) > 0 ? t('{n} settings', { n: own(m) }) : app ? t('as the tenant') : t('defaults')) },
        { head: t('Notes'), hide: true, cell: (m) => (m.lint.length > 0 ? <State is="wait">{String(m.lint.length)}</State> : '—') },
      ]} />
      <Drawer title={list.items.find((m) => m.kind === open)?.title ?? ''} open={open !== ''} onClose={() => setOpen('')}>{open && <Edit key={open} base={base} kind={open} place={app ? 'application' : 'tenant'} done={() => setOpen('')} />}</Drawer>
    </>
  );
}

function Edit({ base, kind, place, done }: { base: string; kind: string; place: string; done: () => void }) {
  const path = `${base}/${seg(kind)}`;
  const catalog = useThing<Catalog>('/catalog', undefined, { stale: 600_000 });
  const { data, etag, error, pending } = useThing<MethodSettings>(path);
  const [own, setOwn] = useState<Doc | null>(null);
  const [checked, setChecked] = useState<Checked | null>(null);
  const send = useSend<MethodSettings>(base);
  const { toast } = useVoice();
  const may = useMine().may('security_admin');
  const method = catalog.data?.methods.find((m) => m.kind === kind);
  const mine = own ?? (data?.own as Doc | undefined) ?? {};
  const whole = useMemo(() => ({ ...(data?.settings ?? {}), ...mine }), [data, mine]);
  useEffect(() => {
    setDirty(own !== null);
    if (own === null) return;
    const timer = setTimeout(() => { void call<Checked>('POST', `${path}/check`, { settings: own }).then((r) => setChecked(r.value)).catch(() => {}); }, 250);
    return () => { clearTimeout(timer); setDirty(false); };
  }, [own, path]);
  if (pending || catalog.pending) return <Loading />;
  if (error || !data || !method) return <Failure error={error ?? new Problem(404, 'not_found', t('This method is not there.'))} />;
  const problems = new Problem(400, '', '', checked?.errors ?? []).at('settings');
  const from: Record<string, string> = { ...data.from };
  for (const k of Object.keys(mine)) from[k] = 'application';
  for (const [k, v] of Object.entries(from)) if (v === place && !(k in mine)) from[k] = 'default';
  const change = (next: Doc) => {
    const out: Doc = { ...mine };
    for (const k of Object.keys({ ...whole, ...next })) if (JSON.stringify(next[k]) !== JSON.stringify(whole[k])) { if (next[k] === undefined) delete out[k]; else out[k] = next[k]; }
    setOwn(out);
  };
  const inherit = (name: string) => { const out = { ...mine }; delete out[name]; setOwn(out); };
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, etag, body: { settings: mine } }); toast(t('Saved. It counts from the next attempt on.')); done(); } catch { /* shown below */ } };
  const reset = async () => { try { await send.mutateAsync({ method: 'DELETE', path, etag }); toast(t('Inherited again.')); done(); } catch { /* shown below */ } };
  return (
    <>
      {method.lockout && <Simulator path={path} settings={mine} whole={whole} />}
      <form className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {(checked ?? data).lint.filter((l) => !l.field).length > 0 && <ul className="lint">{(checked ?? data).lint.filter((l) => !l.field).map((l) => <li key={l.text}>{l.text} <span>({l.reference})</span></li>)}</ul>}
        <FormView form={method.form} value={whole} onChange={change} problems={problems} lint={(checked ?? data).lint} from={from} inherit={may ? inherit : undefined} disabled={!may} />
        {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
        {may && <div className="acts end"><Button onClick={() => void reset()}>{place === 'application' ? t('Inherit everything') : t('Back to the defaults')}</Button><Button type="submit" look="primary" disabled={own === null || send.isPending || (checked?.errors.length ?? 0) > 0}>{t('Save')}</Button></div>}
      </form>
    </>
  );
}
