// Operations on a journey's graph. Each takes a graph and returns another; what
// did not change is the same object, so that a canvas draws only what did.

import type { Config, Exit, Graph, Node, Outcomes, Step } from './types.ts';

export const MAX_NODES = 500;
const ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** A node, and nothing that an object has by being one. */
export const node = (g: Graph, id: string): Node | undefined => (Object.hasOwn(g.nodes, id) ? g.nodes[id] : undefined);

export const target = (g: Graph, e: Exit): string | undefined => {
  const next = node(g, e.node)?.next;
  return next && Object.hasOwn(next, e.outcome) ? next[e.outcome] : undefined;
};

export const isId = (id: string): boolean => ID.test(id) && id !== '__proto__';

/** What a node is called: its label, else the title of its step, else its kind. */
export const nameOf = (n: Node | undefined, step?: Step): string => n?.label || step?.title || n?.kind || '';

/**
 * The ways out of a node in the order in which they are drawn: those of its
 * kind, those that its configuration adds, and those that only the graph still
 * names (they are stale).
 */
export function outcomesOf(g: Graph, id: string, known: Outcomes, step?: Step): string[] {
  const out = Object.hasOwn(known, id) ? [...(known[id] ?? [])] : [...(step?.outcomes ?? [])];
  for (const o of Object.keys(node(g, id)?.next ?? {})) if (!out.includes(o)) out.push(o);
  return out;
}

/** How an outcome is drawn. A word and a line style say it, never colour alone. */
export type Line = 'success' | 'failure' | 'escape' | 'branch';

const GOOD = ['success', 'true', 'yes'];

/** Outcomes that the kind does not name come from the configuration: they are the client's escapes. */
export function lineOf(outcome: string, step?: Step): Line {
  if (GOOD.includes(outcome)) return 'success';
  if (outcome === 'failure') return 'failure';
  if (outcome === 'cancel' || (step && !step.outcomes.includes(outcome))) return 'escape';
  return 'branch';
}

/** The way that a reader follows first. */
export const mainOutcome = (outcomes: string[]): string | undefined => outcomes.find((o) => GOOD.includes(o)) ?? outcomes[0];

export function freshId(g: Graph, base: string, taken: Iterable<string> = []): string {
  const used = new Set([...Object.keys(g.nodes), ...taken]);
  const stem = base.replace(/[^A-Za-z0-9_.-]+/g, '_').replace(/\./g, '_').slice(0, 56) || 'node';
  let id = stem;
  for (let n = 2; used.has(id) || !isId(id); n++) id = `${stem}_${n}`;
  return id;
}

const withNode = (g: Graph, id: string, n: Node): Graph => ({ ...g, nodes: { ...g.nodes, [id]: n } });

function tidy(n: Node): Node {
  const out: Node = { ...n };
  if (!out.label) delete out.label;
  if (!out.error) delete out.error;
  if (out.config && Object.keys(out.config).length === 0) delete out.config;
  if (out.next && Object.keys(out.next).length === 0) delete out.next;
  return out;
}

export function add(g: Graph, kind: string, at: number[], from?: Exit): { graph: Graph; id: string } {
  const id = freshId(g, kind);
  let graph = withNode(g, id, { kind, at });
  if (from) graph = connect(graph, from, id);
  if (!node(graph, graph.start)) graph = { ...graph, start: id };
  return { graph, id };
}

/** The nearest place below `at` where a node stands on no other. */
export function free(g: Graph, at: number[]): number[] {
  const [x = 0, top = 0] = at;
  let y = top;
  while (Object.values(g.nodes).some(({ at: [a = 0, b = 0] = [] }) => Math.abs(a - x) < 280 && Math.abs(b - y) < 160)) y += 20;
  return [x, y];
}

/** Puts a new node into an edge: the old target follows by the new node's main way out. */
export function insert(g: Graph, edge: Exit, kind: string, at: number[], main?: string): { graph: Graph; id: string } {
  const after = target(g, edge);
  const made = add(g, kind, at, edge);
  if (main && after && node(g, after)) return { ...made, graph: connect(made.graph, { node: made.id, outcome: main }, after) };
  return made;
}

