// What the app says to the server: calls that the device key signs (docs/phone.md).

import { hex, nonce, utf8 } from '/lib/bytes.js';
import { NetworkError, post } from '/lib/post.js';

/** @typedef {import('/lib/keys.js').Key} Key */

/**
 * @typedef {object} Shown a request, and all that its statement is made of
 * @property {string} id
 * @property {string} state
 * @property {string} tenant
 * @property {string} app
 * @property {string} user
 * @property {string} purpose
 * @property {string} app_name
 * @property {string} client_name
 * @property {string} place
 * @property {string} browser
 * @property {number} at
 * @property {number} expires_at
 * @property {'off' | 'type-2' | 'type-6' | 'choose-4'} number_mode
 * @property {string[]} [choices]
 * @property {Record<string, string>} approval_data
 * @property {string} challenge
 */

/** @typedef {{name: string, label: string, type: string, required?: boolean, choices?: string[]}} Field */
/** @typedef {{kind: string, title?: string, text?: string, button?: string, fields?: Field[], data?: Record<string, any>, options?: {id: string, label: string}[], poll?: boolean, empty?: boolean, sent?: {to: string, sure?: boolean}}} Prompt */
/** @typedef {{state?: string, session?: string, visit?: string, turn?: string, prompt?: Prompt, problem?: {error: string, message: string}, end?: {ok: boolean, reason?: string, message?: string}, receipt?: string}} Run */
/** @typedef {{id: string, name: string, added_at: number, seen_at: number, this?: boolean, status: string}} PhoneInfo */
/** @typedef {{user: string, label: string, app: string, app_id: string, device_id: string, device_name: string, owner: string[], owners: Record<string, {min_length: number}>, push: string, phones: PhoneInfo[]}} Account what the server knows of an account */

/** The server said no. */
export class Refused extends Error {
  /** @param {string} message @param {string} code @param {number} status */
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export { NetworkError };

/**
 * @typedef {object} Speaker
 * @property {string} client
 * @property {Key} key
 */

/** @param {string} text */
const sha256 = async (text) => new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(text)));

/**
 * Says something to the server. With confirm, the phone's owner signs the call too.
 * @param {Speaker} phone
 * @param {string} verb
 * @param {unknown} what
 * @param {object} [how]
 * @param {boolean} [how.stranger]  the server does not know this key yet
 * @param {AbortSignal} [how.signal]
 * @param {(challenge: string) => Promise<{kind: string, id: string, signature: string}>} [how.confirm]
 * @returns {Promise<any>}
 */
export async function call({ client, key }, verb, what, { stranger, signal, confirm } = {}) {
  const body = JSON.stringify(what);
  const timestamp = Date.now();
  const once = nonce();
  const text = ['watchword/device/v1', verb, client, key.id, timestamp, once, hex(await sha256(body))].join('\n');
  const owner = confirm && await confirm(hex(await sha256(`watchword/owner/v1\n${text}`)));
  const envelope = {
    client_id: client, device_key_id: key.id, timestamp, nonce: once, body, signature: await key.sign(text),
    ...(stranger && { public_key: key.spki }), ...(owner && { owner }),
  };
  const answer = await post(`/device/v1/${verb}`, envelope, { name: verb, signal });
  if (answer.status !== 200) throw new Refused(answer.body.message ?? '', answer.body.error ?? '', answer.status);
  return answer.body;
}

/** RFC 8785 for texts, whole numbers and objects of them. @param {any} v @returns {string} */
export function canonical(v) {
  if (v === null || typeof v !== 'object') return JSON.stringify(v);
  return `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`).join(',')}}`;
}

/** @param {unknown} v */
async function hashOf(v) {
  const h = await sha256(canonical(v));
  return btoa(String.fromCharCode(...h)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * What the phone signs to decide a request: made of exactly what is on its screen.
 * @param {Shown} r
 * @param {string} deviceKey
 * @param {string} decision
 * @param {string} number
 */
export async function statement(r, deviceKey, decision, number) {
  const screen = { app_name: r.app_name, client_name: r.client_name, place: r.place, browser: r.browser, at: r.at, number_mode: r.number_mode };
  return canonical({
    domain: 'watchword/answer', version: 1, purpose: r.purpose, tenant: r.tenant, app: r.app, request: r.id, challenge: r.challenge, user: r.user,
    device_key: deviceKey, decision, number, approval_data: await hashOf(r.approval_data), shown: await hashOf(screen), expires: r.expires_at,
  });
}
