// Finds a QR code in a picture, where the browser cannot: turned, tilted, unevenly
// lit, a little blurred or dirty. It is loaded only then. What it takes for a code
// has to hold in code.js, so it may try what is merely likely.

import { aligned, text } from './code.js';

/** @typedef {import('./code.js').Numbers} Numbers */
/** @typedef {{x: number, y: number, size: number, seen: number}} Finder size of a module, in pixels; rows in which it was seen */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{x: number, y: number, axis: 0 | 1, which: number, at: number}} Edge a point on a side of one of the three finders, at modules from its corner */
/** @typedef {{x: number, y: number, axis: 0 | 1, is: number, weight: number}} Fact a point of the picture whose place along an axis is known, in modules */

const TRIES = 24; // combinations of finders that are looked at
const MOST = 16; // finders that are combined
const CONTRAST = 24; // between dark and light, of 255: less is noise

/**
 * The text of a QR code in a picture; null if none can be read.
 * @param {{data: Numbers, width: number, height: number}} image  RGBA
 * @returns {string | null}
 */
export function read({ data, width, height }) {
  const grey = new Uint8Array(width * height);
  for (let i = 0, j = 0; i < grey.length; i++, j += 4) grey[i] = (data[j] * 77 + data[j + 1] * 150 + data[j + 2] * 29) >> 8;
  const whole = new Picture(grey, width, height);
  // Large codes are found faster in half the picture, and noise is halved with it.
  return (width > 200 && height > 200 ? whole.half().read() : null) ?? whole.read();
}

class Picture {
  /** @param {Numbers} grey @param {number} width @param {number} height */
  constructor(grey, width, height) {
    this.grey = grey;
    this.width = width;
    this.height = height;
    this.across = Math.ceil(width / 8);
    this.levels = this.#levels();
    this.dark = this.#darkness();
  }

  half() {
    const { grey, width } = this;
    const [w, h] = [width >> 1, this.height >> 1];
    const out = new Uint8Array(w * h);
    for (let y = 0, i = 0; y < h; y++) {
      for (let x = 0, j = 2 * y * width; x < w; x++, i++, j += 2) out[i] = (grey[j] + grey[j + 1] + grey[j + width] + grey[j + width + 1] + 2) >> 2;
    }
    return new Picture(out, w, h);
  }

