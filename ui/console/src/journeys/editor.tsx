// Draw a journey: on the canvas or in the outline, by mouse or by keyboard.

import { useCallback, useEffect, useId, useMemo, useState } from 'react';
import { seg } from '../api/client.ts';
import { useSend } from '../api/query.ts';
import { Button, Form, FormError, Menu, Modal, TextField, useVoice } from '../ui/parts.tsx';
import { same } from '../ui/route.ts';
import { useMine } from '../session.ts';
import { plural, said, t } from '../words/words.ts';
import type { Journey } from './api.ts';
import { Canvas } from './canvas.tsx';
import { Turn } from './icons.tsx';
import { Inspector } from './inspector.tsx';
import { Outline } from './outline.tsx';
import { Palette, Rail } from './palette.tsx';
import { useFold } from './fold.ts';
import * as clip from './model/clipboard.ts';
import { facesOf, sizeOf } from './model/faces.ts';
import * as m from './model/graph.ts';
import { layout } from './model/layout.ts';
import type { Exit, Problem, Step } from './model/types.ts';
import { useDraft } from './useDraft.ts';
import { useCatalog } from '../api/catalog.ts';

export type View = 'canvas' | 'outline';

export function Editor({ journey, etag, reload, view, setView }: { journey: Journey; etag: string; reload: () => void; view: View; setView: (v: View) => void }) {
  const catalog = useCatalog();
  const steps = useMemo(() => new Map<string, Step>((catalog.data?.steps ?? []).map((s) => [s.kind, s as Step])), [catalog.data]);
  const editable = useMine().can('PUT /journeys/{id}/draft');
  const publishes = useMine().can('POST /journeys/{id}/publish');
  const d = useDraft(journey, etag, editable);
  const [selected, setSelected] = useState<Set<string>>(new Set());
  const [wide, setWide] = useState(false);
  const { folded, turned, fold, makeRoom } = useFold();
  const [adding, setAdding] = useState(false);
  const [publishing, setPublishing] = useState(false);
  const [listing, setListing] = useState(false);
  const { toast } = useVoice();
  const one = selected.size === 1 ? [...selected][0]! : '';
  const main = useCallback((id: string) => m.mainOutcome(m.outcomesOf(d.graph, id, d.outcomes, steps.get(m.node(d.graph, id)?.kind ?? ''))), [d.graph, d.outcomes, steps]);
  const pick = (id: string) => setSelected(new Set([id]));
  const open = (id: string) => { pick(id); makeRoom(); };

  /** Adds a step: into a way, at a place, or after what is selected. */
  const add = (kind: string, at?: number[], into?: Exit) => {
    const g = d.graph;
    const from = at ? undefined : m.node(g, one);
    const out = from && (m.outcomesOf(g, one, d.outcomes, steps.get(from.kind)).find((o) => m.target(g, { node: one, outcome: o }) === undefined) ?? main(one));
    const place = at ?? m.free(g, from ? [(from.at?.[0] ?? 0) + 300, from.at?.[1] ?? 0] : [0, 0]);
    const way = into ?? (out ? { node: one, outcome: out } : undefined);
    const made = way ? m.insert(g, way, kind, place, m.mainOutcome(steps.get(kind)?.outcomes ?? [])) : m.add(g, kind, place);
    d.change(() => made.graph);
    setAdding(false);
    pick(made.id);
  };
  const remove = (ids: Set<string>) => { d.change((g) => m.remove(g, ids, main)); setSelected(new Set()); };
  const copy = async (cut = false) => { if (selected.size > 0) { await navigator.clipboard.writeText(clip.copy(m.pick(d.graph, selected))); if (cut) remove(selected); else toast(t('Copied')); } };
  const paste = (text: string, move = [40, 40]) => {
    const nodes = clip.read(text);
    if (!nodes) { toast(t('There are no steps in the clipboard.'), true); return; }
    const made = m.paste(d.graph, nodes, move);
    d.change(() => made.graph);
    setSelected(new Set(made.ids));
  };
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const typing = (e.target as HTMLElement).closest('input, textarea, select, [role=dialog]');
      const ctrl = e.ctrlKey || e.metaKey;
      if (ctrl && e.key === 's') { e.preventDefault(); void d.save(); return; }
      if (typing) return;
      const k = e.key.toLowerCase();
      if (ctrl && k === 'z') { e.preventDefault(); if (e.shiftKey) d.redo(); else d.undo(); }
      else if (ctrl && k === 'y') { e.preventDefault(); d.redo(); }
      else if (ctrl && k === 'c') void copy();
      else if (ctrl && k === 'x') void copy(true);
      else if (ctrl && k === 'v') void navigator.clipboard.readText().then(paste);
      else if (ctrl && k === 'd') { e.preventDefault(); if (selected.size > 0) paste(clip.copy(m.pick(d.graph, selected))); }
      else if (ctrl && k === 'a') { e.preventDefault(); setSelected(new Set(Object.keys(d.graph.nodes))); }
      else if ((e.key === 'Delete' || e.key === 'Backspace') && selected.size > 0 && editable) { e.preventDefault(); remove(selected); }
      else if (k === 'n' && !ctrl && editable) { e.preventDefault(); setAdding(true); }
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  });
  const move = useCallback((at: Record<string, number[]>, about: string) => d.change((g) => m.place(g, at), about), [d.change]);
  const insert = useCallback((id: string, into: Exit, at: number[]) => d.change((g) => m.insertExisting(m.place(g, { [id]: at }), into, id, main(id))), [d.change, main]);
  const fix = async (p: Problem) => { if (!await d.fix(p)) toast(t('This was not mended: the journey has changed since, or the server did not answer.'), true); };
  const arrange = () => d.change((g) => {
    const faces = facesOf(g, d.outcomes, steps, []);
    return m.place(g, layout(g, selected.size > 1 ? selected : undefined, { tall: (id) => sizeOf(faces.get(id)!).h, ways: (id) => faces.get(id)!.outcomes.map(([o]) => o) }));
  });
  const live = journey.state !== 'disabled' && same(d.graph, journey.published?.graph);
  const errors = d.problems.filter((p) => !p.warning).length;
  const closed = errors > 0 ? t('Mend the problems first.') : live ? t('What is drawn is published.') : ''; // to publishing
  const why = useId();
  const words = { saved: t('Saved'), waiting: t('Not saved yet'), saving: t('Saving…'), failed: t('Could not be saved') };
  return (
    <>
      <div className="bar" role="toolbar" aria-label={t('Editor')}>
        <Button onClick={() => setView(view === 'canvas' ? 'outline' : 'canvas')} aria-pressed={view === 'outline'}>{view === 'canvas' ? t('Outline') : t('Canvas')}</Button>
        {view === 'canvas' && <Button className="roomy" aria-pressed={wide} onClick={() => setWide(!wide)}>{t('More room')}</Button>}
        {editable && <>
          <Button onClick={() => setAdding(true)}>{t('Add a step')} <kbd>N</kbd></Button>
          <Button disabled={!d.mayUndo} onClick={d.undo} aria-label={t('Undo')} title={`${t('Undo')} (Ctrl Z)`}><Turn /></Button>
          <Button disabled={!d.mayRedo} onClick={d.redo} aria-label={t('Redo')} title={`${t('Redo')} (Ctrl Y)`}><Turn forth /></Button>
          <Button onClick={arrange}>{t('Arrange')}</Button>
          <Menu label="⋯" name={t('More')} items={[
            { text: `${t('Copy')} (Ctrl C)`, run: () => void copy(), disabled: selected.size === 0 }, { text: `${t('Paste')} (Ctrl V)`, run: () => void navigator.clipboard.readText().then(paste) },
            { text: `${t('Duplicate')} (Ctrl D)`, run: () => paste(clip.copy(m.pick(d.graph, selected))), disabled: selected.size === 0 }, null,
            { text: t('Remove ways that lead nowhere'), run: () => d.change(m.cutDangling) }, { text: t('Delete'), danger: true, disabled: selected.size === 0, run: () => remove(selected) },
          ]} />
        </>}
        <div className="acts goes">
        <Button onClick={() => setListing(true)}>{errors > 0 ? `⚠ ${plural(errors, '{n} problem', '{n} problems')}` : d.problems.length > 0 ? plural(d.problems.length, '{n} note', '{n} notes') : `✓ ${t('No problems')}`}</Button>
        {publishes && <Button look="primary" disabled={closed !== ''} aria-describedby={why} onClick={() => setPublishing(true)}>{t('Publish')}</Button>}
        </div>
      </div>
      {/* A line of its own: it says more and less, and nothing moves by that. */}
      <p className="barline">{publishes && <span id={why}>{closed}</span>}<span className="saving" role="status">{editable ? words[d.saving] : t('You may look, not change.')}</span></p>
      <div className={`editor ${wide && view === 'canvas' ? 'wide' : ''} ${!editable ? 'bare' : folded ? 'folded' : ''}`} onBlur={d.pause}>
        {editable && (folded ? <Rail steps={[...steps.values()]} kind={d.graph.kind} add={add} unfold={() => fold(false)} turned={turned} /> : <Palette steps={[...steps.values()]} kind={d.graph.kind} add={add} fold={() => fold(true)} turned={turned} />)}
        {view === 'canvas'
          ? <Canvas key={String(wide)} graph={d.graph} outcomes={d.outcomes} steps={steps} problems={d.problems} selected={selected} fixed={!editable} select={(ids) => setSelected(new Set(ids))} move={move} insert={insert} rename={editable ? (id, label) => d.change((g) => m.change(g, id, { label })) : undefined} chosen={one} covered={wide && one ? 328 : 0} open={open} drop={editable ? add : undefined}
              connect={(node, outcome, to) => d.change((g) => m.connect(g, { node, outcome }, to))} disconnect={(node, outcome) => d.change((g) => m.disconnect(g, { node, outcome }))} />
          : <Outline graph={d.graph} outcomes={d.outcomes} steps={steps} problems={d.problems} selected={one} pick={pick} remove={(id) => remove(new Set([id]))} add={() => setAdding(true)} earlier={(id) => d.change((g) => m.earlier(g, id, main))} later={(id) => d.change((g) => m.later(g, id, main))} />}
        {one && m.node(d.graph, one) ? (
          <Inspector key={one} graph={d.graph} id={one} step={steps.get(m.node(d.graph, one)!.kind)} outcomes={d.outcomes} problems={d.problems} steps={steps} editable={editable}
            label={(label) => d.change((g) => m.change(g, one, { label }), `label ${one}`)} error={(error) => d.change((g) => m.change(g, one, { error }), `error ${one}`)} config={(doc) => d.change((g) => m.configure(g, one, doc), `config ${one}`)}
            lead={(outcome, to) => d.change((g) => (to ? m.connect(g, { node: one, outcome }, to) : m.disconnect(g, { node: one, outcome })))} start={() => d.change((g) => m.begin(g, one))} remove={() => remove(new Set([one]))} fix={fix} />
        ) : <section className="inspector about"><h2>{d.graph.name}</h2><TextField label={t('Name')} value={d.graph.name} onChange={(name) => d.change((g) => ({ ...g, name }), 'name')} /><p className="help">{t('Choose a step to see its settings. N adds one, Delete removes what is chosen, Ctrl Z takes back.')}</p></section>}
      </div>
      <Modal title={t('Add a step')} open={adding} onClose={() => setAdding(false)}><Palette steps={[...steps.values()]} kind={d.graph.kind} add={add} focus /></Modal>
      <Modal title={t('Problems')} open={listing} onClose={() => setListing(false)} wide>
        {d.problems.length === 0 ? <p>{t('Nothing is wrong with this journey.')}</p> : <ul className="problems">{d.problems.map((p, i) => (
          <li key={i}><span className={p.warning ? '' : 'problem'}>{p.warning ? '⚠' : '✕'} {said(p.text)}</span>{p.node && <Button look="quiet" onClick={() => { pick(p.node!); setListing(false); }}>{m.nameOf(m.node(d.graph, p.node), steps.get(m.node(d.graph, p.node)?.kind ?? ''))}</Button>}{p.fix && editable && <Button onClick={() => void fix(p)}>{said(p.fix.title)}</Button>}</li>
        ))}</ul>}
      </Modal>
      <Modal title={t('Somebody else changed this journey')} open={d.conflict}>
        <p>{t('What you drew since is not stored. Load what is there now: Ctrl Z then brings yours back, or copy it first.')}</p>
        <div className="acts end"><Button onClick={() => void navigator.clipboard.writeText(JSON.stringify(d.graph, null, 2))}>{t('Copy mine')}</Button><Button look="primary" onClick={reload}>{t('Load what is there')}</Button></div>
      </Modal>
      <Publish open={publishing} close={() => setPublishing(false)} journey={journey} prepare={d.settle} done={d.published} />
    </>
  );
}

