// The phone app reads QR codes by a camera that plays a film: the links that the
// server hands out, codes of other services, and what is neither; and of pictures.
// Chromium on Linux has no reader of its own, so that ours is at work.
//
//   WATCHWORD_BIN, CHROMIUM, SHOTS, ONLY: as in authenticator.spec.mjs

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { film, modulesOf, picture, png } from '../qr/picture.mjs';
import { PIN, asks, choosePIN, ends, enterPIN, good, launch, leave, phone, run, said, server, somebody } from './phone.mjs';

const qrcode = createRequire(new URL('../node/package.json', import.meta.url))('qrcode-generator');
const OTP = 'otpauth://totp/Harbour%20Bank:ada@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Harbour%20Bank';

const folder = mkdtempSync(join(tmpdir(), 'watchword-film-'));
const reel = join(folder, 'camera.y4m');

/** What the camera sees from now on, each for a second. It looks again when it is opened. */
function sees(...codes) {
  const shots = codes.map((c, i) => c && picture(c, { turn: 20 + 50 * i, tilt: 25, towards: 70, module: Math.min(9, 300 / (c.n + 8)), noise: 8, blur: 0.6, light: 0.3, seed: i }));
  const wall = picture({ n: 1, dark: [0] }, { module: 1 });
  writeFileSync(`${reel}.next`, film(shots.flatMap((s) => Array.from({ length: 5 }, () => s ?? wall)), 5));
  renameSync(`${reel}.next`, reel);
}

/** The code of a text by another encoder than ours. */
function codeOf(text) {
  const q = qrcode(0, 'M');
  q.addData(text, 'Byte');
  q.make();
  const n = q.getModuleCount();
  return { n, dark: Uint8Array.from({ length: n * n }, (_, i) => (q.isDark(Math.floor(i / n), i % n) ? 1 : 0)) };
}

/** A phone with a camera, on the host where it uses a PIN. */
async function cameraPhone(browser, w, { camera = true, ...how } = {}) {
  const page = await phone(browser, w, { finger: false, base: w.base, ...how });
  if (camera) await page.context().grantPermissions(['camera'], { origin: w.base });
  return page;
}

async function toScan(page) {
  await page.goto(`${page.base}/authenticator/`);
  await page.click('main button >> text=Add an account');
  await page.click('text=Scan a QR code');
}

const invite = (w, user) => w.call('POST', `/v1/users/${user.id}/phones/invitations`, {});

