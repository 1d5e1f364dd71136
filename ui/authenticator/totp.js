// Codes of the time (RFC 6238) and of a challenge. A secret is kept as two keys that
// no script can read again: one makes the codes, the other signs challenges.

import { nonce, utf8 } from '/lib/bytes.js';

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} issuer
 * @property {string} label
 * @property {string} algorithm  SHA-1, SHA-256 or SHA-512
 * @property {number} digits
 * @property {number} period     seconds
 * @property {CryptoKey} code
 * @property {CryptoKey} sign
 * @property {string} [account]  of this app, whose offline code it is
 */

/** What was scanned, pasted or typed is no secret of an authenticator. */
export class NoSecret extends Error {}

const HASHES = { SHA1: 'SHA-1', SHA256: 'SHA-256', SHA512: 'SHA-512' };

/**
 * Reads an otpauth address or the secret alone.
 * @param {string} text
 * @returns {Promise<Entry>}
 */
export async function parse(text) {
  const typed = text.trim();
  if (!/^otpauth:/i.test(typed)) return entry({ secret: typed, issuer: '', label: '', algorithm: 'SHA-1', digits: 6, period: 30 });
  let u;
  try {
    u = new URL(typed.replace(/^otpauth:/i, 'https:')); // browsers read the rest of an unknown scheme each in their way
  } catch {
    throw new NoSecret();
  }
  const q = u.searchParams;
  const name = decodeURIComponent(u.pathname.slice(1));
  const [before, ...after] = name.split(':');
  const algorithm = /** @type {Record<string, string>} */ (HASHES)[(q.get('algorithm') ?? 'SHA1').toUpperCase().replace('-', '')];
  if (u.hostname !== 'totp' || !algorithm) throw new NoSecret();
  return entry({
    secret: q.get('secret') ?? '', issuer: q.get('issuer') ?? (after.length ? before ?? '' : ''), label: (after.length ? after.join(':') : name).trim(),
    algorithm, digits: Number(q.get('digits') ?? 6), period: Number(q.get('period') ?? 30),
  });
}

/** @param {{secret: string, issuer: string, label: string, algorithm: string, digits: number, period: number}} e @returns {Promise<Entry>} */
async function entry({ secret, issuer, label, algorithm, digits, period }) {
  const bytes = base32(secret);
  if (!bytes || !(digits >= 6 && digits <= 9) || !(period >= 5 && period <= 600)) throw new NoSecret();
  const key = (/** @type {Uint8Array<ArrayBuffer>} */ raw, /** @type {string} */ hash) => crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash }, false, ['sign']);
  const text = secret.replace(/[\s-]/g, '').toUpperCase();
  return { id: nonce(), issuer, label, algorithm, digits, period, code: await key(bytes, algorithm), sign: await key(utf8(text), 'SHA-256') };
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer> | null} */
export function base32(text) {
  const plain = text.replace(/[\s-]/g, '').replace(/=+$/, '').toUpperCase();
  if (plain.length < 16 || /[^A-Z2-7]/.test(plain)) return null;
  const out = [];
  let bits = 0;
  let value = 0;
  for (const c of plain) {
    value = ((value << 5) | 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c)) & 0xfff;
    bits += 5;
    if (bits >= 8) out.push((value >> (bits -= 8)) & 255);
  }
  return new Uint8Array(out);
}

/** @param {Entry} e @param {number} at ms */
export const codeAt = (e, at) => truncated(e.code, e, at);

/**
 * The code that answers a challenge: of a key that is derived from the secret and
 * the challenge.
 * @param {Entry} e
 * @param {string} challenge
 * @param {number} at ms
 */
export async function answerAt(e, challenge, at) {
  const raw = await crypto.subtle.sign('HMAC', e.sign, utf8(challenge));
  const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: e.algorithm }, false, ['sign']);
  return truncated(key, e, at);
}

/** @param {CryptoKey} key @param {Entry} e @param {number} at */
async function truncated(key, { digits, period }, at) {
  const step = new DataView(new ArrayBuffer(8));
  step.setBigUint64(0, BigInt(Math.floor(at / 1000 / period)));
  const h = new DataView(await crypto.subtle.sign('HMAC', key, step));
  const n = h.getUint32(h.getUint8(h.byteLength - 1) & 15) & 0x7fffffff;
  return String(n % 10 ** digits).padStart(digits, '0');
}

/** "123 456" @param {string} code */
export const grouped = (code) => code.replace(code.length % 3 ? /(.{4})(?=.)/g : /(.{3})(?=.)/g, '$1 ');
