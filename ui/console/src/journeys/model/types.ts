// What the server says about journeys and steps, and what it takes back. The
// editor knows these shapes and no step by name.

export type Config = Record<string, unknown>;

export interface Node {
  kind: string;
  label?: string;
  config?: Config;
  next?: Record<string, string>;
  error?: string;
  at?: number[];
}

export interface Graph {
  id: string;
  name: string;
  kind: string;
  start: string;
  nodes: Record<string, Node>;
}

export interface Problem {
  node?: string;
  path?: string;
  line?: number;
  column?: number;
  text: string;
  warning?: boolean;
  fix?: { title: string; graph: Graph } | null;
}

/** One input of a step's form. */
export interface Field {
  name: string;
  type: string;
  label: string;
  help?: string;
  required?: boolean;
  default?: unknown;
  min?: number;
  max?: number;
  decimal?: boolean;
  max_len?: number;
  lines?: boolean;
  choices?: string[];
  says?: { value: string; label: string }[];
  named?: boolean;
  kinds?: string[];
  fields?: Field[];
}

/** A kind of node, as the catalog describes it. */
export interface Step {
  kind: string;
  title: string;
  category: string;
  doc: string;
  form: Field[];
  outcomes: string[];
  roles: string[];
  in: string[];
  face: string[];
  words: string[];
}

/** The ways out of each node, as the server reads its configuration. */
export type Outcomes = Record<string, string[]>;

/** An edge is named by where it leaves. */
export interface Exit {
  node: string;
  outcome: string;
}

export const edgeId = (e: Exit): string => `${e.node}\u0000${e.outcome}`;

export function edgeOf(id: string): Exit {
  const cut = id.indexOf('\u0000');
  return { node: id.slice(0, cut), outcome: id.slice(cut + 1) };
}
