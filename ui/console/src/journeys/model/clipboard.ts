// Nodes as text, to be copied between windows and people. What is pasted was
// written by somebody else: its shape is checked, and nothing else is taken.

import type { Config, Node } from './types.ts';
import { isId, MAX_NODES } from './graph.ts';

const FORMAT = 'watchword/nodes/1';
const MAX_TEXT = 1 << 20;

export const copy = (nodes: Record<string, Node>): string => JSON.stringify({ format: FORMAT, nodes }, null, 2);

/** The nodes that a text holds: a copy, or a whole journey. Undefined if it holds none. */
export function read(text: string): Record<string, Node> | undefined {
  if (text.length > MAX_TEXT || !text.trimStart().startsWith('{')) return undefined;
  let doc: unknown;
  try {
    doc = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(doc) || !isObject(doc.nodes) || (doc.format !== FORMAT && typeof doc.start !== 'string')) return undefined;
  const found = Object.entries(doc.nodes);
  if (found.length === 0 || found.length > MAX_NODES) return undefined;
  const out: Record<string, Node> = {};
  for (const [id, raw] of found) {
    const n = nodeOf(raw);
    if (!n || !isId(id)) return undefined;
    out[id] = n;
  }
  return out;
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);

function nodeOf(v: unknown): Node | undefined {
  if (!isObject(v) || typeof v.kind !== 'string') return undefined;
  const out: Node = { kind: v.kind };
  if (typeof v.label === 'string') out.label = v.label.slice(0, 200);
  if (typeof v.error === 'string') out.error = v.error;
  if (isObject(v.config)) out.config = v.config as Config;
  if (isObject(v.next)) out.next = Object.fromEntries(Object.entries(v.next).filter((e): e is [string, string] => typeof e[1] === 'string'));
  if (Array.isArray(v.at) && v.at.length === 2 && v.at.every((x) => Number.isFinite(x))) out.at = v.at as number[];
  return out;
}
