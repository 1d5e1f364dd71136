// What carries messages out, of the tenant or of one application.

import { useState } from 'react';
import { seg, Problem } from '../api/client.ts';
import { useList, useSend, useThing } from '../api/query.ts';
import type { Catalog, Provider, ProviderKind, Tested } from '../api/types.ts';
import { Button, Card, Drawer, Empty, Failure, Loading, State, TextField, useVoice, wordsOf } from '../ui/parts.tsx';
import { FormView, type Doc } from '../ui/form.tsx';
import { ago, t } from '../words/words.ts';

export function Providers({ app }: { app: string }) {
  const catalog = useThing<Catalog>('/catalog', undefined, { stale: 600_000 });
  const list = useList<Provider>('/providers', { app });
  const [open, setOpen] = useState<{ kind: ProviderKind; provider?: Provider } | null>(null);
  if (list.pending || catalog.pending) return <Loading />;
  const kinds = (catalog.data?.providers ?? []).filter((k) => !app || k.per === 'application');
  return (
    <>
      <Failure error={list.error} />
      {kinds.length === 0 && <Empty title={t('This server offers no providers')} />}
      <div className="grid">
        {kinds.map((k) => {
          const mine = list.items.filter((p) => p.kind === k.kind);
          return (
            <Card key={k.kind} title={k.title}>
              {mine.map((p) => <div key={p.name} className="acts"><State is="yes">{p.name || t('Set')}</State><small>{ago(p.updated_at)}</small><Button onClick={() => setOpen({ kind: k, provider: p })}>{t('Change')}</Button></div>)}
              {mine.length === 0 && <State is="off">{t('Not set')}</State>}
              {(k.several || mine.length === 0) && <div className="acts"><Button onClick={() => setOpen({ kind: k })}>{t('Set up')}</Button></div>}
            </Card>
          );
        })}
      </div>
      <Drawer title={open?.kind.title ?? ''} open={open !== null} onClose={() => setOpen(null)}>{open && <Edit key={open.kind.kind + (open.provider?.name ?? '')} app={app} kind={open.kind} provider={open.provider} done={() => setOpen(null)} />}</Drawer>
    </>
  );
}

function Edit({ app, kind, provider, done }: { app: string; kind: ProviderKind; provider?: Provider; done: () => void }) {
  const [doc, setDoc] = useState<Doc>(provider?.config ?? {});
  const [name, setName] = useState(provider?.name ?? 'default');
  const [said, setSaid] = useState<Tested | null>(null);
  const [probe, setProbe] = useState<Doc>({});
  const send = useSend<Tested>('/providers', '/overview');
  const { toast, confirm } = useVoice();
  const path = `/providers/${seg(kind.kind)}/${seg(name)}`;
  const kept = Object.fromEntries(Object.entries(doc).filter(([, v]) => !(typeof v === 'object' && v !== null && 'set' in v))); // a stored secret stays as it is
  const problems = send.error instanceof Problem ? send.error.at('config') : {};
  const save = async () => { try { await send.mutateAsync({ method: 'PUT', path, query: { app }, etag: provider?.etag, body: { config: kept } }); toast(t('Saved.')); done(); } catch { /* shown below */ } };
  const test = async () => { try { setSaid((await send.mutateAsync({ method: 'POST', path: `${path}/test`, query: { app }, body: probe })).value); } catch { /* shown below */ } };
  const remove = async () => {
    if (!await confirm({ title: t('Delete this provider?'), text: t('Nothing is sent through it any more.'), yes: t('Delete'), danger: true })) return;
    try { await send.mutateAsync({ method: 'DELETE', path, query: { app }, etag: provider?.etag }); done(); } catch { /* shown below */ }
  };
  return (
    <>
      <form className="form" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        {kind.several && !provider && <TextField label={t('Name')} value={name} onChange={setName} />}
        <FormView form={kind.form} value={doc} onChange={setDoc} problems={problems} />
        {send.error && <p className="problem" role="alert">{wordsOf(send.error)}</p>}
        <div className="acts end">{provider && <Button look="danger" onClick={() => void remove()}>{t('Delete')}</Button>}<Button type="submit" look="primary" disabled={send.isPending}>{t('Save')}</Button></div>
      </form>
      {provider && (
        <Card title={t('Test it')}>
          <FormView form={kind.test} value={probe} onChange={setProbe} />
          <div className="acts"><Button onClick={() => void test()} disabled={send.isPending}>{t('Send a test')}</Button></div>
          {said && <div className={`note ${said.ok ? 'yes' : 'no'}`} role="status"><p>{said.answer}</p><small>{said.ms} ms</small></div>}
        </Card>
      )}
    </>
  );
}
