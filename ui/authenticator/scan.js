// Reads a QR code by the camera, where the browser can: what it sees stays here.

import { Cancelled, dialog } from './ask.js';
import { h, t } from './dom.js';

/** Whether this browser can. */
export const canScan = 'BarcodeDetector' in globalThis && Boolean(navigator.mediaDevices?.getUserMedia);

/** @returns {Promise<string>} the text of the first code that is seen */
export async function scan() {
  const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
  const detector = new Detector({ formats: ['qr_code'] });
  /** @type {MediaStream | null} */
  let stream = null;
  let over = false;
  const video = h('video', { class: 'camera', muted: true, playsinline: true, 'aria-label': t('scan.camera') });
  const looks = dialog(t('scan.title'), (/** @type {(s: string) => void} */ done) => {
    const problem = h('p', { class: 'problem', role: 'alert' });
    (async () => {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      if (over) return stop();
      video.srcObject = stream;
      await video.play();
      const look = async () => {
        if (over) return;
        const [found] = await detector.detect(video).catch(() => []);
        if (found?.rawValue) return done(found.rawValue);
        setTimeout(look, 200);
      };
      look();
    })().catch(() => { problem.textContent = t('scan.denied'); });
    return [video, h('p', {}, t('scan.text')), problem];
  });
  const stop = () => { over = true; for (const track of stream?.getTracks() ?? []) track.stop(); };
  try {
    return await looks;
  } finally {
    stop();
  }
}

export { Cancelled };
