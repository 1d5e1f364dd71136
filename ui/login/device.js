// The key of this browser on the hosted pages: made when a journey binds or trusts
// it, and shown when one asks for it. It is kept for one application and cannot be
// taken out of the browser. Whoever has none is not held up: the journey goes on
// without.

import { available, deviceKey, load } from '../lib/keys.js';
import { refused, stepOf } from './told.js';

/** @typedef {import('./told.js').Step} Step */

/**
 * Says which key this browser has; null if it keeps none. Only a step that enrols
 * has one made.
 * @param {Step} step
 * @param {boolean} make
 * @returns {Promise<import('../lib/keys.js').Key | null>}
 */
export async function introduce({ place, put }, make) {
  if (!available) return null;
  try {
    if (!make && !await load(`${place}/device`)) return null;
    const key = await deviceKey(`${place}/device`);
    put('device_key_id', key.id);
    put('device_public_key', key.spki);
    return key;
  } catch {
    return null; // storing is forbidden here
  }
}

/** @param {HTMLFormElement} form */
export async function begin(form) {
  const step = stepOf(form);
  const registers = form.dataset.act === 'device.register';
  const show = async () => {
    step.go.hidden = true;
    step.say('busy');
    const key = await introduce(step, registers);
    if (!key && !registers) return step.leave('failure'); // a browser that is not known here
    if (!key) {
      step.go.hidden = false;
      return step.say('keyless');
    }
    step.put('platform_device_id', key.id);
    if (registers) step.put('platform_device_key', key.spki);
    else step.put('signature', await key.sign(String(step.told.device_challenge ?? '')));
    step.hand();
  };
  step.go.addEventListener('click', show);
  if (refused()) step.go.hidden = false;
  else await show();
}
