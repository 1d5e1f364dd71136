// Finds steps by what people call them: title, synonyms, category, description.

import type { Step } from './types.ts';

/** Steps that match every word of a query, best first; all of them, in their own order, for an empty one. */
export function find(steps: Step[], query: string): Step[] {
  const words = fold(query).split(/[\s,.;/]+/).filter(Boolean);
  if (words.length === 0) return steps;
  return steps
    .map((step, i) => ({ step, i, score: score(step, words) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score || a.i - b.i)
    .map((hit) => hit.step);
}

export const fold = (s: string): string => s.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

function score(step: Step, words: string[]): number {
  let total = 0;
  for (const word of words) {
    const best = Math.max(
      in_(step.title, word, 100),
      ...step.words.map((synonym) => in_(synonym, word, 90)),
      in_(step.kind.replace(/[._/]/g, ' '), word, 70),
      in_(step.category, word, 40),
      in_(step.doc, word, 20),
    );
    if (best === 0) return 0;
    total += best;
  }
  return total / words.length;
}

/** Whole, at the start of a word, inside, or one slip of the finger away. */
function in_(text: string, word: string, weight: number): number {
  const t = fold(text);
  if (t === word) return weight;
  const parts = t.split(/[^\p{L}\p{N}]+/u);
  if (parts.includes(word)) return weight * 0.95;
  if (parts.some((p) => p.startsWith(word))) return weight * 0.85;
  if (word.length > 2 && t.includes(word)) return weight * 0.5;
  if (word.length >= 5 && parts.some((p) => Math.abs(p.length - word.length) < 2 && near(p, word))) return weight * 0.4;
  return 0;
}

/** At most one letter more, less, other, or two neighbours swapped. */
export function near(a: string, b: string): boolean {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  const [x, y] = [a.slice(i), b.slice(i)];
  return x.slice(1) === y.slice(1) || x === y.slice(1) || x.slice(1) === y || (x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2));
}
