// Keys that a browser makes and cannot give away: WebCrypto keys that are not
// extractable, kept in IndexedDB. The private half is never seen by any script,
// this one included.
//
//   device key     RSA 2048, RSASSA-PSS, SHA-256, salt 32: signs for the device
//   biometric key  EC P-256, ECDSA, SHA-256, DER: stands for the owner's finger
//
// (mosaic-protocol 1.3: the two algorithms that the mobile SDKs know.)

import { base64, hex, utf8 } from './bytes.js';

/**
 * @typedef {object} Key
 * @property {string} id    hex SHA-256 of the public key's SPKI bytes
 * @property {string} spki  the public key, base64
 * @property {(text: string) => Promise<string>} sign  base64 signature of the text's UTF-8 bytes
 */

/** @typedef {{pair: CryptoKeyPair, id: string, spki: string}} Stored */

const RSA = { name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };
const EC = { name: 'ECDSA', namedCurve: 'P-256' };

/** Whether this page may make keys at all: browsers allow it on https and on this machine. */
export const available = Boolean(globalThis.isSecureContext && globalThis.crypto?.subtle && globalThis.indexedDB);

/**
 * The device key of that name, made if it does not exist.
 * @param {string} name
 * @returns {Promise<Key>}
 */
export async function deviceKey(name) {
  const k = await keep(name, RSA);
  return {
    id: k.id, spki: k.spki,
    sign: async (text) => base64(await crypto.subtle.sign({ name: 'RSA-PSS', saltLength: 32 }, k.pair.privateKey, utf8(text))),
  };
}

/**
 * The EC key of that name, made if it does not exist. On the demo phone it stands
 * for the owner's finger, in the phone app it signs for the device.
 * @param {string} name
 * @returns {Promise<Key>}
 */
export async function biometricKey(name) {
  const k = await keep(name, EC);
  return {
    id: k.id, spki: k.spki,
    sign: async (text) => base64(der(new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, k.pair.privateKey, utf8(text))))),
  };
}

/**
 * Turns WebCrypto's r||s into the DER of X9.62: a sequence of two integers,
 * each without leading zeroes and with one where the first bit is set.
 * @param {Uint8Array} raw 64 bytes
 */
export function der(raw) {
  const integer = (/** @type {Uint8Array} */ half) => {
    let from = 0;
    while (from < half.length - 1 && half[from] === 0) from++;
    const bytes = (half[from] ?? 0) & 0x80 ? [0, ...half.subarray(from)] : [...half.subarray(from)];
    return [0x02, bytes.length, ...bytes];
  };
  const body = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
  return new Uint8Array([0x30, body.length, ...body]);
}

/**
 * @param {string} name
 * @param {RsaHashedKeyGenParams | EcKeyGenParams} algorithm
 * @returns {Promise<Stored>}
 */
async function keep(name, algorithm) {
  const have = /** @type {Stored | undefined} */ (await load(name));
  if (have) return have;
  const pair = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const spki = await crypto.subtle.exportKey('spki', pair.publicKey);
  const made = { pair, id: hex(await crypto.subtle.digest('SHA-256', spki)), spki: base64(spki) };
  await save(name, made);
  return made;
}

// One store for keys and the few facts that belong with them.

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const r = indexedDB.open('watchword', 1);
    r.onupgradeneeded = () => r.result.createObjectStore('kept');
    r.onsuccess = () => resolve(r.result);
    r.onerror = () => reject(r.error);
  });
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(s: IDBObjectStore) => IDBRequest<T>} fn
 * @returns {Promise<T>}
 */
async function within(mode, fn) {
  const db = await open();
  try {
    return await new Promise((resolve, reject) => {
      const tx = db.transaction('kept', mode);
      const r = fn(tx.objectStore('kept'));
      tx.oncomplete = () => resolve(r.result);
      tx.onabort = tx.onerror = () => reject(tx.error ?? r.error);
    });
  } finally {
    db.close();
  }
}

/** @param {string} name @returns {Promise<any>} undefined if it is not there */
export const load = (name) => within('readonly', (s) => s.get(name));

/** @param {string} name @param {unknown} value */
export const save = (name, value) => within('readwrite', (s) => s.put(value, name));

/** @param {string} name */
export const forget = (name) => within('readwrite', (s) => s.delete(name));

/**
 * Every name that is kept and begins so.
 * @param {string} prefix
 * @returns {Promise<string[]>}
 */
export const names = async (prefix) => (await within('readonly', (s) => s.getAllKeys())).map(String).filter((n) => n.startsWith(prefix));
