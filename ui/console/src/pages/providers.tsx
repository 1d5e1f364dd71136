// What carries messages out, of the tenant or of one application.

import { useState } from 'react';
import { call, seg } from '../api/client.ts';
import { useList, useSend } from '../api/query.ts';
import type { Provider, ProviderKind, Tested } from '../api/types.ts';
import { Ago, Button, Card, Drawer, Empty, Failure, Form, FormError, Loading, ReadOnly, State, TextField, unchanged, useVoice } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { go, same, useUnsaved } from '../ui/route.ts';
import { meanwhile, theirs } from '../ui/theirs.ts';
import { useMine } from '../session.ts';
import { answered, number, t } from '../words/words.ts';
import { useCatalog } from '../api/catalog.ts';

/** What stands for the name of one that has none yet. */
const fresh = '+';

/** `at` is the place of the list, `open` the kind and name beside it: "fcm/default". */
export function Providers({ app, at, open }: { app: string; at: string; open: string }) {
  const catalog = useCatalog();
  const list = useList<Provider>('/providers', { app });
  const sets = useMine().can('PUT /providers/{kind}/{name}');
  if (list.pending || catalog.pending) return <Loading />;
  const kinds = (catalog.data?.providers ?? []).filter((k) => !app || k.per === 'application');
  const [kindName = '', name = ''] = open.split('/');
  const kind = kinds.find((k) => k.kind === kindName);
  const provider = list.items.find((p) => p.kind === kindName && p.name === name);
  const show = (k: string, n: string) => go(`${at}/${seg(k)}/${seg(n)}`, { stay: true });
  const back = () => go(at, { stay: true });
  return (
    <>
      <Failure error={list.error ?? catalog.error} again={() => void list.refetch()} />
      {!sets && <ReadOnly />}
      {kinds.length === 0 && !list.error && <Empty title={t('This server offers no providers')} />}
      {kinds.length > 0 && <p className="help above">{app ? t('Push reaches phones through their maker’s service. What is not set up here is taken from the tenant, under Operate.') : t('What carries push, mail and text messages for every application, and compares faces.')}</p>}
      <div className="grid">
        {kinds.map((k) => {
          const mine = list.items.filter((p) => p.kind === k.kind);
          return (
            <Card key={k.kind} title={k.title}>
              {mine.map((p) => (
                <div key={p.name} className="acts">
                  <State is="yes">{p.name || t('Set')}</State>
                  <small className="help">{app && !p.app ? t('of the tenant') : <Ago at={p.updated_at} />}</small>
                  <Button onClick={() => show(k.kind, p.name)} aria-label={`${sets ? t('Change') : t('Look')}: ${k.title} ${p.name}`}>{sets ? t('Change') : t('Look')}</Button>
                </div>
              ))}
              {mine.length === 0 && <State is="off">{t('Not set')}</State>}
              {sets && (k.several || mine.length === 0) && <div className="acts"><Button onClick={() => show(k.kind, mine.length > 0 ? fresh : 'default')} aria-label={`${t('Set up')}: ${k.title}`}>{t('Set up')}</Button></div>}
            </Card>
          );
        })}
      </div>
      <Drawer title={kind?.title ?? ''} open={kind !== undefined} onClose={back}>{kind && <Edit key={open} app={app} kind={kind} given={name} provider={provider} again={async (called) => { const items = await list.again(); return items && [items.find((p) => p.kind === kindName && p.name === called)]; }} done={back} />}</Drawer>
    </>
  );
}