  /** What counts as light, by squares of 8 pixels: half way between their extremes, as the mean of 5 × 5 of them. */
  #levels() {
    const { grey, width, height, across } = this;
    const down = Math.ceil(height / 8);
    const middles = /** @type {Numbers} */ (new Float32Array(across * down));
    for (let by = 0; by < down; by++) {
      for (let bx = 0; bx < across; bx++) {
        let [low, high] = [255, 0];
        const [left, top] = [Math.max(0, Math.min(bx * 8, width - 8)), Math.max(0, Math.min(by * 8, height - 8))];
        for (let y = top; y < top + 8; y++) {
          for (let x = left; x < left + 8; x++) {
            const v = grey[y * width + x] ?? 0;
            if (v < low) low = v;
            if (v > high) high = v;
          }
        }
        let middle = (low + high) / 2;
        if (high - low < 25) { // all light or all dark: which, the neighbours know
          middle = low / 2;
          if (bx && by) {
            const near = (middles[(by - 1) * across + bx] + 2 * middles[by * across + bx - 1] + middles[(by - 1) * across + bx - 1]) / 4;
            if (low < near) middle = near;
          }
        }
        middles[by * across + bx] = middle;
      }
    }
    const out = new Float32Array(across * down);
    for (let by = 0; by < down; by++) {
      for (let bx = 0; bx < across; bx++) {
        const [left, top] = [Math.max(0, Math.min(bx - 2, across - 5)), Math.max(0, Math.min(by - 2, down - 5))];
        let [sum, n] = [0, 0];
        for (let y = top; y < Math.min(top + 5, down); y++) for (let x = left; x < Math.min(left + 5, across); x++, n++) sum += middles[y * across + x];
        out[by * across + bx] = sum / n;
      }
    }
    return /** @type {Numbers} */ (out);
  }

  #darkness() {
    const { grey, levels, width, height, across } = this;
    const out = new Uint8Array(width * height);
    for (let y = 0, i = 0; y < height; y++) {
      const row = (y >> 3) * across;
      for (let x = 0; x < width; x++, i++) if (grey[i] <= levels[row + (x >> 3)]) out[i] = 1;
    }
    return /** @type {Numbers} */ (out);
  }

  /** How much lighter a place is than what counts as light. @param {number} x @param {number} y */
  light(x, y) {
    x -= 0.5;
    y -= 0.5;
    const { grey, width } = this;
    const [left, top] = [Math.floor(x), Math.floor(y)];
    if (left < 0 || top < 0 || left > width - 2 || top > this.height - 2) return 1;
    const [fx, fy] = [x - left, y - top];
    const i = top * width + left;
    const [a, b] = [grey[i] + (grey[i + 1] - grey[i]) * fx, grey[i + width] + (grey[i + width + 1] - grey[i + width]) * fx];
    return a + (b - a) * fy - this.levels[(top >> 3) * this.across + (left >> 3)];
  }

  /** @returns {string | null} */
  read() {
    for (const [a, b, c] of triples(this.finders())) {
      const said = new Code(this, a, b, c).read();
      if (said) return said;
    }
    return null;
  }

  /** Everything whose rows, columns and diagonals are dark and light as 1:1:3:1:1. */
  finders() {
    const { dark, width, height } = this;
    /** @type {Finder[]} */
    const found = [];
    for (let y = 0; y < height; y++) {
      let [a, b, c, d, e, was] = [0, 0, 0, 0, 0, 0]; // where the colour changed last
      for (let x = 0, i = y * width; x <= width; x++, i++) {
        const is = x < width ? dark[i] : 0;
        if (is === was) continue;
        was = is;
        if (!is && alike(b - a, c - b, d - c, e - d, x - e)) this.#consider(found, (c + d) / 2, y + 0.5);
        [a, b, c, d, e] = [b, c, d, e, x];
      }
    }
    return found.filter((f) => f.seen > f.size * 0.6).sort((f, g) => g.seen / g.size - f.seen / f.size).slice(0, MOST);
  }

  /** @param {Finder[]} found @param {number} x @param {number} y */
  #consider(found, x, y) {
    for (const f of found) {
      if (Math.abs(f.x - x) > f.size * 1.5 || Math.abs(f.y - y) > f.size * 2) continue;
      f.seen++;
      return;
    }
    const down = this.cross(x, y, 0, 1);
    if (!down) return;
    y += down.off;
    const along = this.cross(x, y, 1, 0);
    if (!along) return;
    x += along.off;
    if (Math.max(down.size, along.size) > 2 * Math.min(down.size, along.size)) return;
    if (!this.cross(x, y, Math.SQRT1_2, Math.SQRT1_2) && !this.cross(x, y, Math.SQRT1_2, -Math.SQRT1_2)) return;
    const [dx, dy] = [2 * along.size, 2 * down.size];
    const ring = this.light(x - dx, y) + this.light(x + dx, y) + this.light(x, y - dy) + this.light(x, y + dy);
    if (ring / 4 - this.light(x, y) < CONTRAST) return;
    found.push({ x, y, size: Math.hypot(down.size, along.size) / Math.SQRT2, seen: 1 });
  }

  /**
   * Walks both ways from the middle of what may be a finder: how large its modules
   * are in that direction and how far off the middle is; null if it is none.
   * @param {number} x @param {number} y @param {number} dx @param {number} dy
   */
  cross(x, y, dx, dy) {
    const { dark, width, height } = this;
    const walk = (/** @type {number} */ sign) => {
      const runs = [];
      for (let t = 0, want = 1, from = 0; runs.length < 3; t++) {
        const [px, py] = [Math.floor(x + sign * t * dx), Math.floor(y + sign * t * dy)];
        const inside = px >= 0 && py >= 0 && px < width && py < height;
        if (inside && dark[py * width + px] === want) continue;
        if (!inside && runs.length < 2) return null;
        runs.push(t - from);
        from = t;
        want = 1 - want;
      }
      return runs;
    };
    const [there, back] = [walk(1), walk(-1)];
    if (!there || !back) return null;
    const [a = 0, b = 0, c = 0] = there;
    const [d = 0, e = 0, f = 0] = back;
    if (!alike(c, b, a + d - 1, e, f)) return null;
    return { size: (a + b + c + d + e + f - 1) / 7, off: (a - d) / 2 };
  }
}