/** Whether a node waits to be put into an edge: nothing leads to it, and the journey does not begin with it. */
export const isLoose = (g: Graph, id: string): boolean => node(g, id) !== undefined && g.start !== id && entries(g, id).length === 0;

/** Puts a node that exists into an edge, if it has nothing before it yet. */
export function insertExisting(g: Graph, edge: Exit, id: string, main?: string): Graph {
  const after = target(g, edge);
  if (after === undefined || edge.node === id || !isLoose(g, id)) return g;
  const out = connect(g, edge, id);
  if (!main || !node(g, after) || target(g, { node: id, outcome: main })) return out;
  return connect(out, { node: id, outcome: main }, after);
}

export function connect(g: Graph, e: Exit, to: string): Graph {
  const n = node(g, e.node);
  if (!n || !node(g, to) || target(g, e) === to) return g;
  return withNode(g, e.node, { ...n, next: { ...n.next, [e.outcome]: to } });
}

export function disconnect(g: Graph, e: Exit): Graph {
  const n = node(g, e.node);
  if (!n || target(g, e) === undefined) return g;
  const { [e.outcome]: _, ...next } = n.next!;
  return withNode(g, e.node, tidy({ ...n, next }));
}

export function change(g: Graph, id: string, patch: Partial<Node>): Graph {
  const n = node(g, id);
  return n ? withNode(g, id, tidy({ ...n, ...patch })) : g;
}

export const configure = (g: Graph, id: string, config: Config): Graph => change(g, id, { config });

/** The ways that lead to a node. */
export function entries(g: Graph, id: string): Exit[] {
  const out: Exit[] = [];
  for (const [from, n] of Object.entries(g.nodes)) {
    for (const [outcome, to] of Object.entries(n.next ?? {})) if (to === id) out.push({ node: from, outcome });
  }
  return out;
}

/** Ways that lead to nodes that are not there: left by an import or a merge. */
export function dangling(g: Graph): Exit[] {
  const out: Exit[] = [];
  for (const [from, n] of Object.entries(g.nodes)) {
    for (const [outcome, to] of Object.entries(n.next ?? {})) if (!node(g, to)) out.push({ node: from, outcome });
  }
  return out;
}

export const cutDangling = (g: Graph): Graph => dangling(g).reduce(disconnect, g);

/** Gives a node another id; every way to it follows. An id that is taken or not one leaves the graph as it is. */
export function renameId(g: Graph, id: string, to: string): Graph {
  if (id === to || !node(g, id) || node(g, to) || !isId(to)) return g;
  const nodes: Record<string, Node> = {};
  for (const [k, n] of Object.entries(g.nodes)) {
    const next = n.next && Object.values(n.next).includes(id) ? Object.fromEntries(Object.entries(n.next).map(([o, t]) => [o, t === id ? to : t])) : n.next;
    nodes[k === id ? to : k] = next === n.next ? n : { ...n, next: next! };
  }
  return { ...g, start: g.start === id ? to : g.start, nodes };
}

/**
 * Deletes nodes. Ways to them are led on to what followed by their main way
 * out, so that deleting a step in the middle leaves a whole journey; where
 * nothing followed, they are cut.
 */
export function remove(g: Graph, ids: Iterable<string>, main: (id: string) => string | undefined): Graph {
  const gone = new Set([...ids].filter((id) => node(g, id)));
  if (gone.size === 0) return g;
  const onward = (id: string): string | undefined => {
    const seen = new Set<string>();
    let at: string | undefined = id;
    while (at !== undefined && gone.has(at) && !seen.has(at)) {
      seen.add(at);
      const outcome = main(at);
      at = outcome === undefined ? undefined : target(g, { node: at, outcome });
    }
    return at !== undefined && !gone.has(at) && node(g, at) ? at : undefined;
  };
  const nodes: Record<string, Node> = {};
  for (const [id, n] of Object.entries(g.nodes)) {
    if (gone.has(id)) continue;
    nodes[id] = Object.values(n.next ?? {}).some((t) => gone.has(t)) ? tidy({ ...n, next: led(n.next!, id) }) : n;
  }
  const start = gone.has(g.start) ? (onward(g.start) ?? Object.keys(nodes)[0] ?? '') : g.start;
  return { ...g, start, nodes };

  function led(next: Record<string, string>, self: string): Record<string, string> {
    const out: Record<string, string> = {};
    for (const [o, t] of Object.entries(next)) {
      const to = gone.has(t) ? onward(t) : t;
      if (to !== undefined && !(gone.has(t) && to === self)) out[o] = to;
    }
    return out;
  }
}

