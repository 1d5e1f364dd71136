// Reads a QR code: by the camera, or of a picture that somebody chose. What it sees
// stays on this phone.

import { dialog } from './ask.js';
import { h, t } from './dom.js';

/** @typedef {(of: HTMLCanvasElement, by: CanvasRenderingContext2D) => Promise<string | null>} Reader */

const SIDE = 640; // pixels of the longer side that is looked at
const LARGE = 1600; // of a picture, which is looked at once
const BETWEEN = 120; // ms

/**
 * Shows what the camera sees until a code is seen that is wanted.
 * @param {(text: string) => string | Promise<string>} judge  what is wrong with a code, or ''
 * @returns {Promise<string>} its text
 */
export async function scan(judge) {
  const over = new AbortController();
  try {
    return await dialog(t('scan.title'), (/** @type {(text: string) => void} */ done) => {
      const video = h('video', { class: 'camera', playsinline: true, 'aria-label': t('scan.camera') });
      video.muted = true; // as an attribute it comes too late, and the system would not let it play
      const problem = h('p', { class: 'problem', role: 'alert' });
      const say = (/** @type {string} */ words) => { if (problem.textContent !== words) problem.textContent = words; };
      const light = h('button', { type: 'button', class: 'button', 'aria-pressed': 'false', hidden: true }, t('scan.light'));
      const file = h('input', { type: 'file', accept: 'image/*', hidden: true, 'aria-label': t('scan.picture'), onchange: () => {
        const [picked] = file.files ?? [];
        file.value = ''; // the same one may be chosen again
        if (picked) look(picked, take).then((seen) => seen || say(t('scan.nothing')), () => say(t('scan.nothing')));
      } });
      const take = async (/** @type {string | null} */ text) => {
        if (text === null || over.signal.aborted) return false;
        const wrong = await judge(text);
        if (wrong) say(wrong);
        else done(text);
        return true;
      };
      watch(video, light, take, over.signal).catch((err) => { video.hidden = true; say(t(trouble(err))); });
      return [video, h('p', {}, t('scan.text')), problem, light, file, h('button', { type: 'button', class: 'button', onclick: () => file.click() }, t('scan.picture'))];
    });
  } finally {
    over.abort();
  }
}

/** Why there is no picture. @param {unknown} err */
function trouble(err) {
  const name = err instanceof Error ? err.name : '';
  return { NotAllowedError: 'scan.denied', SecurityError: 'scan.denied', NotReadableError: 'scan.busy', AbortError: 'scan.busy', TypeError: 'trouble.offline' }[name] ?? 'scan.none';
}

/**
 * Looks through the camera until it is over: at the whole picture, and by turns at
 * the middle of it, where a code may be small.
 * @param {HTMLVideoElement} video
 * @param {HTMLButtonElement} light
 * @param {(text: string | null) => Promise<boolean>} take
 * @param {AbortSignal} over
 */
async function watch(video, light, take, over) {
  if (!navigator.mediaDevices) throw new DOMException('', 'NotFoundError');
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1280 }, height: { ideal: 720 } } });
  const stop = () => { for (const track of stream.getTracks()) track.stop(); };
  over.addEventListener('abort', stop);
  if (over.aborted) return stop();
  video.srcObject = stream;
  lamp(stream, light);
  await video.play();
  const read = await reader();
  const { canvas, by } = sheet();
  for (let turn = 0; !over.aborted; turn++) {
    const { videoWidth: w, videoHeight: v } = video;
    const part = turn % 2 ? Math.min(1, SIDE / Math.max(w, v)) : 1;
    if (w && !document.hidden) {
      draw(canvas, by, video, w, v, part, SIDE);
      await take(await read(canvas, by));
    }
    await new Promise((resolve) => { setTimeout(resolve, BETWEEN); });
  }
}

/** Offers the camera's light where it has one. @param {MediaStream} stream @param {HTMLButtonElement} button */
function lamp(stream, button) {
  const [track] = stream.getVideoTracks();
  if (!track || !(/** @type {any} */ (track.getCapabilities?.())?.torch)) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    await track.applyConstraints({ advanced: [/** @type {any} */ ({ torch: on })] }).then(() => button.setAttribute('aria-pressed', String(on)), () => { button.hidden = true; });
  });
}

/** Looks for a code in a picture, at several sizes. @param {Blob} file @param {(text: string | null) => Promise<boolean>} take */
async function look(file, take) {
  const picture = await createImageBitmap(file);
  const read = await reader();
  const { canvas, by } = sheet();
  for (const side of [SIDE, LARGE, SIDE / 2]) {
    draw(canvas, by, picture, picture.width, picture.height, 1, side);
    if (await take(await read(canvas, by))) return true;
  }
  return false;
}

function sheet() {
  const canvas = h('canvas');
  const by = canvas.getContext('2d', { willReadFrequently: true });
  if (!by) throw new Error('no canvas');
  return { canvas, by };
}

/**
 * The middle part of a picture, no larger than side, on white.
 * @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2D} by @param {CanvasImageSource} from @param {number} w @param {number} v @param {number} part @param {number} side
 */
function draw(canvas, by, from, w, v, part, side) {
  const size = Math.min(1, side / Math.max(w * part, v * part));
  canvas.width = Math.max(1, Math.round(w * part * size));
  canvas.height = Math.max(1, Math.round(v * part * size));
  by.fillStyle = '#fff';
  by.fillRect(0, 0, canvas.width, canvas.height);
  by.drawImage(from, w * (1 - part) / 2, v * (1 - part) / 2, w * part, v * part, 0, 0, canvas.width, canvas.height);
}

/** @type {Promise<Reader> | undefined} */
let made;

/** What reads: the browser, where it can, and our own decoder otherwise, loaded only then. */
const reader = () => (made ??= native().then((n) => n ?? own()).catch((err) => { made = undefined; throw err; }));

/** @returns {Promise<Reader | null>} */
async function native() {
  const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
  if (!(await Detector?.getSupportedFormats().catch(() => []))?.includes('qr_code')) return null;
  const detector = new Detector({ formats: ['qr_code'] });
  return (canvas, by) => detector.detect(canvas).then((/** @type {any[]} */ found) => found[0]?.rawValue || null, async () => (await own())(canvas, by));
}

/** @returns {Promise<Reader>} */
async function own() {
  const { read } = await import('./qr/find.js');
  return async ({ width, height }, by) => read(by.getImageData(0, 0, width, height));
}
