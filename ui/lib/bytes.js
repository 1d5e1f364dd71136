// Bytes as text and back. What crosses the wire is standard base64, padded.

/** @param {ArrayBuffer | Uint8Array} bytes */
export function base64(bytes) {
  let text = '';
  for (const b of new Uint8Array(bytes)) text += String.fromCharCode(b);
  return btoa(text);
}

/** @param {ArrayBuffer | Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('');
}

/**
 * @param {string} text base64url, unpadded, as in a JWT
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64url(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}

/** @param {ArrayBuffer | Uint8Array} bytes base64url, unpadded */
export function base64url(bytes) {
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @param {string} text */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** A random text that is good for a nonce: 128 bits in hex. */
export function nonce() {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
