// What the app keeps in this browser: accounts with their keys, authenticator
// entries, the history. Keys are such that no script can read them.

import { biometricKey, forget, load, names, save } from '/lib/keys.js';

/** @typedef {import('/lib/owner.js').Owner} Owner */
/** @typedef {import('./totp.js').Entry} Entry */

/**
 * @typedef {object} Kept an account of this phone
 * @property {string} id
 * @property {string} client
 * @property {string} keyName  under which its device key is kept
 * @property {Owner} owner
 * @property {import('./api.js').Account} about  what the server said last
 * @property {string} [next]  name of the key that replaces it, while the server was not heard
 * @property {boolean} [gone]  the server does not know this phone any more
 * @property {{endpoint: string, at: number}} [told]  where the server was told that this phone is reached, and when (ms)
 */

/**
 * @typedef {object} Past an answered request
 * @property {string} id
 * @property {number} at
 * @property {string} account
 * @property {'approved' | 'denied' | 'not_me' | 'failed'} how
 * @property {Omit<import('./api.js').Shown, 'choices' | 'challenge'>} request
 * @property {string} receipt
 */

const ACCOUNT = 'app-account-';
const ENTRY = 'app-entry-';
const PAST = 'app-past-';
const MOST = 200; // entries of the history

/** @param {string} prefix @returns {Promise<any[]>} */
const all = async (prefix) => Promise.all((await names(prefix)).map(load));

/** @returns {Promise<Kept[]>} */
export const accounts = () => all(ACCOUNT);
/** @param {Kept} a */
export const keepAccount = (a) => save(ACCOUNT + a.id, a);
/** @param {Kept} a */
export const keyOf = (a) => biometricKey(a.keyName);

/** @param {Kept} a */
export async function dropAccount(a) {
  await forget(ACCOUNT + a.id);
  await forget(a.keyName);
  for (const e of await entries()) if (e.account === a.id) await dropEntry(e);
}

/** @returns {Promise<Entry[]>} */
export const entries = async () => (await all(ENTRY)).sort((a, b) => a.issuer.localeCompare(b.issuer) || a.label.localeCompare(b.label));
/** @param {Entry} e */
export const keepEntry = (e) => save(ENTRY + e.id, e);
/** @param {Entry} e */
export const dropEntry = (e) => forget(ENTRY + e.id);

/** @returns {Promise<Past[]>} newest first */
export const history = async () => (await all(PAST)).sort((a, b) => b.at - a.at);

/** @param {Past} p */
export async function keepPast(p) {
  await save(PAST + p.id, p);
  for (const old of (await history()).slice(MOST)) await forget(PAST + old.id);
}

/** @param {string} name @returns {Promise<any>} */
export const setting = (name) => load(`app-set-${name}`);
/** @param {string} name @param {unknown} value */
export const set = (name, value) => save(`app-set-${name}`, value);
