// The journey as a tree: the same steps as on the canvas, for whoever reads or
// listens. Arrows move, Enter opens, Delete deletes, Alt with arrows moves a step.

import { useEffect, useRef, useState } from 'react';
import { lineOf, nameOf, node, outcomesOf } from './model/graph.ts';
import type { Graph, Outcomes, Problem, Step } from './model/types.ts';
import { Button } from '../ui/parts.tsx';
import { plural, t } from '../words/words.ts';

type Row = { id: string; level: number; way: string; again: boolean };

function rows(g: Graph, outcomes: Outcomes, steps: Map<string, Step>): Row[] {
  const out: Row[] = [];
  const seen = new Set<string>();
  const visit = (id: string, level: number, way: string) => {
    const n = node(g, id);
    if (!n) return;
    const again = seen.has(id);
    out.push({ id, level, way, again });
    if (again) return;
    seen.add(id);
    const ways = outcomesOf(g, id, outcomes, steps.get(n.kind)).filter((o) => n.next?.[o]);
    ways.forEach((o) => visit(n.next![o]!, level + (ways.length > 1 ? 1 : 0), ways.length > 1 || o !== 'success' ? o : ''));
  };
  visit(g.start, 1, '');
  for (const id of Object.keys(g.nodes)) if (!seen.has(id)) visit(id, 1, t('nothing leads here'));
  return out;
}

export function Outline({ graph, outcomes, steps, problems, selected, pick, remove, add, earlier, later }: {
  graph: Graph; outcomes: Outcomes; steps: Map<string, Step>; problems: Problem[]; selected: string; pick: (id: string) => void; remove: (id: string) => void; add: () => void; earlier: (id: string) => void; later: (id: string) => void;
}) {
  const list = rows(graph, outcomes, steps);
  const box = useRef<HTMLDivElement>(null);
  // A step may stand in several rows; whoever goes through them leaves none out.
  const [row, setRow] = useState(0);
  const at = list[row]?.id === selected ? row : Math.max(0, list.findIndex((r) => r.id === selected && !r.again));
  useEffect(() => { if (box.current?.contains(document.activeElement)) box.current.querySelector<HTMLElement>('[tabindex="0"]')?.focus(); }, [at, list.length]);
  const key = (e: React.KeyboardEvent) => {
    const go = (i: number) => { e.preventDefault(); const to = Math.min(list.length - 1, Math.max(0, i)); if (list[to]) { setRow(to); pick(list[to].id); } };
    if (e.altKey && e.key === 'ArrowUp') { e.preventDefault(); earlier(selected); }
    else if (e.altKey && e.key === 'ArrowDown') { e.preventDefault(); later(selected); }
    else if (e.key === 'ArrowDown') go(at + 1);
    else if (e.key === 'ArrowUp') go(at - 1);
    else if (e.key === 'Home') go(0);
    else if (e.key === 'End') go(list.length - 1);
    else if (e.key === 'Delete' && selected) { e.preventDefault(); e.stopPropagation(); remove(selected); }
  };
  return (
    <div className="outline" ref={box}>
      <div className="tree" role="tree" aria-label={t('Outline of the journey')} onKeyDown={key}>
        {list.map((r, i) => {
          const n = node(graph, r.id)!;
          const step = steps.get(n.kind);
          const bad = problems.filter((p) => p.node === r.id && !p.warning).length;
          return (
            <div key={`${r.id}/${i}`} role="treeitem" aria-level={r.level} aria-selected={r.id === selected && i === at} tabIndex={i === at ? 0 : -1} className={`treeitem level${Math.min(r.level, 8)}`} onClick={() => { setRow(i); pick(r.id); }}>
              {r.way && <small className={`jport ${lineOf(r.way, undefined)}`}>{r.way} →</small>}
              {graph.start === r.id && !r.again && <span aria-hidden="true">▶</span>}
              <span>{nameOf(n, step)}</span><small>{r.again ? t('(above)') : n.label ? step?.title : ''}</small>
              {bad > 0 && <small className="problem">⚠ {plural(bad, '{n} problem', '{n} problems')}</small>}
            </div>
          );
        })}
      </div>
      <div className="acts"><Button onClick={add}>{t('Add a step')}</Button></div>
      <p className="help">{t('Arrows move, Alt with arrows moves a step, N adds one after it, Delete removes it. Where a way leads is set beside.')}</p>
    </div>
  );
}
