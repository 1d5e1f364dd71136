// Where somebody is: the path below /console, as the browser's history has it,
// and whether leaving would lose something that they typed.

import { useCallback, useEffect, useLayoutEffect, useRef, useSyncExternalStore } from 'react';

const base = '/console';
const listeners = new Set<() => void>();

const read = () => location.pathname.slice(base.length).replace(/\/+$/, '') || '/';

/** The path that is shown: the browser's own may be another for the moment in which a step back is asked about. */
let path = read();
/** How many places lie before this one in the history. */
let at = Number(history.state?.at ?? 0);
let moves = 0;

export const here = () => path;
export const href = (to: string) => base + to;
/** Whether somebody went from place to place since the page was loaded. */
export const moved = () => moves > 0;

/** What would be lost: by going to another place here, and by closing the page. */
type Hold = { leaving: () => boolean; closing: () => boolean };
const holds = new Set<Hold>();
const lossy = () => [...holds].some((h) => h.leaving());

let question: () => Promise<boolean> = async () => true;
/** Says how to ask whether what was typed may be lost. */
export const askBy = (fn: () => Promise<boolean>) => { question = fn; };
let asked: Promise<boolean> | null = null;
const mayLeave = () => (asked ??= question().finally(() => { asked = null; }));

function arrive() {
  path = read();
  moves++;
  listeners.forEach((l) => l());
}

/** How to go: in place of this place, and without moving the page. */
export type How = { replace?: boolean; stay?: boolean };

/** Goes to a path, at once or when whoever would lose something has said yes. */
export function go(to: string, { replace = false, stay = false }: How = {}) {
  const move = () => {
    if (!replace) at++;
    history[replace ? 'replaceState' : 'pushState']({ at }, '', href(to));
    arrive();
    if (!stay) window.scrollTo(0, 0);
  };
  leave(move);
}

/** Does what would lose what was typed: at once if nothing was, else when whoever typed has said yes. */
export function leave(then: () => void) {
  if (!lossy()) then();
  else if (!asked) void mayLeave().then((yes) => { if (yes) then(); });
}

let returning = false; // the next step is ours, back to where somebody still is
let passing = false; // and this one is what they said yes to

window.addEventListener('popstate', (e) => {
  const to = Number((e.state as { at?: number } | null)?.at ?? 0);
  const by = to - at;
  if (returning) { returning = false; return; }
  if (!passing && by !== 0 && lossy()) {
    const first = !asked;
    returning = true;
    history.go(-by);
    if (first) void mayLeave().then((yes) => { if (yes) { passing = true; history.go(by); } });
    return;
  }
  passing = false;
  at = to;
  arrive();
});
window.addEventListener('beforeunload', (e) => { if ([...holds].some((h) => h.closing())) e.preventDefault(); });

/**
 * Asks before somebody leaves while `dirty`, and before they close the page while
 * `closing`. The function that it returns lets them go: what was typed is stored,
 * or shall be lost.
 */
export function useUnsaved(dirty: boolean, closing = dirty): () => void {
  const now = useRef({ dirty: false, closing: false });
  useLayoutEffect(() => { now.current = { dirty, closing }; }, [dirty, closing]);
  useEffect(() => {
    const hold = { leaving: () => now.current.dirty, closing: () => now.current.closing };
    holds.add(hold);
    return () => { holds.delete(hold); };
  }, []);
  return useCallback(() => { now.current = { dirty: false, closing: false }; }, []);
}

/** Whether two values say the same; nothing, null and what is missing do. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) return a.length === (b as unknown[]).length && a.every((x, i) => same(x, (b as unknown[])[i]));
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(x), ...Object.keys(y)])].every((k) => same(x[k], y[k]));
}

const plain = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x);

/** What somebody made of `was`, put over what it is by now: where both changed the same value, what they made of it stands. */
export function rebased<T>(was: T, mine: T, is: T): T {
  if (same(mine, was)) return is;
  if (same(is, was) || !plain(mine) || !plain(is)) return mine;
  const before: Record<string, unknown> = plain(was) ? was : {};
  const out = Object.keys({ ...is, ...mine }).map((k) => [k, rebased(before[k], mine[k], is[k])] as const);
  return Object.fromEntries(out.filter(([, v]) => v !== undefined)) as T;
}

const subscribe = (l: () => void) => { listeners.add(l); return () => listeners.delete(l); };

export const usePath = () => useSyncExternalStore(subscribe, here);

/** The parts of a path that fits a pattern, "/apps/:app"; null if it does not. A last "*" takes the rest. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split('/');
  const have = path.split('/');
  if (want.at(-1) !== '*' && want.length !== have.length) return null;
  const out: Record<string, string> = {};
  for (let i = 0; i < want.length; i++) {
    const w = want[i]!;
    if (w === '*') { out['*'] = have.slice(i).map(decodeURIComponent).join('/'); return out; }
    if (have[i] === undefined) return null;
    if (w.startsWith(':')) out[w.slice(1)] = decodeURIComponent(have[i]!);
    else if (w !== have[i]) return null;
  }
  return out;
}
