// What the server says of methods, steps, providers and settings, in the reader's
// language.

import { useMemo } from 'react';
import { said, useLanguage } from '../words/words.ts';
import { useThing } from './query.ts';
import type { Catalog } from './types.ts';

/** The members of the catalog that people read; the rest are names. */
const read = new Set(['title', 'text', 'doc', 'label', 'help', 'group', 'may', 'category']);

/** A copy of something of the catalog with its words in the reader's language. What a step is called in English still finds it. */
export function translated<T>(v: T): T {
  if (Array.isArray(v)) return v.map(translated) as T;
  if (typeof v !== 'object' || v === null) return v;
  const out: Record<string, unknown> = {};
  for (const [name, x] of Object.entries(v)) out[name] = read.has(name) && typeof x === 'string' ? said(x) : name === 'default' ? x : translated(x);
  if (Array.isArray(out.words)) out.words = [...new Set([...out.words as string[], (v as { title?: string }).title ?? '', ...(out.words as string[]).map(said)])];
  return out as T;
}

export function useCatalog() {
  const language = useLanguage();
  const read = useThing<Catalog>('/catalog', undefined, { stale: 600_000 });
  const data = useMemo(() => read.data && translated(read.data), [read.data, language]);
  return { ...read, data };
}
