// What a canvas shows of each step and way. What shows the same as before is the
// same object, so that only what changed is drawn anew.

import type { Graph, Outcomes, Problem, Step } from './types.ts';
import { edgeId } from './types.ts';
import { lineOf, nameOf, node, outcomesOf, type Line } from './graph.ts';

export type Marks = { nodes?: Record<string, string>; edges?: Record<string, string>; numbers?: Record<string, string> };
export type Face = { name: string; kind: string; face: string[]; outcomes: [string, Line][]; problems: number; start: boolean; mark: string; end: boolean };
export type Path = { id: string; from: string; outcome: string; to: string; line: Line; mark: string; number: string };

/** Returns each value of `next`, or the one that `was` has by its key if it says the same. */
export function keep<T>(was: Map<string, T>, next: Map<string, T>): Map<string, T> {
  const out = new Map<string, T>();
  for (const [id, v] of next) {
    const old = was.get(id);
    out.set(id, old !== undefined && JSON.stringify(old) === JSON.stringify(v) ? old : v);
  }
  return out;
}

export function facesOf(g: Graph, outcomes: Outcomes, steps: Map<string, Step>, problems: Problem[], marks?: Marks): Map<string, Face> {
  const bad = new Map<string, number>();
  for (const p of problems) if (p.node && !p.warning) bad.set(p.node, (bad.get(p.node) ?? 0) + 1);
  return new Map(Object.entries(g.nodes).map(([id, n]): [string, Face] => {
    const step = steps.get(n.kind);
    const ways = outcomesOf(g, id, outcomes, step);
    return [id, {
      name: nameOf(n, step), kind: step?.title ?? n.kind, face: (step?.face ?? []).map((name) => shown(n.config?.[name])).filter(Boolean).slice(0, 2),
      outcomes: ways.map((o) => [o, lineOf(o, step)]), problems: bad.get(id) ?? 0, start: g.start === id, mark: marks?.nodes?.[id] ?? '', end: ways.length === 0,
    }];
  }));
}

export function pathsOf(g: Graph, steps: Map<string, Step>, marks?: Marks): Map<string, Path> {
  const out = new Map<string, Path>();
  for (const [from, n] of Object.entries(g.nodes)) {
    for (const [outcome, to] of Object.entries(n.next ?? {})) {
      if (!node(g, to)) continue;
      const id = edgeId({ node: from, outcome });
      out.set(id, { id, from, outcome, to, line: lineOf(outcome, steps.get(n.kind)), mark: marks?.edges?.[id] ?? '', number: marks?.numbers?.[id] ?? '' });
    }
  }
  return out;
}

function shown(v: unknown): string {
  if (v === undefined || v === null || v === '' || v === false) return '';
  if (typeof v === 'object') return 'expr' in (v as object) ? `= ${String((v as { expr: unknown }).expr)}` : Array.isArray(v) ? v.filter((x) => typeof x === 'string').join(', ') : '';
  return String(v);
}
