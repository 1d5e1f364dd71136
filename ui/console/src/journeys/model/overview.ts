// Where the overview of a graph goes: nowhere while all of the graph is in sight,
// else into the corner where it covers the least of the steps.

import type { Box } from './route.ts';

export type Corner = 'bottom-right' | 'top-right' | 'top-left'; // the fourth has the buttons of the view
/** How a graph is seen: in a window of this size, moved and enlarged. */
export type Seen = { x: number; y: number; zoom: number; width: number; height: number };
type Rect = { left: number; top: number; right: number; bottom: number };

/** How large the overview is, and how far from the edge it stands. */
export const size = { width: 140, height: 96 };
const margin = 15;

const places: [Corner, (s: Seen) => Rect][] = [
  ['bottom-right', (s) => ({ left: s.width - margin - size.width, top: s.height - margin - size.height, right: s.width, bottom: s.height })],
  ['top-right', (s) => ({ left: s.width - margin - size.width, top: 0, right: s.width, bottom: margin + size.height })],
  ['top-left', () => ({ left: 0, top: 0, right: margin + size.width, bottom: margin + size.height })],
];

/** A box of the graph in the window. */
export const seenAt = (b: Box, s: Seen): Rect => ({ left: b.x * s.zoom + s.x, top: b.y * s.zoom + s.y, right: (b.x + b.w) * s.zoom + s.x, bottom: (b.y + b.h) * s.zoom + s.y });

const common = (a: Rect, b: Rect) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

/** The corner for the overview; null: nothing of the graph is out of sight. */
export function overviewAt(boxes: Iterable<Box>, s: Seen): Corner | null {
  const all = [...boxes].map((b) => seenAt(b, s));
  if (s.width === 0 || all.every((r) => r.left >= 0 && r.top >= 0 && r.right <= s.width && r.bottom <= s.height)) return null;
  const covered = (at: Rect) => all.reduce((n, r) => n + common(at, r), 0);
  return places.map(([corner, at]): [Corner, number] => [corner, covered(at(s))]).reduce((best, next) => (next[1] < best[1] ? next : best))[0];
}

/** How far the view has to move so that a box is in sight, if next to nothing of it is: the least that is enough. `right` of the window is covered. */
export function broughtIn(b: Box, s: Seen, right = 0): { x: number; y: number } {
  const r = seenAt(b, s);
  const open = { left: 0, top: 0, right: s.width - right, bottom: s.height };
  const some = (from: number, to: number, end: number) => Math.min(to, end) - Math.max(from, 0) >= Math.min(40, to - from);
  if (some(r.left, r.right, open.right) && some(r.top, r.bottom, open.bottom)) return { x: 0, y: 0 };
  const by = (from: number, to: number, end: number) => (from < margin ? margin - from : to > end - margin ? Math.max(end - margin - to, margin - from) : 0);
  return { x: by(r.left, r.right, open.right), y: by(r.top, r.bottom, open.bottom) };
}