function Publish({ open, close, journey, prepare, done }: { open: boolean; close: () => void; journey: Journey; prepare: () => Promise<string | undefined>; done: (etag: string) => void }) {
  const [note, setNote] = useState('');
  const send = useSend<{ version: number }>('/journeys', `/journeys/${seg(journey.id)}`);
  const { toast } = useVoice();
  const publish = async () => {
    const etag = await prepare();
    if (etag === undefined) { toast(t('Could not be saved'), true); return; }
    const { value, etag: next } = await send.mutateAsync({ method: 'POST', path: `/journeys/${seg(journey.id)}/publish`, etag, body: { note } });
    done(next);
    toast(t('Version {version} is published. New runs get it; runs under way keep theirs.', { version: value.version }));
    setNote('');
    close();
  };
  return (
    <Modal title={t('Publish')} open={open} onClose={close}>
      <Form error={send.error} onSubmit={(e) => { e.preventDefault(); void publish().catch(() => {}); }}>
        <TextField at="note" label={t('What changed')} value={note} onChange={setNote} help={t('For whoever looks at the versions later. New sign-ins take this version at once.')} />
        <FormError />
        <div className="acts end"><Button onClick={close}>{t('Cancel')}</Button><Button type="submit" look="primary" disabled={send.isPending}>{t('Publish')}</Button></div>
      </Form>
    </Modal>
  );
}
