// A small client of the Mosaic protocol, the one that the published SDKs speak:
// start a journey, answer its steps, hear how it ends (mosaic-protocol 2). It
// has no page and no opinion; who uses it draws the steps.

import { nonce } from './bytes.js';
import { NetworkError, post } from './post.js';

export { NetworkError, post };

/** @typedef {import('./keys.js').Key} Key */
/** @typedef {import('./post.js').Message} Message */
/** @typedef {import('./post.js').Watch} Watch */

/**
 * @typedef {object} Escape a way out of a step besides answering it
 * @property {string} id
 * @property {string} display_name
 */

/**
 * What the server says, as an app sees it.
 * @typedef {object} Reply
 * @property {'pending' | 'success' | 'rejection'} state
 * @property {string} step      type of the step on the wire; '' at the end
 * @property {string} form      a form's id, else ''
 * @property {Record<string, any>} data  what the step shows
 * @property {Escape[]} escapes
 * @property {{code: number, message: string} | null} problem  with the last answer
 * @property {string} token     JWT of a success, else ''
 * @property {string} reason    machine-readable reason of a rejection, else ''
 * @property {string} message   words for a rejection, else ''
 * @property {number} status    of the HTTP answer
 */

/**
 * @typedef {object} Options
 * @property {string} base      where the server is, without a slash at the end
 * @property {string} client    client id
 * @property {Key | null} key   device key; null where none can be kept
 * @property {Record<string, string | object>} [device]  what the device says about itself
 * @property {string} [locale]
 * @property {Watch} [watch]
 */

/** The steps that the client answers by itself (mosaic-protocol 2.7). */
const AUTOMATIC = ['transmit_platform_device_registration', 'transmit_platform_device_validation'];

/** The steps whose input travels as "data" (mosaic-protocol 2.6). */
const SENDS_DATA = /^transmit_platform_(mobile_approve_authentication|(email|sms|generic)_otp_authentication|(email|sms)_validation|select_organization|transaction_signing_webauthn|web_authn_registration)$/;

