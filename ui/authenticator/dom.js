// Making elements without a framework, and words in the reader's language.

/** @typedef {Record<string, string | number | boolean | null | undefined | ((e: any) => void)>} Props */
/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. A prop that is a function listens, anything else is an attribute;
 * false and null leave it away.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Props} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') e.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) e.setAttribute(name, value === true ? '' : String(value));
  }
  for (const c of children.flat()) if (c !== null && c !== undefined && c !== false) e.append(c);
  return e;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An icon of one path on 24 by 24. @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  for (const [k, v] of [['viewBox', '0 0 24 24'], ['class', 'icon'], ['aria-hidden', 'true']]) svg.setAttribute(/** @type {string} */ (k), /** @type {string} */ (v));
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

const PATHS = {
  ask: 'M12 3a6 6 0 0 1 6 6v4l2 3H4l2-3V9a6 6 0 0 1 6-6ZM9.5 19.5a2.6 2.6 0 0 0 5 0',
  code: 'M4 6h16v12H4ZM8 12h.01M12 12h.01M16 12h.01',
  past: 'M12 7v5l3.5 2M12 3a9 9 0 1 1-8.2 5.3M3 3.5V9h5.5',
  set: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  back: 'M14.5 5.5 8 12l6.5 6.5',
  plus: 'M12 5v14M5 12h14',
  yes: 'M4.5 12.5 10 18 19.5 7',
  no: 'M6 6l12 12M18 6 6 18',
  flag: 'M6 21V4h11l-2 4 2 4H6',
  next: 'm9.5 5.5 6.5 6.5-6.5 6.5',
};

/** The mark with a number in it. @param {string} number */
export function tile(number) {
  const e = document.createElement('ww-tile');
  e.setAttribute('number', number);
  return e;
}

/** @type {Record<string, string>} */
let words = {};
export const languages = /** @type {const} */ ({ en: 'English', de: 'Deutsch', es: 'Español', fr: 'Français', pt: 'Português', ja: '日本語' });
/** @type {string} */
export let language = 'en';

/** Reads the words of a language; without one, of the browser's. @param {string} [wanted] */
export async function speak(wanted) {
  const have = [wanted, ...navigator.languages].map((l) => (l ?? '').slice(0, 2)).find((l) => l in languages) ?? 'en';
  const r = await fetch(`lang/${have}.json`);
  words = await r.json();
  language = have;
  document.documentElement.lang = have;
}

/**
 * The words for a name, with {slots} filled.
 * @param {string} name
 * @param {Record<string, string | number>} [slots]
 */
export function t(name, slots = {}) {
  const text = words[name];
  if (text === undefined) throw new Error(`there are no words for ${name}`);
  return text.replace(/\{(\w+)\}/g, (_, k) => String(slots[k] ?? ''));
}

/** A time of day, with the day unless it is today. @param {number} ms */
export function when(ms) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  const place = navigator.languages.find((l) => l.slice(0, 2) === language) ?? language; // whether it is 8 PM or 20:00
  return at.toLocaleString(place, { hour: 'numeric', minute: '2-digit', second: today ? '2-digit' : undefined, ...(!today && { day: 'numeric', month: 'short', year: 'numeric' }) });
}
