// The words on the pages. English stands in the code; another language is one
// file from the English text to its own (a test finds what is missing). A text
// about a count has as many forms as the language has. What the server says - its
// catalog of methods and steps, and the sentences that it puts together - stands in
// files of its own, which are checked against the server (catalog/texts.json).

import { useSyncExternalStore } from 'react';
import { shapesOf, translate, translateOurs } from './shapes.ts';

export const languages = { en: 'English', de: 'Deutsch', es: 'Español', fr: 'Français', pt: 'Português', ja: '日本語' } as const;
export type Language = keyof typeof languages;
export type Values = Record<string, string | number>;

/** A text, or its forms by the categories of Intl.PluralRules. */
type Words = Record<string, string | Partial<Record<Intl.LDMLPluralRule, string>>>;
const files = import.meta.glob<Words>('./*.json', { import: 'default' });
const catalogs = import.meta.glob<Record<string, string>>('./catalog/??.json', { import: 'default' });
const sentences = () => import('./catalog/texts.json').then((m) => Object.fromEntries(m.default.map((text) => [text, text])));
const kept = 'watchword.language';

let current: Language = 'en';
let words: Words = {};
let catalog: Record<string, string> = {};
let shapes: ReturnType<typeof shapesOf> = [];
const listeners = new Set<() => void>();

const known = (l: string | null | undefined): l is Language => !!l && l in languages;

/** The language that was chosen, else the first of the browser's that we speak. */
export function preferred(): Language {
  const chosen = localStorage.getItem(kept);
  if (known(chosen)) return chosen;
  return navigator.languages.map((l) => l.slice(0, 2)).find(known) ?? 'en';
}

export async function speak(language: Language, keep = false) {
  const [mine, servers] = await Promise.all([files[`./${language}.json`]?.(), catalogs[`./catalog/${language}.json`]?.()]);
  // In English, the server's sentences are good for their figures alone, which can wait.
  if (language === 'en') void sentences().then((all) => { if (current === 'en') { catalog = all; shapes = shapesOf(Object.keys(all)); } }, () => {});
  words = mine ?? {};
  catalog = servers ?? {};
  shapes = shapesOf(Object.keys(catalog));
  current = language;
  if (keep) localStorage.setItem(kept, language);
  document.documentElement.lang = language;
  listeners.forEach((l) => l());
}

const subscribe = (l: () => void) => { listeners.add(l); return () => listeners.delete(l); };

/** Re-renders its user when the language changes. */
export const useLanguage = () => useSyncExternalStore(subscribe, () => current);

const fill = (text: string, values: Values) => text.replace(/\{(\w+)\}/g, (all, name: string) => {
  const v = values[name];
  return v === undefined ? all : typeof v === 'number' ? number(v) : v;
});

/** An English text in the reader's language, with {name} replaced. */
export function t(text: string, values: Values = {}): string {
  const said = words[text];
  return fill(typeof said === 'string' ? said : text, values);
}

const tell = { row: (row: string) => t('row {row}', { row }), number: (n: number) => number(n) };

/** An English text of the server in the reader's language; one that nobody translated stays as it is. */
export const said = (text: string): string => translate(catalog, shapes, text, tell);

/** What somebody answered: in the reader's language if it is ours, else in their own words. */
export const answered = (text: string): string => translateOurs(catalog, shapes, text, tell);

/** A text about {n}, which is a count, in the form that the reader's language has for it. English has two. */
export function plural(n: number, one: string, other: string, values: Values = {}): string {
  const forms = words[other];
  const form = new Intl.PluralRules(current).select(n);
  const text = typeof forms === 'object' ? forms[form] ?? forms.other ?? other : form === 'one' ? one : other;
  return fill(text, { ...values, n });
}

export const number = (n: number, options?: Intl.NumberFormatOptions) => new Intl.NumberFormat(current, options).format(n);

/** A time in the reader's language and zone, which is named; an em dash for none. */
export function time(at: string | null | undefined, style: 'short' | 'medium' = 'short') {
  if (!at) return '—';
  const when = new Date(at);
  const zone = new Intl.DateTimeFormat(current, { timeZoneName: 'short' }).formatToParts(when).find((p) => p.type === 'timeZoneName');
  return `${new Intl.DateTimeFormat(current, { dateStyle: 'medium', timeStyle: style }).format(when)} ${zone?.value ?? ''}`.trim();
}

export const clock = (at: string | Date) => new Intl.DateTimeFormat(current, { timeStyle: 'short' }).format(new Date(at));

/** A day of the week with its date. */
export const day = (at: string | Date) => new Intl.DateTimeFormat(current, { weekday: 'short', day: 'numeric', month: 'short' }).format(new Date(at));

const units: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

/** "3 minutes ago", "in 2 hours". */
export function ago(at: string | null | undefined, now = Date.now()) {
  if (!at) return '—';
  const seconds = Math.round((new Date(at).getTime() - now) / 1000);
  const [unit, size] = units.find(([, s]) => Math.abs(seconds) >= s) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(current, { numeric: 'auto' }).format(Math.round(seconds / size), unit);
}

/** "1 h 30 min" of seconds. */
export function span(seconds: number) {
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const n = Math.floor(seconds / size);
    seconds -= n * size;
    if (n > 0) parts.push(number(n, { style: 'unit', unit, unitDisplay: 'short' }));
  }
  return parts.slice(0, 2).join(' ') || number(0, { style: 'unit', unit: 'second', unitDisplay: 'short' });
}
