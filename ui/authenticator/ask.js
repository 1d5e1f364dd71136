// What the app asks its owner in the middle of something: a PIN, a form of a
// journey, whether they mean it. Each is a dialog that answers once.

import { h, icon, t } from './dom.js';
import { NotOwner, makePIN, makePasskey, platform, signPIN, signPasskey, weakPIN } from '/lib/owner.js';

/** @typedef {import('/lib/owner.js').Owner} Owner */
/** @typedef {import('./api.js').Prompt} Prompt */

/** The owner went another way; nothing is wrong. */
export class Cancelled extends Error {}

/**
 * Shows a dialog until done is called. Closing it is Cancelled.
 * @template T
 * @param {string} title
 * @param {(done: (answer: T) => void, dialog: HTMLDialogElement) => (Node | string | null | false)[]} build
 * @returns {Promise<T>}
 */
export function dialog(title, build) {
  return new Promise((resolve, reject) => {
    const d = h('dialog', { class: 'sheet', 'aria-labelledby': 'sheet-title' });
    let answered = false;
    const done = (/** @type {T} */ answer) => { answered = true; resolve(answer); d.close(); };
    d.append(h('header', {}, h('h2', { id: 'sheet-title', tabindex: '-1' }, title),
      h('button', { type: 'button', class: 'round', 'aria-label': t('close'), onclick: () => d.close() }, icon('no'))));
    for (const c of build(done, d)) if (c) d.append(c);
    d.addEventListener('close', () => { d.remove(); if (!answered) reject(new Cancelled()); });
    document.body.append(d);
    d.showModal();
    /** @type {HTMLElement | null} */ (d.querySelector('[autofocus]') ?? d.querySelector('h2'))?.focus();
  });
}

/**
 * @param {string} title
 * @param {string} text
 * @param {string} yes
 * @returns {Promise<true>}
 */
export const sure = (title, text, yes) => dialog(title, (done) => [
  h('p', {}, text), h('div', { class: 'stack' }, h('button', { type: 'button', class: 'button primary', autofocus: true, onclick: () => done(true) }, yes)),
]);

/** A labelled field. @param {string} label @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input @param {string} [help] */
export function field(label, input, help) {
  input.id ||= `f-${input.name}`;
  const problem = h('p', { class: 'problem', id: `${input.id}-problem`, role: 'alert' });
  input.setAttribute('aria-describedby', problem.id);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, help && h('p', { class: 'hint' }, help), problem);
}

/** Says what is wrong with a field, or nothing. @param {HTMLElement} input @param {string} words */
export function complain(input, words) {
  input.setAttribute('aria-invalid', String(Boolean(words)));
  const p = document.getElementById(`${input.id}-problem`);
  if (p) p.textContent = words;
  if (words) input.focus();
  return Boolean(words);
}

const pinInput = (/** @type {string} */ name, /** @type {boolean} */ first) => h('input', {
  name, type: 'password', inputmode: 'numeric', autocomplete: 'off', maxlength: 32, class: 'pin', autofocus: first,
});

/** Asks for the PIN. @param {string} [problem] @returns {Promise<string>} */
export function askPIN(problem = '') {
  return dialog(t('pin.enter'), (done) => {
    const input = pinInput('pin', true);
    const form = h('form', { class: 'stack', onsubmit: (/** @type {Event} */ e) => { e.preventDefault(); if (!complain(input, input.value ? '' : t('pin.missing'))) done(input.value); } },
      field(t('pin.label'), input), h('button', { class: 'button primary' }, t('go')));
    input.addEventListener('focus', () => problem && complain(input, problem), { once: true });
    return [form];
  });
}

/** Has a new PIN chosen. @param {number} least digits @returns {Promise<string>} */
export function choosePIN(least) {
  return dialog(t('pin.choose'), (done) => {
    const [input, again] = [pinInput('pin', true), pinInput('again', false)];
    const check = (/** @type {Event} */ e) => {
      e.preventDefault();
      const pin = input.value;
      const weak = !/^\d+$/.test(pin) || pin.length < least ? t('pin.short', { n: least }) : weakPIN(pin) ? t('pin.weak') : '';
      if (complain(input, weak) || complain(again, again.value === pin ? '' : t('pin.differs'))) return;
      done(pin);
    };
    return [h('p', {}, t('pin.why')), h('form', { class: 'stack', onsubmit: check }, field(t('pin.label'), input, t('pin.short', { n: least })), field(t('pin.again'), again), h('button', { class: 'button primary' }, t('pin.set')))];
  });
}

