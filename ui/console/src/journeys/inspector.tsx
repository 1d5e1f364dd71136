// One node: what it is called, where it leads, how it is set.

import { useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { call } from '../api/client.ts';
import { Button, TextField } from '../ui/parts.tsx';
import { useJourneys } from '../ui/choices.ts';
import { Control, FormView, Widgets, type Doc, type Widget } from '../ui/form.tsx';
import { said, t } from '../words/words.ts';
import { lineOf, nameOf, node, outcomesOf } from './model/graph.ts';
import type { Graph, Outcomes, Problem, Step } from './model/types.ts';

export type InspectorProps = {
  graph: Graph; id: string; step?: Step; outcomes: Outcomes; problems: Problem[]; steps: Map<string, Step>; editable: boolean;
  label: (text: string) => void; error: (name: string) => void; config: (doc: Doc) => void; lead: (outcome: string, to: string) => void; start: () => void; remove: () => void; fix: (p: Problem) => void;
};

export function Inspector(p: InspectorProps) {
  const n = node(p.graph, p.id);
  const choices = useJourneys();
  const latest = useRef(p.graph);
  latest.current = p.graph;
  // Whoever turns a value into an expression, or back, goes on in the field that takes its place.
  const next = useRef('');
  useEffect(() => { if (next.current) document.getElementById(next.current)?.focus(); next.current = ''; });
  const widget = useMemo<Widget>(() => (f, value, set, _path, ids) => {
    const isExpr = typeof value === 'object' && value !== null && 'expr' in value;
    if (!p.editable) return isExpr ? <textarea {...ids} className="mono" rows={2} disabled value={String((value as { expr: string }).expr)} /> : null;
    // Yes or no that must be said is a question to what is known: somebody who wants one answer for everybody says so.
    const asks = f.type === 'boolean' && f.required && value === undefined;
    if (isExpr || asks) return <Expression value={isExpr ? String((value as { expr: string }).expr) : ''} set={(expr) => set({ expr })} plain={() => { next.current = String(ids.id); set(f.type === 'boolean' && f.required ? false : undefined); }} graph={() => latest.current} node={p.id} ids={ids} label={f.label} />;
    return <WithSwitch f={f} value={value} set={set} ids={ids} turn={() => { next.current = String(ids.id); }} />;
  }, [p.id, p.editable]);
  if (!n) return null;
  const mine = p.problems.filter((x) => x.node === p.id);
  const at = Object.fromEntries(mine.filter((x) => x.path).map((x) => [x.path!, x.line ? `${said(x.text)} (${x.line}:${x.column})` : said(x.text)]));
  const ways = outcomesOf(p.graph, p.id, p.outcomes, p.step); // an end has none
  const others = Object.keys(p.graph.nodes).filter((x) => x !== p.id);
  return (
    <section className="inspector" aria-label={t('Step')}>
      <h2>{nameOf(n, p.step)}</h2>
      <p className="help">{p.step?.doc}</p>
      {mine.length > 0 && <ul className="problems">{mine.map((x) => <li key={x.text + x.path}><span className="problem">{said(x.text)}</span>{x.fix && p.editable && <Button onClick={() => p.fix(x)}>{said(x.fix.title)}</Button>}</li>)}</ul>}
      <TextField label={t('What it is called')} value={n.label ?? ''} placeholder={p.step?.title} onChange={p.label} />
      {ways.length > 0 && <h3>{t('Ways out')}</h3>}
      <div className="outgo">
        {ways.map((o) => (
          <label key={o} className="contents"><span className={`jport ${lineOf(o, p.step)}`}>{o}</span>
            <select aria-label={t('{outcome} leads to', { outcome: o })} disabled={!p.editable} value={n.next?.[o] ?? ''} onChange={(e) => p.lead(o, e.target.value)}>
              <option value="">{t('nowhere yet')}</option>
              {others.map((x) => <option key={x} value={x}>{nameOf(node(p.graph, x), p.steps.get(node(p.graph, x)!.kind))} ({x})</option>)}
              <option value={p.id}>{t('itself')}</option>
            </select>
          </label>
        ))}
      </div>
      <h3>{t('Settings')}</h3>
      <Widgets.Provider value={{ widget, choices }}>
        <FormView form={p.step?.form ?? []} value={(n.config ?? {}) as Doc} onChange={p.config} problems={at} disabled={!p.editable} />
      </Widgets.Provider>
      {(ways.length > 0 || n.error) && <TextField label={t('Keep why it failed as')} value={n.error ?? ''} onChange={p.error} help={t('A variable for later steps, such as error.')} />}
      {p.editable && <div className="acts"><Button onClick={p.start} disabled={p.graph.start === p.id}>{t('Begin here')}</Button><Button look="danger" onClick={p.remove}>{t('Delete')}</Button></div>}
    </section>
  );
}

/** The control that the field has anyway, and the way to an expression. */
function WithSwitch({ f, value, set, ids, turn }: { f: Parameters<Widget>[0]; value: unknown; set: (v: unknown) => void; ids: Record<string, unknown>; turn: () => void }) {
  const { choices } = useContext(Widgets);
  return (
    <>
      <Control f={f} value={value} set={set} path={f.name} ids={ids} problems={{}} choices={choices} />
      <Button look="quiet" className="exprbtn" onClick={() => { turn(); set({ expr: value === undefined || value === null ? '' : JSON.stringify(value) }); }}>{t('Use an expression')}</Button>
    </>
  );
}

type Hint = { label: string; insert: string; kind: string; doc: string };

/** How many ways to go on are shown: as many as can be looked at without scrolling. */
const shown = 8;
/** What is typed of the name before the cursor, as the server cuts it. */
const unfinished = /[A-Za-z0-9_.@]*$/;

export function Expression({ value, set, plain, graph, node: at, ids, label }: { value: string; set: (v: string) => void; plain: () => void; graph: () => Graph; node: string; ids: Record<string, unknown>; label: string }) {
  const [errors, setErrors] = useState<{ line: number; column: number; text: string }[]>([]);
  const [hints, setHints] = useState<Hint[]>([]);
  const [chosen, setChosen] = useState(0);
  const list = useId();
  const box = useRef<HTMLTextAreaElement>(null);
  const asked = useRef(0);
  const caret = useRef<number | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => { void call<{ errors: typeof errors }>('POST', '/journeys/expression', { text: value }).then((r) => setErrors(r.value.errors)).catch(() => {}); }, 300);
    return () => clearTimeout(timer);
  }, [value]);
  useLayoutEffect(() => {
    if (caret.current !== null) box.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  }, [value]);
  useEffect(() => { if (hints.length > 0) document.getElementById(`${list}${chosen}`)?.scrollIntoView({ block: 'nearest' }); }, [hints, chosen, list]);
  const close = () => { asked.current++; setHints([]); };
  const suggest = async (text = value) => {
    const mine = ++asked.current;
    const before = text.slice(0, box.current?.selectionStart ?? text.length);
    const items = await call<{ items: Hint[] }>('POST', '/journeys/completions', { text, offset: new TextEncoder().encode(before).length, graph: graph(), node: at }).then((r) => r.value.items, () => []);
    if (mine !== asked.current) return;
    // What is there in full needs no list.
    const word = unfinished.exec(before)![0];
    setHints(items.length === 1 && items[0]!.insert === word ? [] : items.slice(0, shown));
    setChosen(0);
  };
  // Whoever types is offered names once they have begun one.
  const typed = (text: string) => {
    set(text);
    close();
    if (unfinished.exec(text.slice(0, box.current?.selectionStart ?? text.length))![0]) void suggest(text);
  };
  const take = (h: Hint) => {
    const pos = box.current?.selectionStart ?? value.length;
    const before = value.slice(0, pos).replace(unfinished, '') + h.insert;
    caret.current = before.length;
    set(before + value.slice(pos));
    close();
    box.current?.focus();
  };
  const key = (e: React.KeyboardEvent) => {
    if (e.key === ' ' && e.ctrlKey) { e.preventDefault(); void suggest(); return; }
    if (hints.length === 0) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (by) { e.preventDefault(); setChosen((chosen + by + hints.length) % hints.length); }
    if (e.key === 'Enter' || (e.key === 'Tab' && !e.shiftKey)) { e.preventDefault(); take(hints[chosen]!); }
    if (e.key === 'Escape') { e.stopPropagation(); e.nativeEvent.stopImmediatePropagation(); close(); }
  };
  const open = hints.length > 0;
  return (
    <div className="exprrow">
      <textarea {...ids} ref={box} aria-label={label} rows={2} spellCheck={false} value={value} aria-autocomplete="list" aria-haspopup="listbox" aria-controls={open ? list : undefined} aria-activedescendant={open ? `${list}${chosen}` : undefined}
        onChange={(e) => typed(e.target.value)} onKeyDown={key} onBlur={close} />
      {open && <ul className="suggest" id={list} role="listbox" aria-label={t('Suggest')}>{hints.map((h, i) => <li key={h.insert + h.label} id={`${list}${i}`} role="option" aria-selected={i === chosen} onMouseMove={() => setChosen(i)} onMouseDown={(e) => e.preventDefault()} onClick={() => take(h)}><code>{h.label}</code><small>{said(h.doc)}</small></li>)}</ul>}
      {errors.map((x) => <p key={x.text} className="problem">{t('Line {line}, column {column}: {text}', { ...x, text: said(x.text) })}</p>)}
      <div className="acts"><Button look="quiet" onMouseDown={(e) => e.preventDefault()} onClick={() => { box.current?.focus(); void suggest(); }}>{t('Suggest')} <kbd>Ctrl Space</kbd></Button><Button look="quiet" onClick={plain}>{t('Use a plain value')}</Button></div>
    </div>
  );
}