const scenarios = {
  async 'a link of the server by the camera, after codes that are none of ours; then an approval'(browser, w) {
    const user = await somebody(w);
    const { qr } = await invite(w, user);
    sees(null, codeOf('https://example.org/menu'), codeOf(OTP));
    const page = await cameraPhone(browser, w);
    const loaded = [];
    page.on('request', (r) => loaded.push(new URL(r.url()).pathname));
    await page.goto(`${page.base}/authenticator/`);
    await page.click('main button >> text=Add an account');
    assert.deepEqual(loaded.filter((p) => p.includes('/qr/')), [], 'the reader is not loaded before it is needed');
    await page.click('text=Scan a QR code');
    await page.waitForSelector('dialog .problem >> text=That is not a Watchword code.');
    await good(page, 'scan');
    await page.waitForSelector('dialog .problem >> text=That QR code is for your codes.');
    await page.keyboard.press('Escape');
    sees(codeOf('https://example.org/menu'), modulesOf(qr)); // what is none of ours does not end it
    await page.click('text=Scan a QR code');
    await page.click('text=Set up this phone');
    await choosePIN(page, PIN);
    await said(page, 'This phone answers for Northwind Coffee now.');
    assert.equal(await page.evaluate(() => document.querySelectorAll('video').length), 0);
    const web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await enterPIN(page);
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success');
    await leave(page);
  },

  async 'a code of another service, without a network'(browser, w) {
    const page = await cameraPhone(browser, w);
    await page.goto(`${page.base}/authenticator/`);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await page.reload();
    await page.context().setOffline(true);
    sees(modulesOf((await invite(w, await somebody(w))).qr), codeOf(OTP));
    await page.click('nav >> text=Codes');
    await page.click('text=Add a code');
    await page.click('text=Scan a QR code');
    await page.waitForSelector('dialog .problem >> text=That QR code adds an account.');
    await page.waitForSelector('.entry >> text=Harbour Bank');
    await page.waitForFunction(() => /^\d{3} \d{3}$/.test(document.querySelector('button.code')?.textContent ?? ''));
    await leave(page);
  },

  async 'not allowed, then a picture'(browser, w) {
    const { qr } = await invite(w, await somebody(w));
    const page = await cameraPhone(browser, w, { camera: false });
    await toScan(page);
    await page.waitForSelector('dialog .problem >> text=The camera is not allowed.');
    assert.ok(!await page.isVisible('video'));
    await good(page, 'scan-denied');
    const choose = (name, shot) => page.setInputFiles('dialog input[type=file]', { name, mimeType: 'image/png', buffer: png(shot) });
    await choose('wall.png', picture({ n: 1, dark: [0] }, { width: 300, height: 200, module: 1 }));
    await page.waitForSelector('dialog .problem >> text=No QR code can be read in that picture.');
    await page.setInputFiles('dialog input[type=file]', { name: 'letter.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    await page.waitForSelector('dialog .problem >> text=No QR code can be read in that picture.');
    await choose('menu.png', picture(codeOf('https://example.org/menu'), { width: 1200, height: 900, module: 8, turn: 9 }));
    await page.waitForSelector('dialog .problem >> text=That is not a Watchword code.');
    await choose('link.png', picture(modulesOf(qr), { width: 1600, height: 1200, module: 6, turn: 12, tilt: 20, towards: 30, noise: 8 })); // a small code in a large picture
    await page.waitForSelector('text=Set up this phone');
    await leave(page);
  },

  async 'no camera, one that is in use, a camera with a light'(browser, w) {
    const page = await cameraPhone(browser, w);
    for (const [name, words] of [['NotFoundError', 'There is no camera here.'], ['NotReadableError', 'Another app uses the camera.'], ['OverconstrainedError', 'There is no camera here.']]) {
      await page.goto('about:blank');
      await page.addInitScript((e) => { if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', e); }; }, name);
      await toScan(page);
      await page.waitForSelector(`dialog .problem >> text=${words}`);
      if (name === 'NotFoundError') await good(page, 'scan-none');
    }
    await leave(page);

    const lit = await cameraPhone(browser, w);
    await lit.addInitScript(() => {
      window.torch = [];
      MediaStreamTrack.prototype.getCapabilities = () => ({ torch: true });
      MediaStreamTrack.prototype.applyConstraints = async ({ advanced }) => { window.torch.push(advanced[0].torch); };
    });
    sees(null);
    await toScan(lit);
    const light = lit.locator('dialog button', { hasText: 'Light' });
    await light.click();
    await lit.waitForSelector('dialog button[aria-pressed=true]');
    await good(lit, 'scan-light');
    await light.click();
    await lit.waitForSelector('dialog button[aria-pressed=false]');
    assert.deepEqual(await lit.evaluate(() => window.torch), [true, false]);
    const tracks = await lit.evaluate(() => { window.track = document.querySelector('video').srcObject.getTracks()[0]; return window.track.readyState; });
    assert.equal(tracks, 'live');
    await lit.keyboard.press('Escape');
    await lit.waitForFunction(() => window.track.readyState === 'ended');
    await leave(lit);
  },

  async 'the browser\'s own reader is used where there is one, and ours where it fails'(browser, w) {
    const { qr } = await invite(w, await somebody(w));
    for (const works of [true, false]) {
      sees(works ? null : modulesOf(qr));
      const page = await cameraPhone(browser, w);
      const loaded = [];
      page.on('request', (r) => loaded.push(new URL(r.url()).pathname));
      await page.addInitScript((link) => {
        globalThis.BarcodeDetector = class {
          static async getSupportedFormats() { return ['qr_code']; }
          async detect() {
            if (!link) throw new DOMException('', 'NotSupportedError');
            return [{ rawValue: link }];
          }
        };
      }, works ? (await invite(w, await somebody(w))).link : '');
      await toScan(page);
      await page.waitForSelector('text=Set up this phone');
      assert.equal(loaded.some((p) => p.includes('/qr/')), !works);
      await leave(page);
    }
  },
};

const w = await server();
sees(null);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
await run('scan', scenarios, w, await launch('--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${reel}`));
