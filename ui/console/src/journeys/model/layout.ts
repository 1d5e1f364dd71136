// Places nodes in columns by how far they are from the start, and in a column so
// that ways cross little.

import type { Graph } from './types.ts';
import { node } from './graph.ts';

const COLUMN = 300;
const ROW = 150;

export function layout(g: Graph, only?: Set<string>): Record<string, number[]> {
  const column = new Map<string, number>();
  const queue = node(g, g.start) ? [g.start] : [];
  if (queue[0]) column.set(queue[0], 0);
  for (let i = 0; i < queue.length; i++) {
    const id = queue[i]!;
    for (const to of Object.values(node(g, id)?.next ?? {})) {
      if (!node(g, to) || column.has(to)) continue;
      column.set(to, column.get(id)! + 1);
      queue.push(to);
    }
  }
  const last = Math.max(0, ...column.values());
  for (const id of Object.keys(g.nodes)) if (!column.has(id)) column.set(id, last + 1);
  const columns: string[][] = [];
  for (const id of [...queue, ...Object.keys(g.nodes).filter((id) => !queue.includes(id))]) (columns[column.get(id)!] ??= []).push(id);
  const row = new Map<string, number>();
  const out: Record<string, number[]> = {};
  columns.forEach((ids, c) => {
    const wish = (id: string) => {
      const from = Object.entries(g.nodes).filter(([f, n]) => row.has(f) && Object.values(n.next ?? {}).includes(id)).map(([f]) => row.get(f)!);
      return from.length > 0 ? from.reduce((a, b) => a + b, 0) / from.length : 0;
    };
    const sorted = ids.map((id, i) => ({ id, i, w: wish(id) })).sort((a, b) => a.w - b.w || a.i - b.i);
    let next = -Infinity;
    for (const { id, w } of sorted) {
      const r = Math.max(next, Math.round(w * 2) / 2);
      row.set(id, r);
      next = r + 1;
      if (!only || only.has(id)) out[id] = [c * COLUMN, r * ROW];
    }
  });
  return out;
}
