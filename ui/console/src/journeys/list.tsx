// The journeys there are, and what to begin a new one with.

import { useState } from 'react';
import { translated } from '../api/catalog.ts';
import { useList, useSend } from '../api/query.ts';
import { Ago, Button, Card, Empty, Failure, Form, FormError, Head, Link, Loading, Modal, Select, State, TextArea, TextField } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { go, leave, same, useUnsaved } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { plural, said, t } from '../words/words.ts';
import type { Item, Journey, Template } from './api.ts';
import type { Graph } from './model/types.ts';

export const kinds = (): [string, string][] => [['client', t('A page or app runs it')], ['mobile_approve', t('A phone runs it to approve')], ['sub', t('Another journey runs it')], ['sso', t('An authorization request runs it')], ['backend', t('A back end runs it')]];

export function List() {
  const list = useList<Item>('/journeys');
  const templates = useList<Template>('/journeys/templates');
  const [begin, setBegin] = useState<{ template?: Template; graph?: Graph } | null>(null);
  const mine = useMine();
  const close = () => leave(() => setBegin(null));
  const draws = mine.can('POST /journeys');
  return (
    <>
      <Head title={t('Journeys')} lead={t('A journey is the way on which somebody signs in, drawn as a graph. A draft runs for nobody until it is published.')}>
        {draws && <><Button onClick={() => setBegin({})} look="primary">{t('New journey')}</Button><Import done={(graph) => setBegin({ graph })} /></>}
      </Head>
      <Failure error={list.error} again={() => void list.refetch()} />
      {list.pending ? <Loading /> : list.items.length === 0 ? <Empty title={t('No journey yet')}>{t('Begin with a template below.')}</Empty> : (
        <Table<Item> name={t('Journeys')} rows={list.items} id={(j) => j.id} open={(j) => go(`/journeys/${j.id}`)} columns={[
          { head: t('Name'), wide: true, cell: (j) => <Link to={`/journeys/${j.id}`}>{j.name || j.id}</Link> },
          { head: t('Id'), hide: true, cell: (j) => <code>{j.id}</code> },
          { head: t('State'), cell: (j) => <State is={j.state === 'published' ? 'yes' : j.state === 'draft' ? 'wait' : 'off'}>{j.state === 'published' ? t('Version {version}', { version: j.version }) : j.state === 'draft' ? t('Draft') : t('Disabled')}{j.dirty && j.state === 'published' ? ` · ${t('changed')}` : ''}</State> },
          { head: t('Problems'), cell: (j) => (j.problems > 0 ? <State is="no">{plural(j.problems, '{n} problem', '{n} problems')}</State> : '—') },
          { head: t('Used by'), wide: true, hide: true, cell: (j) => j.used_by.map((u) => u.client || u.as).join(', ') || '—' },
          { head: t('Changed'), hide: true, cell: (j) => <Ago at={j.updated_at} /> },
        ]} />
      )}
      {draws && <>
        <h2 className="section">{t('Templates')}</h2>
        <div className="grid">
          {translated(templates.items).map((tpl) => ({ ...tpl, name: said(tpl.name), purpose: said(tpl.purpose), sees: tpl.sees.map(said) })).map((tpl) => (
            <Card key={tpl.id} title={tpl.name} acts={<Button onClick={() => setBegin({ template: tpl, graph: laid(templates.items.find((x) => x.id === tpl.id)!.graph) })}>{t('Use')}</Button>}>
              <p className="help">{tpl.purpose}</p>
              <ol className="sees" aria-label={t('What people see')}>{tpl.sees.map((s, i) => <li key={i}>{s}</li>)}</ol>
            </Card>
          ))}
        </div>
      </>}
      <Modal title={begin?.template ? begin.template.name : t('New journey')} open={begin !== null} onClose={close}>{begin && <Begin {...begin} close={close} />}</Modal>
    </>
  );
}

/** A template as whoever draws reads it: its steps are called so in their language. What people are asked has its own languages. */
const laid = (g: Graph): Graph => ({ ...g, nodes: Object.fromEntries(Object.entries(g.nodes).map(([id, n]) => [id, n.label ? { ...n, label: said(n.label) } : n])) });

function Import({ done }: { done: (g: Graph) => void }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const send = useSend<{ graph: Graph }>();
  const release = useUnsaved(open && text !== '');
  const close = () => leave(() => { setOpen(false); setText(''); });
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t('Import')}</Button>
      <Modal title={t('Import a journey')} open={open} onClose={close} wide>
        <Form error={send.error} onSubmit={(e) => { e.preventDefault(); send.mutateAsync({ method: 'POST', path: '/journeys/import', body: { text } }).then((r) => { release(); setOpen(false); setText(''); done(r.value.graph); }).catch(() => {}); }}>
          <div className="fieldrow"><label htmlFor="import-file">{t('A file, YAML or JSON')}</label><input id="import-file" type="file" accept=".yaml,.yml,.json" onChange={(e) => { void e.target.files?.[0]?.text().then(setText); }} /></div>
          <TextArea at="text" label={t('Or its text')} className="mono" rows={10} value={text} onChange={setText} />
          <FormError />
          <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" why={!text && t('Choose a file, or put its text in.')}>{t('Import')}</Button></div>
        </Form>
      </Modal>
    </>
  );
}

function Begin({ template, graph, close }: { template?: Template; graph?: Graph; close: () => void }) {
  const [name, setName] = useState(template?.name ?? graph?.name ?? '');
  const [id, setId] = useState(template ? `my_${template.id}` : graph?.id ?? '');
  const [kind, setKind] = useState(template?.kind ?? graph?.kind ?? 'client');
  const send = useSend<Journey>('/journeys');
  const [first] = useState({ name, id });
  const release = useUnsaved((graph !== undefined && !template) || !same({ name, id }, first));
  const make = async () => { await send.mutateAsync({ method: 'POST', path: '/journeys', body: { id, name, ...(graph ? { graph: { ...graph, id } } : { kind }) } }); release(); go(`/journeys/${id}`); };
  return (
    <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void make().catch(() => {}); }}>
      <TextField at="name" label={t('Name')} value={name} onChange={(v) => { setName(v); if (!template && !graph) setId(v.toLowerCase().replace(/[^a-z0-9]+/g, '_').slice(0, 64)); }} required />
      <TextField at="id" label={t('Id')} value={id} onChange={setId} required help={t('Letters, digits, - _ and dots. Clients start the journey by it.')} />
      {!template && !graph && <Select at="kind" label={t('Kind')} value={kind} onChange={setKind} options={kinds()} />}
      <FormError />
      <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Create')}</Button></div>
    </Form>
  );
}
