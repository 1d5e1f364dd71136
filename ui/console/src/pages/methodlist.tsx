// How people may prove who they are: every method of a place, its settings with
// where they come from, and what failures would lead to.

import { useEffect, useMemo, useState } from 'react';
import { call, Problem, seg } from '../api/client.ts';
import { useDoc, useList, useSend } from '../api/query.ts';
import type { Checked, MethodSettings } from '../api/types.ts';
import { Button, Drawer, Failure, Form, FormError, Loading, ReadOnly, State, unchanged, useVoice } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { theirs } from '../ui/theirs.ts';
import { go, rebased, same, useUnsaved } from '../ui/route.ts';
import { Table } from '../ui/table.tsx';
import { useMine } from '../session.ts';
import { plural, said, t } from '../words/words.ts';
import { Messages } from './messages.tsx';
import { Simulator } from './simulator.tsx';
import { useCatalog } from '../api/catalog.ts';

/** `at` is the place of the list, `open` the kind of the method beside it. */
export function Methods({ base, app, at, open }: { base: string; app: string; at: string; open: string }) {
  const list = useList<MethodSettings>(base);
  if (list.pending) return <Loading />;
  const rows = list.items.toSorted((a, b) => said(a.title).localeCompare(said(b.title)));
  const own = (m: MethodSettings) => Object.keys(m.own ?? {}).length;
  const show = (kind: string) => go(`${at}/${seg(kind)}`, { stay: true });
  const back = () => go(at, { stay: true });
  return (
    <>
      <Failure error={list.error} again={() => void list.refetch()} />
      <Table<MethodSettings> name={t('Methods')} rows={rows} id={(m) => m.kind} open={(m) => show(m.kind)} columns={[
        { head: t('Method'), wide: true, cell: (m) => <button type="button" className="btn quiet" onClick={() => show(m.kind)}>{said(m.title)}</button> },
        { head: t('State'), cell: (m) => <State is={m.enabled ? 'yes' : 'off'}>{m.enabled ? t('On') : t('Off')}</State> },
        { head: t('Set here'), cell: (m) => (own(m) > 0 ? plural(own(m), '{n} setting', '{n} settings') : app ? t('as the tenant') : t('defaults')) },
        { head: t('Notes'), hide: true, cell: (m) => (m.lint.length > 0 ? <State is="hint">{plural(m.lint.length, '{n} note', '{n} notes')}</State> : '—') },
      ]} />
      <Drawer title={said(list.items.find((m) => m.kind === open)?.title ?? t('Method'))} open={open !== ''} onClose={back}>{open && <Edit key={open} base={base} kind={open} app={app} done={back} />}</Drawer>
    </>
  );
}

function Edit({ base, kind, app, done }: { base: string; kind: string; app: string; done: () => void }) {
  const path = `${base}/${seg(kind)}`;
  const place = app ? 'application' : 'tenant';
  const catalog = useCatalog();
  const [own, setOwn] = useState<Doc | null>(null);
  const { data, etag, error, pending, refetch, renew, compare } = useDoc<MethodSettings>(path, own !== null);
  const [checked, setChecked] = useState<Checked | null>(null);
  const send = useSend<MethodSettings>(base);
  const { toast, confirm } = useVoice();
  const session = useMine();
  const may = session.can(app ? 'PUT /apps/{app}/methods/{kind}' : 'PUT /methods/{kind}');
  const method = catalog.data?.methods.find((m) => m.kind === kind);
  const mine = own ?? (data?.own as Doc | undefined) ?? {};
  const whole = useMemo(() => ({ ...(data?.settings ?? {}), ...mine }), [data, mine]);
  const dirty = own !== null && !same(own, data?.own ?? {});
  const release = useUnsaved(dirty);
  useEffect(() => {
    if (own === null) { setChecked(null); return; }
    const timer = setTimeout(() => { void call<Checked>('POST', `${path}/check`, { settings: own }).then((r) => setChecked(r.value)).catch(() => {}); }, 250);
    return () => clearTimeout(timer);
  }, [own, path]);
  if (pending || catalog.pending) return <Loading />;
  if (error || !data || !method) return <Failure error={error ?? new Problem(404, 'not_found', t('This method is not there.'))} again={() => void refetch()} />;
  const problems = Object.fromEntries(Object.entries(new Problem(400, '', '', checked?.errors ?? []).at()).map(([path, text]) => [path.replace(/^settings\.?/, ''), text]));
  const from: Record<string, string> = { ...data.from };
  for (const [k, v] of Object.entries(from)) if (v === place && !(k in mine)) from[k] = 'default';
  for (const k of Object.keys(mine)) from[k] = 'application';
  const change = (next: Doc) => {
    const out: Doc = { ...mine };
    for (const k of Object.keys({ ...whole, ...next })) if (JSON.stringify(next[k]) !== JSON.stringify(whole[k])) { if (next[k] === undefined) delete out[k]; else out[k] = next[k]; }
    setOwn(out);
  };
  const inherit = (name: string) => { const out = { ...mine }; delete out[name]; setOwn(out); };
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, etag, body: { settings: mine } }); release(); toast(t('Saved. It counts from the next attempt on.')); done(); } catch { /* shown below */ } };
  const reset = async () => {
    const [title, text] = app ? [t('Inherit everything?'), t('What is set for this application is dropped; the tenant’s settings count.')] : [t('Back to the defaults?'), t('What is set for the tenant is dropped; applications that set something themselves keep it.')];
    if (!await confirm({ title, text, yes: app ? t('Inherit everything') : t('Back to the defaults'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, etag }); release(); toast(t('Inherited again.')); done(); } catch { /* shown below */ }
  };
  const notes = (checked ?? data).lint.filter((l) => !l.field);
  return (
    <>
      {!may && <ReadOnly />}
      {method.lockout && <Simulator path={path} settings={mine} whole={whole} />}
      <Form error={send.error} className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {notes.length > 0 && <ul className="lint">{notes.map((l) => <li key={l.text}>{said(l.text)} <span>({l.reference})</span></li>)}</ul>}
        <FormView form={method.form} value={whole} onChange={change} root="settings." problems={problems} lint={(checked ?? data).lint} from={from} inherit={may ? inherit : undefined} disabled={!may} />
        <FormError compare={async () => { const r = await compare(); return r ? theirs(method.form, r.was.settings, r.is.settings) : []; }} reload={() => renew().then((r) => { if (r) { setOwn(null); send.reset(); } })}
          keep={() => renew().then((r) => { if (r) { setOwn(rebased<Doc>(r.was.own ?? {}, mine, r.is.own ?? {})); send.reset(); } })} />
        {may && (
          <div className="acts end foot-acts">
            {Object.keys(data.own ?? {}).length > 0 && <Button onClick={() => void reset()}>{app ? t('Inherit everything') : t('Back to the defaults')}</Button>}
            <Button type="submit" look="primary" disabled={send.isPending} why={(checked?.errors.length ?? 0) > 0 ? t('Mend what is marked first.') : unchanged(dirty)}>{t('Save')}</Button>
          </div>
        )}
      </Form>
      {app && session.can('POST /apps/{app}/methods/{kind}/messages') && <Messages path={path} settings={mine} languages={catalog.data!.languages} />}
    </>
  );
}
