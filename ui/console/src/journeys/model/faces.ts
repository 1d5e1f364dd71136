// What a canvas shows of each step and way. What shows the same as before is the
// same object, so that only what changed is drawn anew.

import type { Graph, Outcomes, Problem, Step } from './types.ts';
import { edgeId } from './types.ts';
import { lineOf, nameOf, node, outcomesOf, type Line } from './graph.ts';
import { detour, lane, type Box } from './route.ts';

export type Marks = { nodes?: Record<string, string>; edges?: Record<string, string>; numbers?: Record<string, string> };
export type Face = { name: string; kind: string; category: string; face: string[]; outcomes: [string, Line][]; problems: number; start: boolean; mark: string; end: boolean };
export type Path = { id: string; from: string; outcome: string; to: string; line: Line; mark: string; number: string; out: number; via?: number };

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
      name: nameOf(n, step), kind: step?.title ?? n.kind, category: step?.category ?? '', face: (step?.face ?? []).map((name) => shown(n.config?.[name], step?.form?.find((f) => f.name === name)?.says)).filter(Boolean).slice(0, 2),
      outcomes: ways.map((o) => [o, lineOf(o, step)]), problems: bad.get(id) ?? 0, start: g.start === id, mark: marks?.nodes?.[id] ?? '', end: ways.length === 0,
    }];
  }));
}

/** How large a step is drawn, about: journeys.css says it exactly. */
export function sizeOf(f: Face): { w: number; h: number } {
  const wide = Math.max((f.category ? 40 : 20) + 7.6 * (f.name.length + (f.start ? 2 : 0)), 20 + 6.6 * Math.max(f.kind.length, ...f.face.map((s) => s.length)));
  return { w: Math.min(264, Math.max(190, wide)), h: (f.end ? 44 : 40) + (f.kind === f.name ? 0 : 18) + 18 * f.face.length + 20 * f.outcomes.length };
}

/** Where each step stands and how large it is: as it was measured, or as it will be, about. */
export function boxesOf(g: Graph, faces: Map<string, Face>, measured?: Map<string, { width: number; height: number }>): Map<string, Box> {
  return new Map([...faces].map(([id, f]): [string, Box] => {
    const [x = 0, y = 0] = node(g, id)?.at ?? [];
    const size = measured?.get(id);
    return [id, { x, y, ...(size ? { w: size.width, h: size.height } : sizeOf(f)) }];
  }));
}

/** The ways, each with the way around what stands between its ends if it is known where that is. */
export function pathsOf(g: Graph, steps: Map<string, Step>, marks?: Marks, faces?: Map<string, Face>, boxes?: Map<string, Box>): Map<string, Path> {
  const out = new Map<string, Path>();
  const all = [...(boxes?.values() ?? [])];
  for (const [from, n] of Object.entries(g.nodes)) {
    const ports = faces?.get(from)?.outcomes.map(([o]) => o) ?? Object.keys(n.next ?? {});
    for (const [outcome, to] of Object.entries(n.next ?? {})) {
      if (!node(g, to)) continue;
      const id = edgeId({ node: from, outcome });
      const i = Math.max(0, ports.indexOf(outcome));
      const via = around(boxes?.get(from), boxes?.get(to), all, i);
      out.set(id, { id, from, outcome, to, line: lineOf(outcome, steps.get(n.kind)), mark: marks?.edges?.[id] ?? '', number: marks?.numbers?.[id] ?? '', out: lane(i, ports.length), ...(via !== undefined && { via }) });
    }
  }
  return out;
}

/** The detour of the i-th way out of a step; those of one step lie beside each other. */
function around(from: Box | undefined, to: Box | undefined, all: Box[], i: number): number | undefined {
  const via = from && to && detour(from, to, all);
  return via === undefined ? undefined : via + (via > from!.y + from!.h / 2 ? 1 : -1) * (i % 4) * 4;
}

/** A setting as a step shows it: a choice in words. */
function shown(v: unknown, says: { value: string; label: string }[] = []): string {
  const word = (x: string) => says.find((s) => s.value === x)?.label ?? x;
  if (v === undefined || v === null || v === '' || v === false) return '';
  if (typeof v === 'object') return 'expr' in (v as object) ? `= ${String((v as { expr: unknown }).expr)}` : Array.isArray(v) ? v.filter((x) => typeof x === 'string').map(word).join(', ') : '';
  return word(String(v));
}
