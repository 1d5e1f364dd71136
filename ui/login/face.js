// A face before the camera, on the hosted pages. Nothing is switched on before the
// user says so; what is seen leaves the browser only as the few pictures that the
// prompt asks for, drawn anew, and the camera is off when they are taken or the page
// is left. Who has no camera, or forbids it, is told what to do.

import { base64 } from '../lib/bytes.js';
import { stepOf } from './told.js';

/** @typedef {import('./told.js').Step} Step */

const EDGE = 640; // pixels of a picture's longer edge
const LOOK = 1500; // ms for looking straight
const MOVE = 2500; // ms for doing what is asked
const DARK = 24; // mean brightness, of 255, below which nobody is seen

/** @param {HTMLFormElement} form */
export function begin(form) {
  const step = stepOf(form);
  const camera = /** @type {HTMLElement} */ (form.querySelector('[data-camera]'));
  const video = /** @type {HTMLVideoElement} */ (form.querySelector('video'));
  const cue = /** @type {HTMLElement} */ (form.querySelector('[data-cue]'));
  const agree = form.elements.namedItem('consent');
  /** @type {MediaStream | null} */
  let stream = null;
  let next = on;
  let busy = false;

  const off = () => {
    for (const t of stream?.getTracks() ?? []) t.stop();
    stream = video.srcObject = null;
    camera.hidden = true;
  };
  /** @param {string} what @param {() => Promise<void>} then @param {string} [button] */
  const stop = (what, then, button) => {
    step.say(what);
    step.go.textContent = button ?? '';
    next = then;
  };

  async function on() {
    try {
      if (!navigator.mediaDevices) throw new DOMException('', 'NotFoundError');
      stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: 'user', width: { ideal: 640 }, height: { ideal: 480 } } });
      video.srcObject = stream;
      camera.hidden = false;
      cue.textContent = camera.dataset.straight ?? '';
      await video.play();
    } catch (err) {
      off();
      const name = err instanceof DOMException ? err.name : '';
      return stop(name === 'NotAllowedError' || name === 'SecurityError' ? 'denied' : name === 'NotReadableError' || name === 'AbortError' ? 'taken' : 'none', on, step.go.dataset.again);
    }
    for (const t of stream.getTracks()) t.addEventListener('ended', () => { off(); stop('none', on, step.go.dataset.again); });
    stop('', take, step.go.dataset.ready);
  }

  async function take() {
    const pictures = [];
    for (const move of ['straight', ...(step.told.moves ?? [])]) {
      cue.textContent = camera.dataset[move] ?? '';
      await pause(move === 'straight' ? LOOK : MOVE);
      if (!stream) return; // it was unplugged, and that was said
      const drawn = draw(video, video.videoWidth, video.videoHeight);
      if (brightness(drawn) < DARK) return stop('dark', take, step.go.dataset.again);
      pictures.push(await jpeg(drawn));
    }
    cue.textContent = camera.dataset.sending ?? '';
    await send(pictures, take);
  }

  /** @param {string[]} images @param {() => Promise<void>} again */
  async function send(images, again) {
    const trouble = await capture(step.told, images);
    if (!trouble) {
      off();
      step.put('face_session_id', String(step.told.face_session_id));
      return step.hand();
    }
    cue.textContent = camera.dataset.straight ?? '';
    if (trouble !== 'expired') return stop(trouble, again, step.go.dataset.again);
    off();
    stop(trouble, anew, step.go.dataset.anew);
  }

  const anew = async () => step.leave('resend');

  step.go.hidden = false;
  step.go.addEventListener('click', async () => {
    if (busy || next !== anew && agree instanceof HTMLInputElement && !agree.reportValidity()) return;
    busy = true;
    step.go.setAttribute('aria-disabled', 'true');
    step.say('');
    await next();
    step.go.removeAttribute('aria-disabled');
    busy = false;
  });
  form.querySelector('#photo')?.addEventListener('change', async (e) => {
    const input = /** @type {HTMLInputElement} */ (e.target);
    const file = input.files?.[0];
    if (!file || agree instanceof HTMLInputElement && !agree.reportValidity()) return;
    step.say('');
    const seen = await createImageBitmap(file).catch(() => null);
    input.value = '';
    if (!seen) return stop('noface', next, step.go.textContent ?? '');
    await send([await jpeg(draw(seen, seen.width, seen.height))], next); // drawn anew: where and when it was taken stays here
  });
  const left = Number(form.dataset.left) * 1000;
  setTimeout(() => {
    if (busy) return;
    off();
    stop('expired', anew, step.go.dataset.anew);
  }, left);
  addEventListener('pagehide', off);
}

/** @param {number} ms */
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** @param {CanvasImageSource} from @param {number} width @param {number} height */
function draw(from, width, height) {
  const scale = Math.min(1, EDGE / Math.max(width, height, 1));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext('2d')?.drawImage(from, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas the mean of its green, which is most of what we see */
function brightness(canvas) {
  const small = document.createElement('canvas');
  small.width = small.height = 16;
  const c = small.getContext('2d');
  c?.drawImage(canvas, 0, 0, 16, 16);
  const pixels = c?.getImageData(0, 0, 16, 16).data ?? [];
  let sum = 0;
  for (let i = 1; i < pixels.length; i += 4) sum += pixels[i] ?? 0;
  return sum / 256;
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<string>} base64 */
async function jpeg(canvas) {
  const blob = await new Promise((done) => { canvas.toBlob(done, 'image/jpeg', 0.85); });
  return base64(await /** @type {Blob} */ (blob).arrayBuffer());
}

/**
 * Hands pictures in, to this very server wherever the prompt says it is.
 * @param {Record<string, any>} told
 * @param {string[]} images
 * @returns {Promise<string>} what went wrong, or ''
 */
async function capture(told, images) {
  try {
    const path = new URL(String(told.capture_url), location.href).pathname;
    const r = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ start_token: told.start_token, images }) });
    if (r.ok) return '';
    const said = await r.json();
    const code = said.ts_error_code ?? said.error_code;
    return code === 'auth_face_no_face' ? 'noface' : code === 'auth_challenge_expired' || code === 'face_session_not_found' ? 'expired' : 'broken';
  } catch {
    return 'broken';
  }
}