/** Whether five runs are a finder's, about. @param {number} a @param {number} b @param {number} c @param {number} d @param {number} e */
function alike(a, b, c, d, e) {
  const size = (a + b + c + d + e) / 7;
  if (size < 1) return false;
  const off = size * 0.5 + 0.5;
  return Math.abs(a - size) < off && Math.abs(b - size) < off && Math.abs(c - 3 * size) < 2.5 * off && Math.abs(d - size) < off && Math.abs(e - size) < off;
}

/** Combinations that may be the three corners of a code, the likeliest first: top left, top right, bottom left. @param {Finder[]} found */
function triples(found) {
  /** @type {{likely: number, three: [Finder, Finder, Finder]}[]} */
  const all = [];
  for (const a of found) {
    for (const b of found) {
      for (const c of found) {
        if (a === b || a === c || b === c) continue;
        const [bx, by, cx, cy] = [b.x - a.x, b.y - a.y, c.x - a.x, c.y - a.y];
        const turn = bx * cy - by * cx;
        if (turn <= 0) continue; // the other way round comes as well
        const [ab, ac] = [Math.hypot(bx, by), Math.hypot(cx, cy)];
        const sizes = Math.max(a.size, b.size, c.size) / Math.min(a.size, b.size, c.size);
        const sides = Math.max(ab, ac) / Math.min(ab, ac);
        const skew = Math.abs(bx * cx + by * cy) / (ab * ac);
        if (sizes > 2.2 || sides > 2.2 || skew > 0.7 || Math.min(ab, ac) < 8 * Math.min(a.size, b.size, c.size)) continue;
        all.push({ likely: Math.log(sizes) + Math.log(sides) + skew, three: [a, b, c] });
      }
    }
  }
  return all.sort((s, t) => s.likely - t.likely).slice(0, TRIES).map((t) => t.three);
}

/** What may be a code: three finders, and what can be made of them. */
class Code {
  /** @param {Picture} picture @param {Finder} a @param {Finder} b @param {Finder} c */
  constructor(picture, a, b, c) {
    this.picture = picture;
    this.three = [a, b, c];
    const right = this.#steps(b, c, a, 1);
    const down = this.#steps(b, c, a, 2);
    this.guess = (right.count + down.count) / 2 + 7;
    this.edges = this.three.flatMap((f, which) => this.#sides(f, which, right, down));
  }

  /**
   * The module as a vector at each finder, in the direction from the first to another, and
   * how many there are between: a tilted line of modules has the geometric mean of
   * its ends.
   * @param {Finder} b @param {Finder} c @param {Finder} a @param {1 | 2} to
   */
  #steps(b, c, a, to) {
    const end = to === 1 ? b : c;
    const far = Math.hypot(end.x - a.x, end.y - a.y);
    const [dx, dy] = [(end.x - a.x) / far, (end.y - a.y) / far];
    const size = this.three.map((f) => this.picture.cross(f.x, f.y, dx, dy)?.size ?? f.size);
    return { count: far / Math.sqrt((size[0] ?? 1) * (size[to] ?? 1)), vectors: size.map((s) => ({ x: dx * s, y: dy * s })) };
  }

