// Undo and redo. A history never changes; each verb returns another.

export interface History<T> {
  past: T[];
  now: T;
  future: T[];
  /** What the last change was about: changes of one thing in a row are one step back. */
  about: string;
}

export const DEPTH = 50;

export const start = <T>(now: T): History<T> => ({ past: [], now, future: [], about: '' });

/** Records a change. With the same non-empty `about` as the last one, it joins it. */
export function record<T>(h: History<T>, now: T, about = ''): History<T> {
  if (now === h.now) return h;
  if (about !== '' && about === h.about && h.future.length === 0) return { ...h, now };
  return { past: [...h.past, h.now].slice(-DEPTH), now, future: [], about };
}

/**
 * Goes on from a history that was left: with what is there now, which is one
 * change more if somebody put something else there meanwhile.
 */
export const resume = <T>(was: History<T> | undefined, now: T, same: (a: T, b: T) => boolean): History<T> =>
  (was === undefined ? start(now) : same(was.now, now) ? { ...was, now, about: '' } : record(was, now));

/** What follows is a step of its own, even if it is about the same thing. */
export const pause = <T>(h: History<T>): History<T> => (h.about === '' ? h : { ...h, about: '' });

export function undo<T>(h: History<T>): History<T> {
  const now = h.past.at(-1);
  return h.past.length === 0 ? h : { past: h.past.slice(0, -1), now: now as T, future: [h.now, ...h.future], about: '' };
}

export function redo<T>(h: History<T>): History<T> {
  const [now, ...future] = h.future;
  return h.future.length === 0 ? h : { past: [...h.past, h.now].slice(-DEPTH), now: now as T, future, about: '' };
}