/** Adds copies of nodes. Ways among them lead to the copies; ways to other nodes stay where those exist. */
export function paste(g: Graph, nodes: Record<string, Node>, move: number[]): { graph: Graph; ids: string[] } {
  const names = new Map<string, string>();
  for (const id of Object.keys(nodes)) names.set(id, freshId(g, id.replace(/_\d+$/, ''), names.values()));
  const out: Record<string, Node> = { ...g.nodes };
  for (const [id, n] of Object.entries(nodes)) {
    const next: Record<string, string> = {};
    for (const [o, t] of Object.entries(n.next ?? {})) {
      const to = names.get(t) ?? (node(g, t) ? t : undefined);
      if (to !== undefined) next[o] = to;
    }
    const [x = 0, y = 0] = n.at ?? [];
    out[names.get(id)!] = tidy({ ...structuredClone(n), next, at: [x + (move[0] ?? 0), y + (move[1] ?? 0)] });
  }
  const graph = { ...g, nodes: out };
  if (!node(graph, graph.start)) graph.start = [...names.values()][0] ?? '';
  return { graph, ids: [...names.values()] };
}

export function pick(g: Graph, ids: Iterable<string>): Record<string, Node> {
  const out: Record<string, Node> = {};
  for (const id of ids) if (node(g, id)) out[id] = node(g, id)!;
  return out;
}

export function place(g: Graph, at: Record<string, number[]>): Graph {
  let nodes = g.nodes;
  for (const [id, [x = 0, y = 0]] of Object.entries(at)) {
    const n = node(g, id);
    if (!n || (n.at?.[0] === x && n.at?.[1] === y)) continue;
    if (nodes === g.nodes) nodes = { ...g.nodes };
    nodes[id] = { ...n, at: [x, y] };
  }
  return nodes === g.nodes ? g : { ...g, nodes };
}

export const begin = (g: Graph, id: string): Graph => (node(g, id) && g.start !== id ? { ...g, start: id } : g);

/**
 * Lets a node change places with the one before it on the main way, as a reader
 * moves a paragraph up. Nothing happens if no single node comes before it so.
 */
export function earlier(g: Graph, id: string, main: (id: string) => string | undefined): Graph {
  const before = entries(g, id).filter((e) => main(e.node) === e.outcome && e.node !== id).map((e) => e.node);
  const out = main(id);
  if (before.length !== 1 || out === undefined) return g;
  const prev = before[0]!;
  const prevOut = main(prev)!;
  const after = target(g, { node: id, outcome: out });
  let next = g;
  for (const e of entries(g, prev)) if (e.node !== id) next = connect(next, e, id);
  next = after && after !== prev ? connect(next, { node: prev, outcome: prevOut }, after) : disconnect(next, { node: prev, outcome: prevOut });
  next = connect(next, { node: id, outcome: out }, prev);
  const [a, b] = [node(g, prev)!.at, node(g, id)!.at];
  if (a && b) next = place(next, { [id]: a, [prev]: b });
  return g.start === prev ? begin(next, id) : next;
}

export function later(g: Graph, id: string, main: (id: string) => string | undefined): Graph {
  const out = main(id);
  const after = out === undefined ? undefined : target(g, { node: id, outcome: out });
  return after === undefined || after === id ? g : earlier(g, after, main);
}

export const empty = (id: string, name: string, kind: string): Graph => ({ id, name, kind, start: '', nodes: {} });
