// What proves the owner of a phone or a browser: the platform's authenticator, which
// looks at a finger or a face, or a PIN where there is none. The server judges both,
// and it alone: no check value of a PIN is kept here, a wrong one makes another key.

import { base64, base64url, fromBase64url, hex, nonce, utf8 } from './bytes.js';
import { der } from './keys.js';

/**
 * @typedef {object} Owner what the phone keeps of it
 * @property {'biometric' | 'pin'} kind
 * @property {string} id
 * @property {Uint8Array<ArrayBuffer>} [salt]  of a PIN
 * @property {CryptoKey} [pepper]  of a PIN: a secret of this phone that no script reads
 */

/** @typedef {{kind: string, id: string, public_key: string, origin?: string}} Public what the server keeps of it */

const ROUNDS = 600_000; // of PBKDF2 with SHA-256
const LIMIT = 60_000; // ms that the system may look for its owner

/** Somebody closed the system's question, or it did not know them. */
export class NotOwner extends Error {}

/** Whether this browser can ask its system for the owner. */
export async function platform() {
  if (!globalThis.PublicKeyCredential || /^[\d.]+$|:/.test(location.hostname)) return false; // browsers give no such key to an address
  return PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().catch(() => false);
}

/**
 * @param {{name: string, rp?: string}} about  the name of the key, and whose it is
 * @returns {Promise<{owner: Owner, said: Public}>}
 */
export async function makePasskey({ name, rp = 'Watchword' }) {
  const made = await asked(navigator.credentials.create({
    publicKey: {
      rp: { name: rp, id: location.hostname }, challenge: crypto.getRandomValues(new Uint8Array(32)),
      user: { id: crypto.getRandomValues(new Uint8Array(32)), name, displayName: name },
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }],
      authenticatorSelection: { authenticatorAttachment: 'platform', userVerification: 'required', residentKey: 'discouraged' },
      attestation: 'none', timeout: LIMIT,
    },
  }));
  const key = /** @type {AuthenticatorAttestationResponse} */ (made.response).getPublicKey();
  if (!key) throw new NotOwner();
  return { owner: { kind: 'biometric', id: made.id }, said: { kind: 'biometric', id: made.id, public_key: base64(key), origin: location.origin } };
}

/**
 * Asks the system for the owner and returns what it signed: authenticator data,
 * client data and signature.
 * @param {Owner} owner
 * @param {string} challenge
 */
export async function signPasskey(owner, challenge) {
  const got = await asked(navigator.credentials.get({
    publicKey: {
      challenge: utf8(challenge), rpId: location.hostname, userVerification: 'required', timeout: LIMIT,
      allowCredentials: [{ type: 'public-key', id: fromBase64url(owner.id), transports: ['internal'] }],
    },
  }));
  const r = /** @type {AuthenticatorAssertionResponse} */ (got.response);
  return [r.authenticatorData, r.clientDataJSON, r.signature].map(base64url).join('.');
}

/** Whether a PIN is guessed at once: all digits alike, or one after the other. @param {string} pin */
export const weakPIN = (pin) => /^(\d)\1*$/.test(pin) || '01234567890123456789'.includes(pin) || '98765432109876543210'.includes(pin);

/** @param {Promise<Credential | null>} question @returns {Promise<PublicKeyCredential>} */
async function asked(question) {
  try {
    const got = await question;
    if (got instanceof PublicKeyCredential) return got;
  } catch (err) {
    if (!(err instanceof DOMException)) throw err;
  }
  throw new NotOwner();
}

/**
 * @param {string} pin
 * @returns {Promise<{owner: Owner, said: Public}>}
 */
export async function makePIN(pin) {
  /** @type {Owner} */
  const owner = {
    kind: 'pin', id: `pin_${nonce()}`, salt: crypto.getRandomValues(new Uint8Array(16)),
    pepper: await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
  };
  const { spki } = await pinKey(owner, pin);
  return { owner, said: { kind: 'pin', id: owner.id, public_key: spki } };
}

/** @param {Owner} owner @param {string} pin @param {string} challenge */
export async function signPIN(owner, pin, challenge) {
  const { key } = await pinKey(owner, pin);
  return base64(der(new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, utf8(challenge)))));
}

/** The key that a PIN makes: right or wrong, there always is one. @param {Owner} owner @param {string} pin */
async function pinKey({ salt, pepper }, pin) {
  if (!salt || !pepper) throw new Error('this owner has no PIN');
  const { N, bytes, point } = await import('./p256.js');
  const typed = await crypto.subtle.sign('HMAC', pepper, utf8(pin));
  const base = await crypto.subtle.importKey('raw', typed, 'PBKDF2', false, ['deriveBits']);
  const wide = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: ROUNDS }, base, 384);
  const d = (BigInt(`0x${hex(wide)}`) % (N - 1n)) + 1n;
  const { x, y } = point(d);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const jwk = { kty: 'EC', crv: 'P-256', d: base64url(bytes(d)), x: base64url(x), y: base64url(y) };
  const key = await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']);
  const open = await crypto.subtle.importKey('jwk', { ...jwk, d: undefined }, algorithm, true, ['verify']);
  return { key, spki: base64(await crypto.subtle.exportKey('spki', open)) };
}
