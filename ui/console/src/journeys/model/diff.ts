// What differs between two versions of a journey.

import type { Exit, Graph, Node } from './types.ts';
import { node } from './graph.ts';

export type Mark = 'added' | 'removed' | 'changed' | 'same';

/** One thing that is different in a node; `path` is "label", "config.title", "next.success". */
export interface Change {
  path: string;
  before: unknown;
  after: unknown;
}

export interface NodeDiff {
  id: string;
  mark: Mark;
  changes: Change[];
}

export interface EdgeDiff extends Exit {
  to: string;
  mark: 'added' | 'removed' | 'same';
}

export interface Diff {
  nodes: NodeDiff[];
  edges: EdgeDiff[];
  head: Change[];
  /** Both graphs in one, to be drawn: what was removed stands where it stood. */
  both: Graph;
  same: boolean;
}

/** Where nodes stand is no difference: moving one changes nothing that runs. */
export function diff(before: Graph, after: Graph): Diff {
  const ids = [...new Set([...Object.keys(after.nodes), ...Object.keys(before.nodes)])];
  const nodes = ids.map((id) => nodeDiff(id, node(before, id), node(after, id)));
  const edges = ids.flatMap((id) => edgeDiffs(id, node(before, id), node(after, id)));
  const head: Change[] = [];
  for (const path of ['name', 'kind', 'start'] as const) {
    if (before[path] !== after[path]) head.push({ path, before: before[path], after: after[path] });
  }
  const both: Graph = { ...after, nodes: {} };
  for (const id of ids) {
    const n = node(after, id) ?? node(before, id)!;
    both.nodes[id] = { ...n, next: { ...node(before, id)?.next, ...node(after, id)?.next } };
  }
  return { nodes, edges, head, both, same: head.length === 0 && nodes.every((n) => n.mark === 'same') };
}

function nodeDiff(id: string, a?: Node, b?: Node): NodeDiff {
  if (!a || !b) return { id, mark: a ? 'removed' : 'added', changes: [] };
  const changes: Change[] = [];
  compare('kind', a.kind, b.kind, changes);
  compare('label', a.label, b.label, changes);
  compare('error', a.error, b.error, changes);
  compare('config', a.config ?? {}, b.config ?? {}, changes);
  compare('next', a.next ?? {}, b.next ?? {}, changes);
  return { id, mark: changes.length > 0 ? 'changed' : 'same', changes };
}

function edgeDiffs(id: string, a?: Node, b?: Node): EdgeDiff[] {
  const out: EdgeDiff[] = [];
  for (const outcome of new Set([...Object.keys(b?.next ?? {}), ...Object.keys(a?.next ?? {})])) {
    const [was, is] = [own(a?.next, outcome), own(b?.next, outcome)];
    if (was !== undefined && was === is) out.push({ node: id, outcome, to: is, mark: 'same' });
    if (was !== is && was !== undefined) out.push({ node: id, outcome, to: was, mark: 'removed' });
    if (was !== is && is !== undefined) out.push({ node: id, outcome, to: is, mark: 'added' });
  }
  return out;
}

const own = (o: Record<string, string> | undefined, k: string): string | undefined => (o && Object.hasOwn(o, k) ? o[k] : undefined);

const plain = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);

/** Notes where two values differ, as deep as both are objects. */
function compare(path: string, a: unknown, b: unknown, out: Change[]): void {
  if (plain(a) && plain(b) && !('expr' in a) && !('expr' in b)) {
    for (const k of new Set([...Object.keys(a), ...Object.keys(b)])) {
      compare(`${path}.${k}`, Object.hasOwn(a, k) ? a[k] : undefined, Object.hasOwn(b, k) ? b[k] : undefined, out);
    }
    return;
  }
  if (!equal(a, b)) out.push({ path, before: a, after: b });
}

/** Whether two JSON values are the same, whatever the order of their keys. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => equal(x, b[i]));
  if (!plain(a) || !plain(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && equal(a[k], b[k]));
}
