// Places nodes in columns, each behind all that lead to it, and in a column so
// that ways cross little and no node is over another: what a reader follows first
// stands on one line, and the ends to which several ways lead stand below what
// these ways pass.

import type { Graph } from './types.ts';
import { mainOutcome, node } from './graph.ts';

const COLUMN = 300;
const GAP = 40;

/** How much room a node takes, and its ways out in the order in which they are drawn. */
export type About = { tall: (id: string) => number; ways: (id: string) => string[] };

const plain = (g: Graph): About => ({ tall: () => 110, ways: (id) => Object.keys(node(g, id)?.next ?? {}) });

export function layout(g: Graph, only?: Set<string>, about: About = plain(g)): Record<string, number[]> {
  const after = (id: string) => about.ways(id).map((o) => node(g, id)?.next?.[o]).filter((to): to is string => to !== undefined && node(g, to) !== undefined);
  const ahead = node(g, g.start) ? onward(g.start, after) : after;
  const order = node(g, g.start) ? forward(g.start, ahead) : [];
  const column = columnsOf(order, ahead);
  const loose = Math.max(-1, ...column.values()) + 1;
  for (const id of Object.keys(g.nodes)) if (!column.has(id)) column.set(id, loose);
  const main = mainLine(g, about);
  const before = new Map<string, string[]>();
  for (const id of order) for (const to of after(id)) if (column.get(to)! > column.get(id)!) before.set(to, [...(before.get(to) ?? []), id]);
  const top = new Map<string, number>();
  const bottoms: number[] = [];
  const ids = [...order, ...Object.keys(g.nodes).filter((id) => !order.includes(id))];
  for (let c = 0; c <= Math.max(0, ...column.values()); c++) {
    const wish = (id: string) => {
      if (main.has(id)) return 0;
      const from = before.get(id) ?? [];
      const below = bottoms.slice(Math.min(c, ...from.map((f) => column.get(f)! + 1)), c).map((b) => b + GAP); // what long ways pass
      for (const f of from) if (main.has(f)) below.push(top.get(f)! + about.tall(f));
      const beside = from.length > 0 ? from.reduce((sum, f) => sum + top.get(f)!, 0) / from.length : 0;
      return Math.max(beside, ...below);
    };
    const here = ids.filter((id) => column.get(id) === c).map((id, i) => ({ id, i, first: main.has(id) ? 0 : 1, w: wish(id) }));
    here.sort((a, b) => a.first - b.first || a.w - b.w || a.i - b.i);
    let next = -Infinity;
    for (const { id, w } of here) {
      const y = Math.max(next, Math.round(w / 10) * 10);
      top.set(id, y);
      next = y + Math.ceil((about.tall(id) + GAP) / 10) * 10;
    }
    bottoms[c] = here.length > 0 ? next - GAP : 0;
  }
  const out: Record<string, number[]> = {};
  for (const [id, c] of column) if (!only || only.has(id)) out[id] = [c * COLUMN, top.get(id)!];
  return out;
}

/**
 * The ways that lead on. Of a circle, those lead back that go to a step which is
 * nearer to the start: so what is tried again stands where it is met first.
 */
function onward(start: string, after: (id: string) => string[]): (id: string) => string[] {
  const met = nearest(start, after);
  const beyond = new Map<string, Map<string, number>>();
  const reaches = (from: string, to: string) => { if (!beyond.has(from)) beyond.set(from, nearest(from, after)); return beyond.get(from)!.has(to); };
  const back = (from: string, to: string) => met.get(to)! <= met.get(from)! && reaches(to, from);
  return (id) => after(id).filter((to) => !back(id, to));
}

/** What can be reached, each with its turn: the fewer steps lead to it, the earlier. */
function nearest(start: string, after: (id: string) => string[]): Map<string, number> {
  const met = new Map([[start, 0]]);
  for (const id of met.keys()) for (const to of after(id)) if (!met.has(to)) met.set(to, met.size);
  return met;
}

/** What can be reached, so that whatever leads on stands before what it leads to. */
function forward(start: string, after: (id: string) => string[]): string[] {
  const done = new Set<string>();
  const out: string[] = [];
  const stack = [{ id: start, rest: [...after(start)].reverse() }];
  done.add(start);
  while (stack.length > 0) {
    const at = stack.at(-1)!;
    const to = at.rest.shift();
    if (to === undefined) { out.push(at.id); stack.pop(); } else if (!done.has(to)) { done.add(to); stack.push({ id: to, rest: [...after(to)].reverse() }); }
  }
  return out.reverse();
}

/** The column of each: behind whatever leads to it from before it. */
function columnsOf(order: string[], after: (id: string) => string[]): Map<string, number> {
  const rank = new Map(order.map((id, i) => [id, i]));
  const column = new Map<string, number>();
  for (const id of order) {
    column.set(id, column.get(id) ?? 0);
    for (const to of after(id)) if (rank.get(to)! > rank.get(id)!) column.set(to, Math.max(column.get(to) ?? 0, column.get(id)! + 1));
  }
  return column;
}

/** What a reader meets who always takes the main way. */
function mainLine(g: Graph, about: About): Set<string> {
  const line = new Set<string>();
  for (let id: string | undefined = g.start; id !== undefined && node(g, id) && !line.has(id);) {
    line.add(id);
    const out = mainOutcome(about.ways(id));
    id = out === undefined ? undefined : node(g, id)!.next?.[out];
  }
  return line;
}
