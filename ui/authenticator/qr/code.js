// What the modules of a QR code say (ISO/IEC 18004): versions 1 to 40, all levels
// and masks, every mode but a code that is one part of several. It corrects what
// its level allows and no more, so that noise is never taken for a text.

/** @typedef {{[i: number]: any, length: number}} Numbers whose indices are known to lie inside */

/** Error correction (table 9) by level, in the order of its two bits (M, L, H, Q), and version: codewords of a block that check it, and blocks. */
const EACH = [
  [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
  [17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
  [13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30, 30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
];
const BLOCKS = [
  [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49],
  [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25],
  [1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35, 37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81],
  [1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29, 34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68],
];

/** What each mask turns over: where it is 0. @type {((x: number, y: number) => number)[]} */
const MASKS = [
  (x, y) => (x + y) % 2,
  (_, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => x * y % 2 + x * y % 3,
  (x, y) => (x * y % 2 + x * y % 3) % 2,
  (x, y) => ((x + y) % 2 + x * y % 3) % 2,
];

/**
 * Where alignment patterns have their middles, in each direction (annex E).
 * @param {number} version
 * @returns {number[]}
 */
export function aligned(version) {
  if (version === 1) return [];
  const n = Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (n * 2 - 2)) * 2;
  return [6, ...Array.from({ length: n - 1 }, (_, i) => version * 4 + 10 - (n - 2 - i) * step)];
}

/** Bits that some lost: how many. @param {number} a @param {number} b */
function distance(a, b) {
  let n = 0;
  for (let d = a ^ b; d; d &= d - 1) n++;
  return n;
}

/** A value with the check bits of a BCH code after it. @param {number} value @param {number} bits @param {number} by */
function checked(value, bits, by) {
  let rest = value;
  for (let i = 0; i < bits; i++) rest = (rest << 1) ^ ((rest >>> (bits - 1)) * by);
  return (value << bits) | rest;
}

const FORMATS = Array.from({ length: 32 }, (_, i) => checked(i, 10, 0x537) ^ 0x5412);

/** Level and mask; null if they are too damaged. @param {Numbers} dark @param {number} n */
function format(dark, n) {
  let [a, b] = [0, 0];
  for (let i = 0; i < 15; i++) {
    const [x, y] = i < 6 ? [8, i] : i < 8 ? [8, i + 1] : i === 8 ? [7, 8] : [14 - i, 8];
    a |= dark[y * n + x] << i;
    b |= (i < 8 ? dark[8 * n + n - 1 - i] : dark[(n - 15 + i) * n + 8]) << i;
  }
  const far = FORMATS.map((f) => Math.min(distance(f, a), distance(f, b)) * 32 + distance(f, a) + distance(f, b));
  const best = far.indexOf(Math.min(...far));
  return (far[best] ?? 0) < 4 * 32 ? { level: best >> 3, mask: best & 7 } : null;
}

/** The modules that carry no data: 1 for each. @param {number} version @param {number} n */
function fixed(version, n) {
  const out = new Uint8Array(n * n);
  const fill = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, /** @type {number} */ h) => { for (let j = y; j < y + h; j++) out.fill(1, j * n + x, j * n + x + w); };
  fill(0, 0, 9, 9);
  fill(n - 8, 0, 8, 9);
  fill(0, n - 8, 9, 8);
  fill(6, 0, 1, n);
  fill(0, 6, n, 1);
  const middles = aligned(version);
  const last = n - 7;
  for (const x of middles) for (const y of middles) if (!(x === 6 && y === 6 || x === 6 && y === last || x === last && y === 6)) fill(x - 2, y - 2, 5, 5);
  if (version >= 7) {
    fill(n - 11, 0, 3, 6);
    fill(0, n - 11, 6, 3);
  }
  return out;
}

/**
 * The text of a code; null if it is damaged beyond its level, part of several, or
 * none at all.
 * @param {Numbers} dark  n × n, row by row: 1 for a dark module
 * @param {number} n  17 + 4 × version
 * @returns {string | null}
 */
export function text(dark, n) {
  const version = (n - 17) / 4;
  const how = format(dark, n);
  if (!how) return null;
  const data = corrected(codewords(dark, n, version, MASKS[how.mask] ?? (() => 1)), version, how.level);
  return data && said(data, version);
}

/** @param {Numbers} dark @param {number} n @param {number} version @param {(x: number, y: number) => number} mask */
function codewords(dark, n, version, mask) {
  const skip = /** @type {Numbers} */ (fixed(version, n));
  const out = [];
  let [byte, bits] = [0, 0];
  for (let right = n - 1; right > 0; right -= 2) {
    if (right === 6) right = 5; // the timing pattern takes a column
    for (let i = 0; i < n; i++) {
      const y = (right + 1) & 2 ? i : n - 1 - i;
      for (const x of [right, right - 1]) {
        if (skip[y * n + x]) continue;
        byte = (byte << 1) | (dark[y * n + x] ^ (mask(x, y) ? 0 : 1));
        if (++bits % 8 === 0) {
          out.push(byte);
          byte = 0;
        }
      }
    }
  }
  return out;
}

/** Sorts codewords into their blocks and corrects each. @param {number[]} all @param {number} version @param {number} level @returns {number[] | null} */
function corrected(all, version, level) {
  const [each, count] = [EACH[level]?.[version - 1] ?? 0, BLOCKS[level]?.[version - 1] ?? 1];
  const short = Math.floor(all.length / count); // the length of the blocks, but for the last ones
  const longer = all.length % count;
  /** @type {number[][]} */
  const blocks = Array.from({ length: count }, () => []);
  let next = 0;
  for (let i = 0; i <= short; i++) blocks.forEach((b, j) => { if (i !== short - each || j >= count - longer) b.push(all[next++] ?? 0); });
  // What is left of the smallest codes is for noticing a wrong reading (table 9).
  const spare = version === 1 ? [2, 3, 1, 1][level] ?? 0 : level === 1 && version < 4 ? 4 - version : 0;
  const out = [];
  for (const b of blocks) {
    if (!correct(b, each, (each - spare) >> 1)) return null;
    out.push(...b.slice(0, -each));
  }
  return out;
}

// Reed-Solomon over GF(256), x⁸+x⁴+x³+x²+1.

const EXP = /** @type {Numbers} */ (new Uint8Array(510));
const LOG = /** @type {Numbers} */ (new Uint8Array(256));
for (let i = 0, x = 1; i < 255; i++) {
  EXP[i] = EXP[i + 255] = x;
  LOG[x] = i;
  x = x << 1 ^ (x >> 7) * 0x11d;
}

/** @param {number} a @param {number} b @returns {number} */
const times = (a, b) => a && b && EXP[LOG[a] + LOG[b]];
/** @param {number} a @param {number} b not 0 @returns {number} */
const over = (a, b) => a && EXP[LOG[a] + 255 - LOG[b]];
/** The value of a polynomial, lowest power first. @param {Numbers} p @param {number} x */
function valueAt(p, x) {
  let v = 0;
  for (let i = p.length - 1; i >= 0; i--) v = times(v, x) ^ p[i];
  return v;
}

/**
 * Corrects a block in place: Berlekamp-Massey, Chien, Forney. False if it has more
 * errors than most.
 * @param {Numbers} block
 * @param {number} check  codewords of it that are for checking
 * @param {number} most
 */
function correct(block, check, most) {
  /** @type {Numbers} */
  const back = Array.from({ length: block.length }, (_, i) => block[block.length - 1 - i]);
  /** @type {Numbers} */
  const wrong = Array.from({ length: check }, (_, i) => valueAt(back, EXP[i]));
  /** @type {any[]} */
  let where = [1];
  let before = [1];
  let [errors, gap, last] = [0, 1, 1];
  for (let i = 0; i < check; i++, gap++) {
    let d = wrong[i];
    for (let j = 1; j <= errors; j++) d ^= times(where[j] ?? 0, wrong[i - j]);
    if (!d) continue;
    const now = [...where];
    before.forEach((b, j) => { where[j + gap] = (where[j + gap] ?? 0) ^ times(over(d, last), b); });
    for (let j = 0; j < where.length; j++) where[j] ??= 0;
    if (2 * errors > i) continue;
    errors = i + 1 - errors;
    before = now;
    last = d;
    gap = 0;
  }
  if (errors > most) return false;
  const value = wrong && Array.from({ length: check }, (_, i) => { let v = 0; for (let j = 0; j <= i; j++) v ^= times(where[j] ?? 0, wrong[i - j]); return v; });
  const slope = where.map((w, i) => (i % 2 ? w : 0)).slice(1);
  let found = 0;
  for (let i = 0; i < block.length; i++) {
    const x = EXP[255 - i];
    if (valueAt(where, x)) continue;
    found++;
    block[block.length - 1 - i] ^= times(EXP[i], over(valueAt(value, x), valueAt(slope, x)));
  }
  return found === errors;
}

// Segments.

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

/** The name of a character set by its ECI number; '' for one that is not known. @param {number} eci */
function charset(eci) {
  if (eci > 3 && eci < 19) return `iso-8859-${eci - 2}`;
  return { 1: 'latin1', 3: 'latin1', 20: 'shift_jis', 21: 'windows-1250', 22: 'windows-1251', 23: 'windows-1252', 24: 'windows-1256', 25: 'utf-16be', 26: 'utf-8', 27: 'latin1', 28: 'big5', 29: 'gb18030', 30: 'euc-kr' }[eci] ?? '';
}

/** @param {number[]} bytes @param {string} set  '' where the code names none */
function words(bytes, set) {
  const decode = (/** @type {string} */ label) => new TextDecoder(label, { fatal: true }).decode(new Uint8Array(bytes));
  if (set) return decode(set);
  try {
    return decode('utf-8');
  } catch {
    return decode('latin1');
  }
}

/** @param {number[]} data @param {number} version @returns {string | null} */
function said(data, version) {
  let at = 0;
  const rest = () => data.length * 8 - at;
  const take = (/** @type {number} */ n) => {
    if (n > rest()) throw new RangeError();
    let v = 0;
    for (; n > 0; n--, at++) v = v * 2 + (((data[at >> 3] ?? 0) >> (7 - at % 8)) & 1);
    return v;
  };
  const size = version < 10 ? 0 : version < 27 ? 1 : 2;
  const length = (/** @type {number[]} */ by) => take(by[size] ?? 0);
  const digits = (/** @type {number} */ n) => {
    const v = take([0, 4, 7, 10][n] ?? 0);
    if (v >= 10 ** n) throw new RangeError();
    return String(v).padStart(n, '0');
  };
  const letters = (/** @type {number} */ n) => {
    const v = take(n === 2 ? 11 : 6);
    if (v >= 45 ** n) throw new RangeError();
    return (n === 2 ? ALPHABET[Math.floor(v / 45)] ?? '' : '') + ALPHABET[v % 45];
  };
  let set = '';
  let out = '';
  try {
    while (rest() >= 4) {
      const mode = take(4);
      if (mode === 0) break;
      else if (mode === 1) for (let n = length([10, 12, 14]); n > 0; n -= 3) out += digits(Math.min(n, 3));
      else if (mode === 2) for (let n = length([9, 11, 13]); n > 0; n -= 2) out += letters(Math.min(n, 2));
      else if (mode === 4) out += words(Array.from({ length: length([8, 16, 16]) }, () => take(8)), set);
      else if (mode === 8) out += words(Array.from({ length: length([8, 10, 12]) }, () => kanji(take(13))).flat(), 'shift_jis');
      else if (mode === 7) {
        const first = take(8);
        set = charset(first < 128 ? first : first < 192 ? (first & 63) << 8 | take(8) : (first & 31) << 16 | take(16));
        if (!set) return null;
      } else if (mode === 9) take(8);
      else if (mode !== 5) return null;
    }
  } catch (err) {
    if (err instanceof RangeError || err instanceof TypeError) return null; // it ends too early, or is no text of its character set
    throw err;
  }
  return out || null;
}

/** @param {number} v @returns {number[]} two bytes of Shift JIS */
function kanji(v) {
  const both = Math.floor(v / 0xc0) << 8 | v % 0xc0;
  const code = both + (both < 0x1f00 ? 0x8140 : 0xc140);
  return [code >> 8, code & 255];
}