  /** Points on the four sides of a finder. @param {Finder} f @param {number} which @param {{vectors: Point[]}} right @param {{vectors: Point[]}} down @returns {Edge[]} */
  #sides(f, which, right, down) {
    const out = [];
    for (const axis of /** @type {const} */ ([0, 1])) {
      const [u, v] = [(axis ? down : right).vectors[which], (axis ? right : down).vectors[which]];
      if (!u || !v) continue;
      for (const sign of [-1, 1]) {
        for (let t = -2.5; t <= 2.5; t++) {
          const at = this.#leaves({ x: f.x + t * v.x, y: f.y + t * v.y }, { x: sign * u.x, y: sign * u.y });
          if (at) out.push({ ...at, axis, which, at: sign < 0 ? 0 : 7 });
        }
      }
    }
    return out;
  }

  /** Where a ray leaves the ring of a finder, about 3.5 modules from its middle. @param {Point} from @param {Point} u */
  #leaves(from, u) {
    let before = -1;
    for (let t = 2.625; t < 4.5; t += 0.125) {
      const light = this.picture.light(from.x + t * u.x, from.y + t * u.y);
      if (light <= 0) before = light;
      else if (t === 2.625) return null;
      else {
        const s = t - 0.125 * light / (light - before);
        return { x: from.x + s * u.x, y: from.y + s * u.y };
      }
    }
    return null;
  }

  /** @returns {string | null} */
  read() {
    const near = Math.round((this.guess - 17) / 4);
    const likely = [];
    for (let v = Math.max(1, near - 3); v <= Math.min(40, near + 3); v++) {
      const map = this.#fit(17 + 4 * v, []);
      if (map) likely.push({ v, map, fits: this.#timing(map, 17 + 4 * v) - Math.abs(v - near) / 100 });
    }
    likely.sort((a, b) => b.fits - a.fits);
    for (const { v, map, fits } of likely.slice(0, 2)) {
      if (fits < 0.72) break;
      const said = this.#try(v, map);
      if (said) return said;
    }
    return null;
  }

  /** @param {number} version @param {Map} map */
  #try(version, map) {
    const n = 17 + 4 * version;
    for (const m of [this.#aligned(version, map), map]) { // a stain may look like an alignment pattern
      const dark = this.#modules(m, n);
      const said = text(dark, n) ?? text(dark.map((_, i) => dark[i % n * n + Math.floor(i / n)] ?? 0), n); // or in a mirror
      if (said) return said;
    }
    return null;
  }

  /**
   * How the picture lies on the code's modules, by all that is known.
   * @param {number} n @param {Fact[]} more
   */
  #fit(n, more) {
    const corners = [[0, 0], [n - 7, 0], [0, n - 7]];
    const facts = this.edges.map((e) => ({ x: e.x, y: e.y, axis: e.axis, is: (corners[e.which]?.[e.axis] ?? 0) + e.at, weight: 1 })).concat(more);
    for (const [i, f] of this.three.entries()) for (const axis of /** @type {const} */ ([0, 1])) facts.push({ x: f.x, y: f.y, axis, is: (corners[i]?.[axis] ?? 0) + 3.5, weight: 0.5 });
    return fit(facts, n);
  }

  /** How many modules of the timing patterns are what they must be. @param {Map} map @param {number} n */
  #timing(map, n) {
    let good = 0;
    for (let i = 8; i < n - 8; i++) {
      for (const [x, y] of /** @type {const} */ ([[i, 6], [6, i]])) {
        const p = map(x + 0.5, y + 0.5);
        if (this.picture.light(p.x, p.y) > 0 === (i % 2 === 1)) good++;
      }
    }
    return good / (2 * n - 32);
  }

  /** A better map, by the alignment patterns, from the last on: it is the farthest from what is known. @param {number} version @param {Map} map */
  #aligned(version, map) {
    const middles = aligned(version);
    const n = 17 + 4 * version;
    /** @type {Fact[]} */
    let facts = [];
    const last = middles.at(-1) ?? 0;
    const order = middles.flatMap((x) => middles.map((y) => ({ x, y }))).filter(({ x, y }) => x + y >= 12 + 6 && !(x === 6 && y === last) && !(y === 6 && x === last)).sort((a, b) => b.x + b.y - a.x - a.y);
    for (const [i, { x, y }] of order.entries()) {
      const p = this.#aligns(map, x + 0.5, y + 0.5, i ? 1.25 : 1.5 + n / 40);
      if (!p) continue;
      facts.push({ ...p, axis: 0, is: x + 0.5, weight: 3 }, { ...p, axis: 1, is: y + 0.5, weight: 3 });
      if (i === 0) map = this.#fit(n, facts) ?? map;
    }
    return this.#fit(n, facts) ?? map;
  }

  /** The middle of an alignment pattern near where it is expected. @param {Map} map @param {number} x @param {number} y @param {number} radius in modules @returns {Point | null} */
  #aligns(map, x, y, radius) {
    const [p, right, below] = [map(x, y), map(x + 1, y), map(x, y + 1)];
    const [ux, uy, vx, vy] = [right.x - p.x, right.y - p.y, below.x - p.x, below.y - p.y];
    let best = { s: 0, t: 0, value: -Infinity };
    const search = (/** @type {number} */ s0, /** @type {number} */ t0, /** @type {number} */ r, /** @type {number} */ step) => {
      for (let s = s0 - r; s <= s0 + r + 1e-9; s += step) {
        for (let t = t0 - r; t <= t0 + r + 1e-9; t += step) {
          let [dark, light] = [0, 0];
          for (let j = -2; j <= 2; j++) {
            for (let i = -2; i <= 2; i++) {
              const v = this.picture.light(p.x + (s + i) * ux + (t + j) * vx, p.y + (s + i) * uy + (t + j) * vy);
              if (Math.max(Math.abs(i), Math.abs(j)) === 1) light += v;
              else dark += v;
            }
          }
          const value = light / 8 - dark / 17 - Math.hypot(s, t);
          if (value > best.value) best = { s, t, value };
        }
      }
    };
    search(0, 0, radius, 0.5);
    if (best.value < 20) return null;
    search(best.s, best.t, 0.25, 0.25);
    search(best.s, best.t, 0.125, 0.125);
    return { x: p.x + best.s * ux + best.t * vx, y: p.y + best.s * uy + best.t * vy };
  }

  /** @param {Map} map @param {number} n */
  #modules(map, n) {
    const out = new Uint8Array(n * n);
    for (let y = 0, i = 0; y < n; y++) {
      for (let x = 0; x < n; x++, i++) {
        let light = 0;
        for (const [dx, dy, weight] of SPOTS) {
          const p = map(x + dx, y + dy);
          light += this.picture.light(p.x, p.y) * weight;
        }
        if (light <= 0) out[i] = 1;
      }
    }
    return out;
  }
}

