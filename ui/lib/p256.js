// The public point of a private scalar on P-256. WebCrypto imports a key made of
// what somebody typed only together with its point, and does not compute it; this
// does (SEC 1 2.2.1, doubling and adding in Jacobian coordinates).

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
export const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const GX = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n;
const GY = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n;

/** @typedef {[bigint, bigint, bigint]} Point x, y, z; z = 0 is the point at infinity */

/** @param {bigint} a */
const mod = (a) => ((a % P) + P) % P;

/** @param {Point} p @returns {Point} */
function double([x, y, z]) {
  const yy = mod(y * y);
  const s = mod(4n * x * yy);
  const zz = mod(z * z);
  const m = mod(3n * (x - zz) * (x + zz)); // a = -3
  const x3 = mod(m * m - 2n * s);
  return [x3, mod(m * (s - x3) - 8n * yy * yy), mod(2n * y * z)];
}

/** @param {Point} p @param {Point} q @returns {Point} */
function add(p, q) {
  if (p[2] === 0n) return q;
  if (q[2] === 0n) return p;
  const [x1, y1, z1] = p;
  const [x2, y2, z2] = q;
  const zz1 = mod(z1 * z1);
  const zz2 = mod(z2 * z2);
  const u1 = mod(x1 * zz2);
  const h = mod(x2 * zz1 - u1);
  const s1 = mod(y1 * z2 * zz2);
  const r = mod(y2 * z1 * zz1 - s1);
  if (h === 0n) return r === 0n ? double(p) : [1n, 1n, 0n];
  const hh = mod(h * h);
  const hhh = mod(h * hh);
  const v = mod(u1 * hh);
  const x3 = mod(r * r - hhh - 2n * v);
  return [x3, mod(r * (v - x3) - s1 * hhh), mod(z1 * z2 * h)];
}

/** @param {bigint} a @param {bigint} e */
function power(a, e) {
  let out = 1n;
  for (let b = mod(a); e > 0n; e >>= 1n, b = mod(b * b)) if (e & 1n) out = mod(out * b);
  return out;
}

/** @param {bigint} n @returns {Uint8Array<ArrayBuffer>} 32 bytes */
export function bytes(n) {
  return Uint8Array.from(n.toString(16).padStart(64, '0').match(/../g) ?? [], (h) => parseInt(h, 16));
}

/**
 * The point of a scalar, 0 < d < N, as its two coordinates of 32 bytes.
 * @param {bigint} d
 */
export function point(d) {
  /** @type {Point} */
  let out = [1n, 1n, 0n];
  /** @type {Point} */
  const g = [GX, GY, 1n];
  for (let i = 255n; i >= 0n; i--) {
    out = double(out);
    if ((d >> i) & 1n) out = add(out, g);
  }
  const inverse = power(out[2], P - 2n);
  const square = mod(inverse * inverse);
  return { x: bytes(mod(out[0] * square)), y: bytes(mod(out[1] * square * inverse)) };
}
