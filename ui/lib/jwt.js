// Reads a JWT and checks its signature against the issuer's published keys. A
// page does this to show what a token says; to rely on one is a server's work.

import { fromBase64url, utf8 } from './bytes.js';

/**
 * @param {string} token
 * @returns {{header: Record<string, any>, claims: Record<string, any>}}
 */
export function decode(token) {
  const [header = '', claims = ''] = token.split('.');
  const part = (/** @type {string} */ text) => JSON.parse(new TextDecoder().decode(fromBase64url(text)));
  return { header: part(header), claims: part(claims) };
}

/**
 * Whether an ES256 token was signed by one of the keys.
 * @param {string} token
 * @param {{keys: (JsonWebKey & {kid?: string})[]}} set
 */
export async function verify(token, set) {
  const { header } = decode(token);
  const jwk = set.keys.find((k) => k.kid === header.kid && k.kty === 'EC' && k.crv === 'P-256');
  if (header.alg !== 'ES256' || !jwk) return false;
  const key = await crypto.subtle.importKey('jwk', { ...jwk, key_ops: undefined, use: undefined, alg: undefined }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
  const cut = token.lastIndexOf('.');
  return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, fromBase64url(token.slice(cut + 1)), utf8(token.slice(0, cut)));
}
