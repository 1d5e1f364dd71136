// What somebody else changed meanwhile, field by field.

import type { Field, Form } from '../api/types.ts';
import { choiceOf } from './choices.ts';
import { number, span, t } from '../words/words.ts';
import { rebased, same } from './route.ts';

/** A field that is another, and what it is now. */
export type Theirs = { label: string; value: string };
type Shown = Pick<Field, 'type' | 'fields' | 'says' | 'named'>;
type Doc = Record<string, unknown>;

/** The fields of a form that differ between two documents. No secret is shown: of one it says only that it is another. */
export function theirs(form: Form, was: Doc, is: Doc, within = ''): Theirs[] {
  return form.flatMap((f) => {
    const [a, b] = [was[f.name] ?? f.default, is[f.name] ?? f.default];
    if (same(a, b)) return [];
    const label = within + (f.label || f.name);
    if (f.type === 'object' && f.fields?.length) return theirs(f.fields, (a ?? {}) as Doc, (b ?? {}) as Doc, `${label} › `);
    return [{ label, value: shown(f, b) }];
  });
}

/** Reads a thing anew: what was read before and what is there now; null: it cannot be read. */
type Read<T> = () => Promise<{ was: T; is: T } | null>;

/**
 * What a form offers when somebody else was faster: what they changed, theirs in place
 * of `doc`, or what was typed kept over it. `of` is what the form has of a thing.
 */
export const meanwhile = <T, D>(doc: D, put: (doc: D) => void, held: { compare: Read<T>; renew: Read<T> }, of: (thing: T) => D, list: (was: T, is: T) => Theirs[]) => ({
  compare: async () => { const r = await held.compare(); return r ? list(r.was, r.is) : []; },
  reload: () => held.renew().then((r) => { if (r) put(of(r.is)); }),
  keep: () => held.renew().then((r) => { if (r) put(rebased(of(r.was), doc, of(r.is))); }),
});

/** A value as a sentence would have it. */
function shown(f: Shown, v: unknown): string {
  if (f.type === 'secret') return t('changed');
  if (v === undefined || v === null || v === '') return '—';
  if (typeof v === 'boolean') return v ? t('On') : t('Off');
  if (typeof v === 'number') return f.type === 'duration' ? span(v) : number(v);
  if (typeof v === 'string') return choiceOf(f, v);
  if (Array.isArray(v)) return v.length === 0 ? '—' : v.map((row) => row !== null && typeof row === 'object' && f.fields ? inside(f.fields, row as Doc) : shown({ ...f, type: '' }, row)).join('; ');
  return f.fields?.length ? inside(f.fields, v as Doc) : JSON.stringify(v);
}

/** A row of a list of several fields: each with its name. */
const inside = (fields: Form, row: Doc) => fields.filter((f) => row[f.name] !== undefined).map((f) => `${f.label || f.name} ${shown(f, row[f.name])}`).join(', ');