/** One journey. Use it once: start or approve, then answer until it ends. */
export class Journey {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.correlation = nonce();
    /** @type {{uid?: string, sid?: string, did?: string}} */
    this.names = {};
    this.fch = '';
    /** @type {Record<string, any>} */
    this.flow = {};
    /** @type {Reply | null} */
    this.last = null;
  }

  /**
   * Starts a client journey.
   * @param {string} journey
   * @param {Record<string, unknown>} [params]
   */
  start(journey, params) {
    return this.#begin('auth/anonymous_invoke', { policy_request_id: journey, ...(params && { params }) }, [], journey);
  }

  /**
   * Starts the journey that answers a request on the phone (mosaic-protocol
   * 5.3). Which journey that is, the server knows from the request.
   * @param {string} request
   */
  async approve(request) {
    const { key } = this.options;
    if (!key) throw new Error('a phone needs a device key');
    const header = { type: 'mobile_approve', mobile_approve: { request_id: request, request_id_signature: await key.sign(request) } };
    return this.#begin('auth/mobile_approve', { params: {} }, [header], 'approve');
  }

  /**
   * Answers the current step; without input it asks whether there is news.
   * @param {Record<string, unknown>} [input]
   * @param {AbortSignal} [signal]
   */
  submit(input, signal) {
    const step = this.last?.step ?? '';
    const data = SENDS_DATA.test(step);
    return this.#assert(data ? 'data' : 'action', input === undefined ? {} : { [data ? 'data' : 'input']: input }, signal);
  }

  /**
   * Leaves the step by one of its escapes.
   * @param {string} id
   * @param {Record<string, unknown>} [params]
   */
  escape(id, params) {
    return this.#assert('escape', { data: { escape_id: id, ...(params && { escape_params: params }) } });
  }

  /** Has the server send the message of this step again. */
  resend() {
    return this.#assert('resend', {});
  }

  /**
   * @param {string} op
   * @param {Record<string, unknown>} data
   * @param {object[]} headers
   * @param {string} as name for whoever watches
   * @returns {Promise<Reply>}
   */
  async #begin(op, data, headers, as) {
    data.collection_result = { metadata: { timestamp: Date.now() }, content: {} };
    const answer = await this.#post(op, data, headers, `${op} ${as}`);
    for (const h of answer.body.headers ?? []) {
      this.names.uid = h.uid ?? this.names.uid;
      this.names.sid = h.session_id ?? this.names.sid;
      this.names.did = h.device_id ?? this.names.did;
    }
    return this.#take(answer);
  }

  /**
   * @param {'action' | 'data' | 'escape' | 'resend'} kind
   * @param {Record<string, unknown>} more
   * @param {AbortSignal} [signal]
   * @returns {Promise<Reply>}
   */
  async #assert(kind, more, signal) {
    const action = this.last?.step ?? '';
    const data = { assertion_id: this.flow.assertion_id, action, assert: kind, ...more, fch: this.fch };
    const what = kind === 'escape' ? /** @type {any} */ (more.data).escape_id : kind === 'resend' ? 'resend' : short(action);
    return this.#take(await this.#post('auth/assert', data, [], `auth/assert ${what}`, signal));
  }

  /**
   * @param {{status: number, body: any}} answer
   * @returns {Promise<Reply>}
   */
  async #take(answer) {
    const d = answer.body.data ?? {};
    this.fch = d.challenge || this.fch;
    const reply = read(answer, this.last);
    if (d.control_flow?.[0]) this.flow = d.control_flow[0];
    this.last = reply;
    if (reply.state === 'pending' && AUTOMATIC.includes(reply.step)) return this.#answerDevice(reply);
    return reply;
  }

  /** @param {Reply} reply */
  async #answerDevice(reply) {
    const { key } = this.options;
    if (!key) throw new Error('this client keeps no device key');
    const registering = reply.step === AUTOMATIC[0];
    const challenge = this.flow.app_data?.challenge ?? this.flow.device_challenge ?? '';
    const device = registering
      ? { platform_device_id: key.id, platform_device_key: key.spki }
      : { platform_device_id: key.id, signature: await key.sign(challenge) };
    return this.#assert('action', { data: { 'ts:idosdk:device': device }, ...(!registering && { input: { device_challenge: challenge } }) });
  }

  /**
   * @param {string} op
   * @param {Record<string, unknown>} data
   * @param {object[]} extra headers of this call only
   * @param {string} name
   * @param {AbortSignal} [signal]
   */
  async #post(op, data, extra, name, signal) {
    const o = this.options;
    const query = new URLSearchParams({ aid: 'default_application', clientId: o.client, locale: o.locale ?? 'en-US' });
    if (this.names.sid) query.set('sid', this.names.sid);
    if (this.names.did) query.set('did', this.names.did);
    /** @type {object[]} */
    const headers = [{ type: 'correlation_id', correlation_id: this.correlation }];
    if (this.names.uid) headers.push({ type: 'uid', uid: this.names.uid });
    if (o.key) headers.push({ type: 'device', device: { device_key_id: o.key.id, device_public_key: o.key.spki, ...o.device } });
    return post(`${o.base}/ido/api/v2/${op}?${query}`, { headers: [...headers, ...extra], data }, { name, watch: o.watch, signal });
  }
}

/**
 * Reads an answer as the SDKs do (mosaic-protocol 2.3): success needs both
 * words, an answer without a step keeps the last one, the rest is a rejection.
 * @param {{status: number, body: any}} answer
 * @param {Reply | null} last
 * @returns {Reply}
 */
function read({ status, body }, last) {
  const d = body.data ?? {};
  const flow = d.control_flow?.[0];
  const problem = d.assertion_error_code ? { code: d.assertion_error_code, message: d.assertion_error_message ?? '' } : null;
  const end = { step: '', form: '', data: d.data ?? {}, escapes: [], problem, token: '', reason: '', message: '', status };
  if (d.state === 'completed' && d.assertions_complete === true) return { ...end, state: 'success', token: d.token ?? '' };
  if (d.state !== 'pending') {
    return { ...end, state: 'rejection', reason: reasonOf(d.failure_data, body.error_code), message: body.error_message ?? '' };
  }
  if (!flow && last) return { ...last, problem, status };
  const { type = '', form_id = '', escapes = [], assertion_id: _, ...data } = flow ?? {};
  return { ...end, state: 'pending', step: type, form: form_id, data, escapes };
}

/**
 * @param {any} failure
 * @param {number} code
 */
function reasonOf(failure, code) {
  const reason = failure?.reason?.type ?? failure?.reason;
  if (typeof reason === 'string') return reason;
  return code === 4001 ? 'session_expired' : 'rejected';
}

/** A step's type without the part that all share. @param {string} step */
function short(step) {
  return step.replace('transmit_platform_', '') || 'answer';
}
