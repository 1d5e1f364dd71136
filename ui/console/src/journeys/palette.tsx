import { useEffect, useId, useRef, useState } from 'react';
import { find } from './model/search.ts';
import type { Step } from './model/types.ts';
import { t } from '../words/words.ts';
import { Glass, Icon, rank, Unfold } from './icons.tsx';

const standing = (steps: Step[], kind: string) => steps.filter((s) => !s.in || s.in.length === 0 || s.in.includes(kind));
const groupsOf = (steps: Step[]) => [...new Set(steps.map((s) => s.category))];

type Dragging = { start: () => void; end: () => void };

/** Every kind of step that may stand here, found by what people call it. `at` is the group that is come for, else it is the search; `fold` folds it away, and has the focus if somebody has just unfolded it (`turned`). */
export function Palette({ steps, kind, add, focus, at, fold, turned, dragging }: { steps: Step[]; kind: string; add: (kind: string) => void; focus?: boolean; at?: string; fold?: () => void; turned?: boolean; dragging?: Dragging }) {
  const [q, setQ] = useState('');
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    const group = at && list.current?.querySelector(`[data-group="${CSS.escape(at)}"]`);
    if (!group) return;
    list.current!.scrollTop += group.getBoundingClientRect().top - list.current!.getBoundingClientRect().top - 8;
    group.querySelector('button')?.focus({ preventScroll: true });
  }, [at]);
  const hits = find(standing(steps, kind).map((s) => ({ ...s, words: s.words ?? [] })), q);
  const groups = groupsOf(hits);
  if (!q) groups.sort((a, b) => rank(a) - rank(b));
  return (
    <section className="palette" aria-label={t('Steps')} ref={list}>
      <div className="palhead">
        <input type="search" aria-label={t('Find a step')} placeholder={t('Find a step')} value={q} autoFocus={focus} onChange={(e) => setQ(e.target.value)} onKeyDown={(e) => { if (e.key === 'Enter' && hits[0]) { e.preventDefault(); add(hits[0].kind); } }} />
        {fold && <button type="button" className="btn railbtn" aria-label={t('Fold the steps')} title={t('Fold the steps')} autoFocus={turned} onClick={fold}><Unfold back /></button>}
      </div>
      {hits.length === 0 && <p className="help">{t('No step is called that.')}</p>}
      {groups.map((g) => (
        <div key={g} data-group={g}>
          <h3><Icon category={g} /> {g}</h3>
          <ul>{hits.filter((s) => s.category === g).map((s) => (
            <li key={s.kind}><button type="button" className="pal" draggable title={s.doc} onDragStart={(e) => { e.dataTransfer.setData('application/x-step', s.kind); dragging?.start(); }} onDragEnd={dragging?.end} onClick={() => add(s.kind)}>{s.title}<small>{s.doc}</small></button></li>
          ))}</ul>
        </div>
      ))}
    </section>
  );
}

/** The palette folded: its search and its groups, each of which opens it over the canvas until a step is taken, Escape, or whatever else is turned to. */
export function Rail({ steps, kind, add, unfold, turned }: { steps: Step[]; kind: string; add: (kind: string, at?: number[]) => void; unfold: () => void; turned: boolean }) {
  const [open, setOpen] = useState<string | null>(null); // '': the search
  const [dragged, setDragged] = useState(false);
  const box = useRef<HTMLElement>(null);
  const by = useRef<HTMLElement | null>(null);
  const id = useId();
  const close = (back = true) => { setOpen(null); setDragged(false); if (back) by.current?.focus(); };
  useEffect(() => {
    if (open === null) return;
    const elsewhere = (e: Event) => { if (!box.current?.contains(e.target as Node)) close(false); };
    for (const what of ['pointerdown', 'focusin']) document.addEventListener(what, elsewhere);
    return () => { for (const what of ['pointerdown', 'focusin']) document.removeEventListener(what, elsewhere); };
  }, [open]); // eslint-disable-line
  const groups = groupsOf(standing(steps, kind)).sort((a, b) => rank(a) - rank(b));
  const opener = (at: string, name: string, picture: React.ReactNode) => (
    <button key={at} type="button" className="btn railbtn" aria-label={name} title={name} aria-expanded={open === at} aria-controls={open === at ? id : undefined}
      onClick={(e) => { by.current = e.currentTarget; setOpen(open === at ? null : at); }}>{picture}</button>
  );
  return (
    <section className="rail" aria-label={t('Steps')} ref={box} onKeyDown={(e) => { if (e.key === 'Escape' && open !== null) { e.stopPropagation(); close(); } }}>
      <button type="button" className="btn railbtn" aria-label={t('Show the steps')} title={t('Show the steps')} autoFocus={turned} onClick={unfold}><Unfold /></button>
      {opener('', t('Find a step'), <Glass />)}
      {groups.map((g) => opener(g, g, <Icon category={g} />))}
      {open !== null && (
        // What is dragged stays where it was taken from, out of the way of where it goes.
        <div id={id} className={`railpalette ${dragged ? 'away' : ''}`}>
          <Palette key={open} steps={steps} kind={kind} focus={open === ''} at={open || undefined} add={(k) => { close(); add(k); }} dragging={{ start: () => setTimeout(() => setDragged(true)), end: () => close(false) }} />
        </div>
      )}
    </section>
  );
}
