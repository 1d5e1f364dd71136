// Where a way is drawn: along columns and rows, around the steps that stand between
// its ends.

export type Box = { x: number; y: number; w: number; h: number };
export type Point = { x: number; y: number };

const CLEAR = 14; // between a way and a step that it passes
const LANE = 7; // between two ways that leave one step
const NEAR = 12;

/** How far from its step a way turns: those further up reach further, so that ways down do not cross. */
export const lane = (i: number, of: number): number => NEAR + (of - 1 - i) * LANE;

/**
 * The height at which a way from `from` to `to`, two of all, passes what stands
 * between them; undefined if it may go straight to the height of its end.
 */
export function detour(from: Box, to: Box, all: Box[]): number | undefined {
  const [a, b] = [from.x + from.w, to.x];
  const back = b < a + 2 * NEAR;
  const [left, right] = back ? [b - NEAR, a + NEAR] : [a + NEAR, b - NEAR];
  const inWay = all.filter((o) => o.x < right && o.x + o.w > left && (back || (o !== from && o !== to)));
  const free = (y: number) => inWay.every((o) => y < o.y - CLEAR + 1 || y > o.y + o.h + CLEAR - 1);
  const [start, end] = [from.y + from.h * 0.75, to.y + to.h / 2];
  if (!back && free(end)) return undefined;
  const far = (y: number) => Math.abs(y - start) + Math.abs(y - end);
  return inWay.flatMap((o) => [o.y + o.h + CLEAR, o.y - CLEAR]).filter(free).sort((y, z) => far(y) - far(z))[0];
}

/** The corners of a way from a port to a step; `via` is its detour, `out` how far from the port it turns. */
export function corners(s: Point, t: Point, out: number, via?: number): Point[] {
  const x = t.x - s.x > 2 * NEAR ? Math.min(s.x + out, t.x - NEAR) : s.x + out;
  const on = via ?? (t.x > x ? undefined : (s.y + t.y) / 2);
  if (on === undefined) return Math.abs(s.y - t.y) < 1 ? [s, t] : [s, { x, y: s.y }, { x, y: t.y }, t];
  const z = t.x - NEAR;
  return [s, { x, y: s.y }, { x, y: on }, { x: z, y: on }, { x: z, y: t.y }, t];
}

/** A line through the corners, rounded; and the middle of its longest straight part, where a number may stand. */
export function drawn(points: Point[], radius = 8): { path: string; x: number; y: number } {
  const far = (p: Point, q: Point) => Math.abs(p.x - q.x) + Math.abs(p.y - q.y);
  const toward = (p: Point, q: Point, by: number): Point => { const d = far(p, q) || 1; return { x: p.x + ((q.x - p.x) * by) / d, y: p.y + ((q.y - p.y) * by) / d }; };
  const at = (p: Point) => `${Math.round(p.x * 10) / 10},${Math.round(p.y * 10) / 10}`;
  let path = `M${at(points[0]!)}`;
  let longest = 0;
  let [x, y] = [points[0]!.x, points[0]!.y];
  points.slice(1).forEach((p, i) => {
    const [before, next] = [points[i]!, points[i + 2]];
    if (far(before, p) > longest) { longest = far(before, p); [x, y] = [(before.x + p.x) / 2, (before.y + p.y) / 2]; }
    if (!next) { path += `L${at(p)}`; return; }
    const r = Math.min(radius, far(before, p) / 2, far(p, next) / 2);
    path += `L${at(toward(p, before, r))}Q${at(p)} ${at(toward(p, next, r))}`;
  });
  return { path, x, y };
}