/**
 * Makes what proves the owner: the platform's key where there is one and the server
 * takes it, a PIN otherwise.
 * @param {Record<string, {min_length: number}>} owners  what the server takes
 * @param {string} name  shown by the system
 * @param {'pin' | 'biometric'} [wanted]
 */
export async function makeOwner(owners, name, wanted) {
  if (owners.biometric && wanted !== 'pin' && await platform()) {
    try {
      return await makePasskey({ name });
    } catch (err) {
      if (!(err instanceof NotOwner) || !owners.pin || wanted) throw err;
      await sure(t('owner.nofinger'), t('owner.pininstead'), t('pin.choose'));
    }
  }
  if (!owners.pin) throw new NotOwner();
  return makePIN(await choosePIN(owners.pin.min_length || 6));
}

/**
 * Has the owner sign a challenge.
 * @param {Owner} owner
 * @param {string} challenge
 * @param {string} [problem]  with the PIN that was entered before
 */
export async function sign(owner, challenge, problem) {
  if (owner.kind === 'biometric') {
    try {
      return await signPasskey(owner, challenge);
    } catch (err) {
      if (!(err instanceof NotOwner)) throw err; // closed by mistake, or the system wants to be asked by a hand
      await sure(t('owner.again'), t('owner.againtext'), t('go'));
      return signPasskey(owner, challenge);
    }
  }
  return signPIN(owner, await askPIN(problem), challenge);
}

/** @param {Owner} owner @returns {(challenge: string) => Promise<{kind: string, id: string, signature: string}>} */
export const confirm = (owner) => async (challenge) => ({ kind: owner.kind, id: owner.id, signature: await sign(owner, challenge) });

/** Says where a code went; of somebody who is not proven, no more than they typed. @param {Prompt} prompt */
function whither({ kind, sent }) {
  if (!kind.startsWith('code.')) return '';
  return sent ? t(sent.sure ? 'sent.to' : 'sent.for', { address: sent.to }) : t('sent');
}

/**
 * Draws what a journey asks, whatever it is.
 * @param {Prompt} prompt
 * @param {string} problem
 * @returns {Promise<{option?: string, data?: Record<string, unknown>}>}
 */
export function askForm(prompt, problem) {
  return dialog(prompt.title || t('form.title'), (done) => {
    const inputs = (prompt.fields ?? []).map((f, i) => {
      const first = i === 0;
      const input = f.choices ? h('select', { name: f.name, autofocus: first }, f.choices.map((c) => h('option', { value: c }, c)))
        : h('input', { name: f.name, autofocus: first, required: f.required, maxlength: 2000, type: f.type === 'secret' ? 'password' : /mail/.test(f.name) ? 'email' : 'text', inputmode: /code|otp/.test(f.name) ? 'numeric' : false, autocomplete: /code|otp/.test(f.name) ? 'one-time-code' : /mail/.test(f.name) ? 'email' : 'off' });
      return { input, row: field(f.label, input) };
    });
    const send = (/** @type {Event} */ e) => {
      e.preventDefault();
      done({ data: Object.fromEntries(inputs.map(({ input }) => [input.name, input.value.trim()])) });
    };
    const text = prompt.text || whither(prompt);
    return [text ? h('p', {}, text) : null, h('p', { class: 'problem', role: 'alert' }, problem),
      h('form', { class: 'stack', onsubmit: send }, inputs.map((i) => i.row), h('button', { class: 'button primary', autofocus: inputs.length === 0 }, prompt.button || t('go'))),
      h('div', { class: 'stack' }, (prompt.options ?? []).filter((o) => o.id !== 'failure').map((o) => h('button', { type: 'button', class: 'button', onclick: () => done({ option: o.id }) }, o.label)))];
  });
}
