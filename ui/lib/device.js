// The device API: what a phone of our own making asks the server outside a
// journey. For now one question: is anything waiting for me?

import { nonce } from './bytes.js';
import { post } from './mosaic.js';

/**
 * @typedef {object} Waiting a request as the phone's owner sees it
 * @property {string} id
 * @property {string} app
 * @property {string} client
 * @property {string} place
 * @property {string} browser
 * @property {string} at          RFC 3339
 * @property {string} expires_at  RFC 3339
 * @property {'off' | 'type-2' | 'type-6' | 'choose-4'} number_mode
 * @property {Record<string, unknown>} approval_data
 */

/** The server does not know this phone, or refuses it. */
export class Refused extends Error {}

/**
 * Asks for what waits, and waits for it up to `wait` seconds (0 to 25).
 * @param {object} phone
 * @param {string} phone.base
 * @param {string} phone.client
 * @param {import('./keys.js').Key} phone.key
 * @param {import('./mosaic.js').Watch} [phone.watch]
 * @param {number} wait
 * @param {AbortSignal} [signal]
 * @returns {Promise<Waiting[]>}
 */
export async function pending({ base, client, key, watch }, wait, signal) {
  const timestamp = Date.now();
  const once = nonce();
  const signature = await key.sign(['watchword/device/v1', 'pending', client, key.id, timestamp, once].join('\n'));
  const body = { client_id: client, device_key_id: key.id, timestamp, nonce: once, wait, signature };
  const answer = await post(`${base}/device/v1/pending`, body, { name: 'device/v1/pending', watch, signal });
  if (answer.status !== 200) throw new Refused(answer.body.message ?? 'The server refused.');
  return answer.body.requests ?? [];
}
