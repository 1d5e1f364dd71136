// Where somebody is: the path below /console, as the browser's history has it.

import { useSyncExternalStore } from 'react';

const base = '/console';
const listeners = new Set<() => void>();
let guard: (() => boolean) | null = null;

/** Asks before somebody leaves: fn returns whether they may. null asks nobody. */
export const ask = (fn: (() => boolean) | null) => { guard = fn; };

export const here = () => location.pathname.slice(base.length).replace(/\/+$/, '') || '/';

export const href = (path: string) => base + path;

export function go(path: string, replace = false) {
  if (guard && !guard()) return;
  guard = null;
  history[replace ? 'replaceState' : 'pushState'](null, '', href(path));
  listeners.forEach((l) => l());
  window.scrollTo(0, 0);
}

window.addEventListener('popstate', () => {
  if (guard && !guard()) { history.go(1); return; }
  guard = null;
  listeners.forEach((l) => l());
});
window.addEventListener('beforeunload', (e) => { if (guard && dirty) e.preventDefault(); });

let dirty = false;
/** Whether leaving the whole page would lose something. */
export const setDirty = (is: boolean) => { dirty = is; };

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
    if (w === '*') return out;
    if (have[i] === undefined) return null;
    if (w.startsWith(':')) out[w.slice(1)] = decodeURIComponent(have[i]!);
    else if (w !== have[i]) return null;
  }
  return out;
}