/** `again` reads the provider of a name anew: none, if there is none any more; null, if that cannot be read. */
function Edit({ app, kind, given, provider, again, done }: { app: string; kind: ProviderKind; given: string; provider?: Provider; again: (called: string) => Promise<[Provider | undefined] | null>; done: () => void }) {
  const own = (p?: Provider) => (p && (!app || p.app === app) ? p : undefined);
  // As it was when this was opened: what somebody else stores meanwhile is not overwritten.
  const [before, setBefore] = useState(own(provider));
  const read = async (put: boolean) => {
    const now = await again(name || 'default');
    if (!now) return null;
    const is = own(now[0]);
    if (put) setBefore(is);
    return { was: is && before, is }; // of one that is gone, all that stands here is kept
  };
  const [doc, setDoc] = useState<Doc>(before?.config ?? {});
  const [name, setName] = useState(given === fresh ? '' : given);
  const send = useSend('/providers', '/overview');
  const { toast, confirm } = useVoice();
  const mine = useMine();
  const sets = mine.can('PUT /providers/{kind}/{name}');
  const path = `/providers/${seg(kind.kind)}/${seg(name || 'default')}`;
  const kept = Object.fromEntries(Object.entries(doc).filter(([, v]) => !(typeof v === 'object' && v !== null && 'set' in v))); // a stored secret stays as it is
  const dirty = !same(doc, before?.config ?? {}) || name !== (given === fresh ? '' : given);
  const release = useUnsaved(dirty);
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, query: { app }, etag: before?.etag, body: { config: kept } }); release(); toast(t('Saved.')); done(); } catch { /* shown below */ } };
  const remove = async () => {
    if (!await confirm({ title: t('Delete this provider?'), text: t('Nothing is sent through it any more.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, query: { app }, etag: before?.etag }); release(); done(); } catch { /* shown below */ }
  };
  return (
    <>
      {!sets && <ReadOnly />}
      {provider && !before && <p className="help">{t('What counts now is set for the tenant. What you set here counts for this application alone.')}</p>}
      <Form error={send.error} className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {kind.several && !before && <TextField at="path.name" label={t('Name')} value={name} disabled={!sets} onChange={setName} required placeholder="default" help={t('What you call it: letters, digits, - and _.')} />}
        <FormView form={kind.form} value={before ? doc : kept} onChange={setDoc} root="config." disabled={!sets} />
        <FormError {...meanwhile(doc, (d) => { setDoc(d); send.reset(); }, { compare: () => read(false), renew: () => read(true) }, (p?: Provider): Doc => p?.config ?? {}, (was, is) => (is ? theirs(kind.form, was?.config ?? {}, is.config) : [{ label: kind.title, value: t('Not set') }]))} />
        {sets && (
          <div className="acts end foot-acts">
            {before && mine.can('DELETE /providers/{kind}/{name}') && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}
            <Button type="submit" look="primary" disabled={send.isPending} why={before !== undefined && unchanged(dirty)}>{t('Save')}</Button>
          </div>
        )}
      </Form>
      {provider && mine.can('POST /providers/{kind}/{name}/test') && <Test path={path} app={app} kind={kind} dirty={dirty} />}
    </>
  );
}

function Test({ path, app, kind, dirty }: { path: string; app: string; kind: ProviderKind; dirty: boolean }) {
  const [probe, setProbe] = useState<Doc>({});
  const [said, setSaid] = useState<Tested | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const test = async () => {
    setBusy(true);
    setSaid(null);
    setError(null);
    try { setSaid((await call<Tested>('POST', `${path}/test`, probe, { query: { app } })).value); } catch (e) { setError(e); } finally { setBusy(false); }
  };
  return (
    <Card title={t('Test it')}>
      {dirty && <p className="help">{t('What is stored is tested, not what you have just typed.')}</p>}
      <Form error={error} className="form" onSubmit={(e) => { e.preventDefault(); void test(); }}>
        <FormView form={kind.test} value={probe} onChange={setProbe} />
        <FormError />
        <div className="acts"><Button type="submit" disabled={busy}>{busy ? t('Sending…') : t('Send a test')}</Button></div>
      </Form>
      <div role="status">
        {said && <div className={`note ${said.ok ? 'yes' : 'no'}`}><p>{said.ok ? '✓' : '✕'} {answered(said.answer) || (said.ok ? t('It was accepted.') : t('Nothing was answered.'))}</p><small>{number(said.ms, { style: 'unit', unit: 'millisecond' })}</small></div>}
      </div>
    </Card>
  );
}
