// Whoever sits before this browser, on the hosted pages: the platform looks at a
// finger or a face, or a PIN is typed, and a key signs the challenge. The keys are
// those of the phone app (lib/owner.js); the server knows them by the key of this
// browser. What is kept here is found by the name that the prompt gives its user, so
// several people may share a browser. No PIN is posted.

import { load, save, forget } from '../lib/keys.js';
import { NotOwner, makePIN, makePasskey, platform, signPIN, signPasskey, weakPIN } from '../lib/owner.js';
import { introduce } from './device.js';
import { stepOf } from './told.js';

/** @typedef {import('./told.js').Step} Step */

/** @param {HTMLFormElement} form */
export async function begin(form) {
  const step = stepOf(form);
  const [kind = '', act = ''] = (form.dataset.act ?? '').split('.');
  const at = `${step.place}/${kind}/${step.told.user_identifier ?? ''}`;
  const does = act === 'register' ? enrol : act === 'delete' ? remove : sign;
  let busy = false;
  const run = async () => {
    if (busy) return;
    busy = step.go.disabled = true;
    step.say('');
    blame(form, '');
    try {
      const trouble = await does(step, kind, at);
      if (!trouble) return step.hand();
      step.say(trouble);
      blame(form, trouble);
    } catch (err) {
      if (!(err instanceof NotOwner)) console.warn(err);
      step.say('refused');
    }
    busy = step.go.disabled = false;
  };
  form.addEventListener('submit', (e) => {
    e.preventDefault();
    run();
  });
  const trouble = await missing(step, kind, act, at);
  if (trouble) {
    step.say(trouble);
    for (const e of form.querySelectorAll('[data-scripted]')) if (e instanceof HTMLElement) e.hidden = true;
    return;
  }
  step.go.hidden = false;
  if (kind === 'pin') pin(form).focus();
}

/**
 * What keeps this browser from answering, or ''.
 * @param {Step} step
 * @param {string} kind
 * @param {string} act
 * @param {string} at
 */
async function missing(step, kind, act, at) {
  if (act === 'delete') return '';
  const registers = act === 'register';
  if (registers && kind === 'biometric' && !await platform()) return 'none';
  if (!registers && !await load(at).catch(() => null)) return 'elsewhere';
  return await introduce(step, registers) ? '' : 'keyless';
}

/** @param {HTMLFormElement} form @param {string} [id] */
const pin = (form, id = 'pin') => /** @type {HTMLInputElement} */ (form.querySelector(`#${id}`));

/** Marks the field that is to be typed anew and puts the cursor there. @param {HTMLFormElement} form @param {string} trouble */
function blame(form, trouble) {
  const bad = { short: 'pin', weak: 'pin', differs: 'again' }[trouble];
  for (const id of ['pin', 'again']) {
    const field = form.querySelector(`#${id}`);
    if (!(field instanceof HTMLInputElement)) continue;
    field.toggleAttribute('aria-invalid', false);
    if (id === 'again') field.removeAttribute('aria-describedby');
    else if (form.querySelector('#pin-help')) field.setAttribute('aria-describedby', 'pin-help');
    if (id !== bad) continue;
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-describedby', `pin-${trouble}`);
    field.focus();
    field.select();
  }
}

/**
 * Makes the key of an owner, and keeps what finds it again.
 * @param {Step} step
 * @param {string} kind
 * @param {string} at
 */
async function enrol({ form, told, put }, kind, at) {
  let made;
  if (kind === 'pin') {
    const typed = pin(form).value;
    if (!/^\d+$/.test(typed) || typed.length < (told.pin_policy?.min_length ?? 4)) return 'short';
    if (weakPIN(typed)) return 'weak';
    if (typed !== pin(form, 'again').value) return 'differs';
    made = await makePIN(typed);
  } else {
    made = await makePasskey({ name: document.querySelector('.who')?.textContent || form.dataset.name || location.hostname, rp: form.dataset.name });
  }
  const { owner, said } = made;
  put('publicKeyId', said.id);
  put('publicKey', said.public_key);
  put('os', 'web');
  if (said.origin) {
    put('format', 'webauthn');
    put('origin', said.origin);
  }
  await save(at, owner);
  return '';
}

/**
 * @param {Step} step
 * @param {string} kind
 * @param {string} at
 */
async function sign({ form, told, put }, kind, at) {
  const owner = /** @type {import('../lib/owner.js').Owner} */ (await load(at));
  put('publicKeyId', owner.id);
  if (kind === 'pin') put('signature', await signPIN(owner, pin(form).value, String(told.pin_challenge)));
  else put('signedChallenge', await signPasskey(owner, String(told.biometrics_challenge)));
  return '';
}

/** @param {Step} _ @param {string} __ @param {string} at */
async function remove(_, __, at) {
  await forget(at).catch(() => {});
  return '';
}