const SPOTS = /** @type {const} */ ([[0.5, 0.5, 2], [0.3, 0.5, 1], [0.7, 0.5, 1], [0.5, 0.3, 1], [0.5, 0.7, 1]]);

/** @typedef {(x: number, y: number) => Point} Map from modules to pixels */

/**
 * The projection that fits the facts best (least squares), or null. One point says
 * one thing: a x + b y + c = is (g x + h y + 1), along one of the two axes.
 * @param {Fact[]} facts @param {number} n
 * @returns {Map | null}
 */
function fit(facts, n) {
  const [cx, cy] = [mean(facts.map((f) => f.x)), mean(facts.map((f) => f.y))];
  const scale = Math.max(...facts.map((f) => Math.abs(f.x - cx) + Math.abs(f.y - cy)));
  const m = /** @type {Numbers[]} */ (Array.from({ length: 8 }, () => new Float64Array(9)));
  for (const f of facts) {
    const [x, y, k] = [(f.x - cx) / scale, (f.y - cy) / scale, f.is / n];
    const row = f.axis ? [0, 0, 0, x, y, 1, -k * x, -k * y, k] : [x, y, 1, 0, 0, 0, -k * x, -k * y, k];
    for (let i = 0; i < 8; i++) for (let j = 0; j < 9; j++) /** @type {Numbers} */ (m[i])[j] += (row[i] ?? 0) * (row[j] ?? 0) * f.weight;
  }
  const s = solved(m);
  if (!s) return null;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = s;
  // Its inverse, by the adjugate: from modules to pixels.
  const [A, B, C, D, E, F, G, H, I] = [e - f * h, c * h - b, b * f - c * e, f * g - d, a - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d];
  return (x, y) => {
    const [u, v] = [x / n, y / n];
    const w = G * u + H * v + I;
    return { x: (A * u + B * v + C) / w * scale + cx, y: (D * u + E * v + F) / w * scale + cy };
  };
}

/** @param {number[]} all */
const mean = (all) => all.reduce((a, b) => a + b, 0) / all.length;

/** Solves by elimination what is written in rows of n + 1. @param {Numbers[]} m @returns {number[] | null} */
function solved(m) {
  const n = m.length;
  for (let i = 0; i < n; i++) {
    let best = i;
    for (let j = i + 1; j < n; j++) if (Math.abs(m[j]?.[i]) > Math.abs(m[best]?.[i])) best = j;
    const row = /** @type {Numbers} */ (m[best]);
    m[best] = /** @type {Numbers} */ (m[i]);
    m[i] = row;
    if (Math.abs(row[i]) < 1e-12) return null;
    for (const other of m) {
      if (other === row) continue;
      const by = other[i] / row[i];
      for (let k = i; k <= n; k++) other[k] -= by * row[k];
    }
  }
  return m.map((row, i) => row[n] / row[i]);
}
