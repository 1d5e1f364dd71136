// A journey on this phone: what the server asks is answered by keys where a key can
// answer, and by the owner otherwise. Which journey it is, the server knows.

import { pause } from '/lib/page.js';
import { call } from './api.js';
import { Cancelled, askForm, choosePIN, dialog, sign } from './ask.js';
import { h, t, tile } from './dom.js';
import { NotOwner, makePIN, makePasskey, platform } from '/lib/owner.js';

/** @typedef {import('./api.js').Run} Run */
/** @typedef {import('./api.js').Prompt} Prompt */
/** @typedef {import('/lib/owner.js').Owner} Owner */

/**
 * @typedef {object} Traveller
 * @property {import('./api.js').Speaker} phone
 * @property {{name: string, platform: string}} about
 * @property {Owner | null} owner   made on the way, when the phone is being set up
 * @property {string} [request]     that is answered
 */

/**
 * Goes on until the journey ends.
 * @param {Traveller} who
 * @param {Run} run
 * @returns {Promise<Run>}
 */
export async function travel(who, run) {
  let session = run.session;
  let tries = 0;
  while (run.prompt && !run.end) {
    if (run.prompt.poll && !run.prompt.fields?.length && !run.problem) {
      run = await waitOut(who, run, session);
    } else {
      const said = await answer(who, run.prompt, run.problem?.error === 'wrong' ? t('owner.wrong') : run.problem?.message ?? '', tries);
      run = await go(who, run, session, said);
    }
    session = run.session || session;
    tries++;
  }
  return run;
}

/**
 * @param {Traveller} who
 * @param {Run} run
 * @param {string | undefined} session
 * @param {{option?: string, data?: Record<string, unknown>}} said
 * @param {AbortSignal} [signal]
 * @returns {Promise<Run>}
 */
const go = (who, run, session, said, signal) => call(who.phone, 'continue', {
  session, visit: run.visit, turn: run.turn, phone: who.about, ...(who.request && { request: who.request }), ...said,
}, { stranger: true, signal });

/**
 * @param {Traveller} who
 * @param {Prompt} prompt
 * @param {string} problem
 * @param {number} tries
 * @returns {Promise<{option?: string, data?: Record<string, unknown>}>}
 */
async function answer(who, prompt, problem, tries) {
  const may = (/** @type {string} */ id) => prompt.options?.some((o) => o.id === id);
  const { key } = who.phone;
  switch (prompt.kind) {
    case 'device.register':
      return { data: { platform_device_id: key.id, platform_device_key: key.spki } };
    case 'device.validate':
      return { data: { platform_device_id: key.id, signature: await key.sign(prompt.data?.device_challenge) } };
    case 'biometric.register': {
      if (!(await platform())) return { option: may('pin') ? 'pin' : 'failure' };
      try {
        const { owner, said } = await makePasskey({ name: who.about.name });
        who.owner = owner;
        return { data: { publicKeyId: said.id, publicKey: said.public_key, os: 'web', format: 'webauthn', origin: said.origin } };
      } catch (err) {
        if (!(err instanceof NotOwner)) throw err;
        return { option: may('pin') ? 'pin' : 'failure' };
      }
    }
    case 'pin.register': {
      const { owner, said } = await makePIN(await choosePIN(prompt.data?.pin_policy?.min_length ?? 6));
      who.owner = owner;
      return { data: { publicKeyId: said.id, publicKey: said.public_key, os: 'web' } };
    }
    case 'biometric.authenticate':
    case 'biometric.sign':
      if (who.owner?.kind !== 'biometric' || tries > 5) return { option: 'failure' };
      return { data: { publicKeyId: who.owner.id, signedChallenge: await sign(who.owner, prompt.data?.biometrics_challenge) } };
    case 'pin.authenticate':
    case 'pin.sign':
      if (who.owner?.kind !== 'pin') return { option: 'failure' };
      return { data: { publicKeyId: who.owner.id, signature: await sign(who.owner, prompt.data?.pin_challenge, problem) } };
    case 'push.device': {
      const rows = /** @type {{code: string, name: string}[]} */ (prompt.data?.devices ?? []);
      return { data: { selected_device_code: await dialog(t('enrol.which'), (done) => [h('div', { class: 'stack' }, rows.map((r) => h('button', { type: 'button', class: 'button', onclick: () => done(r.code) }, r.name)))]) } };
    }
  }
  return askForm(prompt, problem);
}

/**
 * Another phone is asked: shows its number until something is new.
 * @param {Traveller} who
 * @param {Run} run
 * @param {string | undefined} session
 * @returns {Promise<Run>}
 */
async function waitOut(who, run, session) {
  const stop = new AbortController();
  const number = String(run.prompt?.data?.number ?? '');
  let news = run;
  const waits = dialog(run.prompt?.title || t('form.title'), (done) => {
    (async () => {
      const visit = run.visit;
      while (news.visit === visit && !news.end) {
        const since = Date.now();
        news = await go(who, news, session, {}, stop.signal);
        await pause(Math.max(0, 1000 - (Date.now() - since)));
      }
      done(news);
    })().catch((err) => { if (!stop.signal.aborted) done(Promise.reject(err)); });
    return [number && h('div', { class: 'center' }, tile(number)), h('p', {}, number ? t('enrol.other', { device: run.prompt?.data?.device_display_name ?? '', n: number.split('').join(' ') }) : run.prompt?.text ?? '')];
  });
  try {
    return await waits;
  } catch (err) {
    stop.abort();
    if (err instanceof Cancelled) await go(who, news, session, { option: 'cancel' }).catch(() => {}); // what is left behind runs out by itself
    throw err;
  }
}
