// The prompts of the hosted pages that a key of the browser or a camera answers, in
// every state: a trusted browser, a PIN, a finger, a face; and what an operator sets
// for all of them, languages and logos.
//
//   WATCHWORD_BIN=…   the binary to start; without it, `go run ./cmd/watchword`
//   CHROMIUM=…        the browser; default /usr/bin/chromium
//   SHOTS=DIR         keeps a picture of every state
//   ONLY=WORD         runs the scenarios whose name has it

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { FLAGS, accessible, chromium, leave, look, play, shots, title, unscrolled, visit } from './pages.mjs';

let people = 0;
const somebody = () => `q${++people}.${Date.now()}@example.org`;

/** The admin API, as the first administrator calls it. */
async function operator(browser, w) {
  if (w.api) return w.api;
  const page = await visit(browser);
  await page.goto(`${w.base}/login/demo-web/sign_in`);
  w.api = async (method, path, body, match = '*') => {
    const r = await page.evaluate(async ([method, path, body, match]) => {
      const r = await fetch(`/admin/v1${path}`, { method, headers: { 'Content-Type': 'application/json', ...(method !== 'GET' && match && { 'If-Match': match }) }, body: body && JSON.stringify(body) });
      return { status: r.status, etag: r.headers.get('ETag'), doc: await r.json().catch(() => null) };
    }, [method, path, body, match]);
    w.etag = r.etag;
    assert.ok(r.status < 300, `${method} ${path}: ${r.status} ${JSON.stringify(r.doc)}`);
    return r.doc;
  };
  w.upload = (path, picture) => page.evaluate(async ([path, picture]) => {
    const r = await fetch(`/admin/v1${path}`, { method: 'PUT', headers: { 'Content-Type': 'image/png', 'If-Match': '*' }, body: Uint8Array.from(atob(picture), (c) => c.charCodeAt(0)) });
    return r.status;
  }, [path, picture]);
  const [, secret] = w.facts.console.split('#invite=');
  await w.api('POST', '/session/invitation', { secret, name: 'Grace', email: 'grace@example.org' });
  return w.api;
}

const no = { no: { kind: 'reject' } };

/** Publishes a journey whose nodes are given; "done" and "no" are added. */
async function journey(w, id, start, nodes) {
  const { api } = w;
  await api('POST', '/journeys', { id, name: id, graph: { id, name: id, kind: 'client', start, nodes: { ...nodes, done: { kind: 'complete' }, ...no } } });
  await api('GET', `/journeys/${id}`);
  await api('POST', `/journeys/${id}/publish`, { note: 'test' }, w.etag);
}

const to = (success, more = {}) => ({ success, failure: 'no', ...more });

const taken = new Map(); // codes of an address that were used already

/** The next code that is mailed to somebody: mail goes out beside the page that announces it. */
async function mailed(w, address) {
  for (const end = Date.now() + 15_000; ; await new Promise((again) => { setTimeout(again, 50); })) {
    const { messages } = await fetch(`${w.base}/dev/inbox/messages?channel=mail&to=${encodeURIComponent(address)}`).then((r) => r.json());
    const codes = messages.map((m) => m.data?.code).filter(Boolean);
    if (codes.length > (taken.get(address) ?? 0)) {
      taken.set(address, codes.length);
      return codes.at(-1);
    }
    if (Date.now() > end) throw new Error(`no new code was mailed to ${address}`);
  }
}

/** Answers the code that was mailed. */
async function second(page, w, address) {
  await page.waitForSelector('input[name=passcode]');
  await page.fill('input[name=passcode]', await mailed(w, address));
  await page.press('input[name=passcode]', 'Enter');
}

const said = (page, what) => page.waitForSelector(`[data-say=${what}]:visible`);

/** A platform authenticator; the returned function says whether its owner shows up. */
async function platform(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  return (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
}

/** An engine that speaks the contract (docs/face.md): who is before the camera is what the test says. */
async function engine() {
  const e = { who: [1, 0, 0], faces: 1, live: true, asked: [] };
  const s = createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += part;
    e.asked.push(JSON.parse(body));
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({ faces: e.faces, model: 'test 1', embedding: e.who, threshold: 0.9, liveness: { live: e.live } }));
  });
  await new Promise((done) => { s.listen(0, '127.0.0.1', done); });
  e.url = `http://127.0.0.1:${s.address().port}`;
  e.stop = () => s.close();
  return e;
}

const scenarios = {
  async 'a trusted browser stands for the second factor, until it forgets its key'(browser, w) {
    await operator(browser, w);
    const { email, password } = w.facts.user;
    await journey(w, 'trusting', 'first', {
      first: { kind: 'password.authenticate', config: { user: email }, next: to('trusted', { password_expired: 'no' }) },
      trusted: { kind: 'trusted_device.check', next: { trusted: 'done', not_trusted: 'second' } },
      second: { kind: 'code.email', next: to('remember', { cancel: 'no' }) },
      remember: { kind: 'trusted_device.remember', next: { success: 'done', failure: 'done' } },
    });
    const page = await visit(browser);
    const begin = async (on = page) => {
      await on.goto(`${w.base}/login/demo-web/trusting`);
      await on.fill('input[name=password]', password);
      await on.press('input[name=password]', 'Enter');
    };
    await begin();
    await second(page, w, email);
    await title(page, 'You are signed in'); // the browser answered by itself
    await begin();
    await title(page, 'You are signed in'); // and no code was asked for
    assert.equal(await page.evaluate(() => new Promise((done) => {
      const r = indexedDB.open('watchword', 1);
      r.onsuccess = () => { const all = r.result.transaction('kept').objectStore('kept').getAll(); all.onsuccess = () => { done(all.result[0].pair.privateKey.extractable); r.result.close(); }; };
    })), false, 'the key cannot be taken out');
    await page.evaluate(() => new Promise((done) => { indexedDB.deleteDatabase('watchword').onsuccess = done; }));
    await begin();
    await page.waitForSelector('input[name=passcode]'); // a stranger again
    await leave(page);

    const forgetful = await visit(browser);
    await forgetful.addInitScript(() => Object.defineProperty(globalThis, 'indexedDB', { value: undefined }));
    await begin(forgetful);
    await second(forgetful, w, email);
    await said(forgetful, 'keyless');
    await look(forgetful, 'device-keyless');
    await forgetful.click('button:has-text("Go on without it")');
    await title(forgetful, 'You are signed in');
    await leave(forgetful);
  },

  async 'a PIN: chosen, typed, wrong, and of no use elsewhere'(browser, w) {
    const page = await visit(browser);
    const email = somebody();
    const begin = async (on, action) => {
      await on.goto(`${w.base}/login/demo-web/mobile_pin`);
      await on.fill('.answer input[name=email]', email);
      await on.click(`label.choice:has-text("${action}")`);
      await on.click('.answer .primary');
    };
    await begin(page, 'Set up');
    await title(page, 'Choose a PIN');
    await look(page, 'pin-choose');
    for (const [pin, again, trouble] of [['12', '12', 'short'], ['777777', '777777', 'weak'], ['482915', '482916', 'differs']]) {
      await page.fill('#pin', pin);
      await page.fill('#again', again);
      await page.click('[data-go]');
      await said(page, trouble);
      await look(page, `pin-${trouble}`);
    }
    await page.fill('#again', '482915');
    await page.press('#again', 'Enter');
    await title(page, 'All set');
    await begin(page, 'Sign in');
    await title(page, 'Enter your PIN');
    await page.waitForFunction(() => document.activeElement.id === 'pin');
    await look(page, 'pin-enter');
    const [request] = await Promise.all([page.waitForRequest((r) => r.method() === 'POST'), page.fill('#pin', '482915').then(() => page.press('#pin', 'Enter'))]);
    assert.ok(!request.postData().includes('482915'), 'the PIN is posted');
    await title(page, 'You are signed in');
    await begin(page, 'Sign in');
    await page.fill('#pin', '482914');
    await page.press('#pin', 'Enter');
    await title(page, 'Not signed in');
    await leave(page);

    const other = await visit(browser);
    await begin(other, 'Sign in');
    await said(other, 'elsewhere');
    await look(other, 'pin-elsewhere');
    await other.click('button:has-text("Another way")');
    await title(other, 'Not signed in');
    await leave(other);
  },

  async 'a finger: set up, used, refused, signed with, removed; and where none can be'(browser, w) {
    const api = await operator(browser, w);
    const email = somebody();
    const user = { user: email };
    await journey(w, 'finger_new', 'make', {
      make: { kind: 'create_user', config: { email }, next: to('key', { exists: 'key' }) },
      key: { kind: 'biometric.register', config: { ...user, or_pin: true }, next: to('done') },
    });
    await journey(w, 'finger_in', 'key', { key: { kind: 'biometric.authenticate', config: user, next: to('done') } });
    await journey(w, 'finger_sign', 'key', { key: { kind: 'biometric.sign', config: { ...user, approval_data: { amount: '12.50 EUR', payee: 'Northwind Coffee' } }, next: to('done') } });
    await journey(w, 'finger_gone', 'key', { key: { kind: 'biometric.authenticate', config: user, next: to('gone') }, gone: { kind: 'biometric.delete', next: to('done') } });
    const at = (on, id) => on.goto(`${w.base}/login/demo-web/${id}`);

    const bare = await visit(browser);
    await at(bare, 'finger_new');
    await said(bare, 'none');
    await look(bare, 'finger-none');
    assert.ok(await bare.isVisible('button:has-text("Use a PIN")'));
    await at(bare, 'finger_in');
    await said(bare, 'elsewhere');
    await look(bare, 'finger-elsewhere');
    await leave(bare);

    const page = await visit(browser);
    const shows = await platform(page);
    await at(page, 'finger_new');
    await page.waitForSelector('[data-go]:visible');
    await look(page, 'finger-add');
    await page.click('[data-go]');
    await title(page, 'All set');
    await at(page, 'finger_in');
    await page.waitForSelector('[data-go]:visible');
    await look(page, 'finger-use');
    await shows(false);
    await page.click('[data-go]');
    await said(page, 'refused');
    await look(page, 'finger-refused');
    await shows(true);
    await page.click('[data-go]');
    await title(page, 'You are signed in');
    await at(page, 'finger_sign');
    await page.waitForSelector('[data-go]:visible');
    assert.match(await page.textContent('.rows'), /Northwind Coffee/);
    await look(page, 'finger-sign');
    await page.click('[data-go]');
    await title(page, 'You are signed in');
    await at(page, 'finger_gone');
    await page.click('[data-go]');
    await title(page, 'Remove the key from this browser?');
    await look(page, 'finger-remove');
    await page.click('[data-go]');
    await title(page, 'You are signed in');
    await at(page, 'finger_in');
    await said(page, 'elsewhere');
    await leave(page);

    await api('PUT', '/apps/demo/methods/biometric', { settings: { attestation: 'enforce' } });
    const told = await visit(browser);
    await at(told, 'finger_new');
    assert.match(await told.textContent('main'), /answered by the app on your phone/);
    await look(told, 'app-only');
    await told.click('button:has-text("Use a PIN")');
    await title(told, 'Choose a PIN');
    await api('PUT', '/apps/demo/methods/biometric', { settings: { attestation: 'off' } });
    await leave(told);
  },

  async 'a face: kept, compared, refused; no camera, no light, no leave'(browser, w) {
    const api = await operator(browser, w);
    const e = await engine();
    await api('PUT', '/providers/face/engine', { config: { driver: 'http', url: e.url, api_key: 'k' } }, '');
    const { email, password } = w.facts.user;
    const first = { first: { kind: 'password.authenticate', config: { user: email }, next: to('face', { password_expired: 'no' }) } };
    await journey(w, 'face_keep', 'first', { ...first, face: { kind: 'face.register', next: to('done') } });
    await journey(w, 'face_in', 'first', { ...first, face: { kind: 'face.authenticate', config: { photo: true }, next: to('done') } });
    const before = async (on, id) => {
      await on.goto(`${w.base}/login/demo-web/${id}`);
      await on.fill('input[name=password]', password);
      await on.press('input[name=password]', 'Enter');
      await title(on, 'Look at the camera');
      await on.waitForSelector('[data-go]:visible');
    };
    const taken = async (on) => {
      await on.click('[data-go]');
      await on.waitForFunction(() => document.querySelector('video').videoWidth > 0);
      await on.waitForFunction(() => document.querySelector('[data-go]').textContent === 'Take the pictures' && !document.querySelector('[data-go]').ariaDisabled);
    };

    const page = await visit(browser, { permissions: ['camera'] });
    await before(page, 'face_keep');
    await look(page, 'face-keep');
    assert.equal(await page.locator('#photo').count(), 0, 'a photo may not be chosen');
    await page.click('[data-go]');
    assert.ok(await page.isHidden('[data-camera]'), 'the camera is on without consent');
    await page.check('input[name=consent]');
    await taken(page);
    await look(page, 'face-live');
    await page.click('[data-go]');
    await title(page, 'You are signed in');
    const { images, moves, purpose } = e.asked.at(-1);
    assert.equal(purpose, 'register');
    assert.equal(images.length, moves.length + 1);
    assert.ok(images.every((i) => i.startsWith('/9j/') && new Set(images).size === images.length), 'pictures, and not the same ones');

    await before(page, 'face_in');
    e.faces = 0;
    await taken(page);
    await page.click('[data-go]');
    await said(page, 'noface');
    await look(page, 'face-noface');
    assert.ok(page.complaints.splice(0).every((c) => /400/.test(c)), 'the server said so, and nothing else');
    e.faces = 1;
    await page.click('[data-go]');
    await title(page, 'You are signed in');
    assert.equal(await page.evaluate(() => document.featurePolicy.allowsFeature('camera')), false, 'other pages have no camera');

    await before(page, 'face_in');
    e.who = [0, 1, 0];
    await taken(page);
    await page.click('[data-go]');
    await title(page, 'Not signed in');
    e.who = [1, 0, 0];

    await before(page, 'face_in');
    await page.click('summary:has-text("Choose a photo instead")');
    await look(page, 'face-photo');
    const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==', 'base64');
    await page.setInputFiles('#photo', { name: 'me.png', mimeType: 'image/png', buffer: png });
    await title(page, 'You are signed in');
    assert.deepEqual(e.asked.at(-1).images.map((i) => i.slice(0, 4)), ['/9j/'], 'a photo is drawn anew');
    await leave(page);

    const late = await visit(browser, { permissions: ['camera'] });
    await before(late, 'face_in');
    await late.clock.install();
    await late.reload();
    await late.waitForSelector('[data-go]:visible');
    await late.clock.fastForward(121_000);
    await said(late, 'expired');
    await look(late, 'face-expired');
    await late.clock.resume();
    await late.click('[data-go]');
    await late.waitForFunction(() => document.querySelector('[data-say=expired]')?.hidden);
    await leave(late);

    const shy = await visit(browser);
    await before(shy, 'face_in');
    await shy.click('[data-go]');
    await said(shy, 'denied');
    await look(shy, 'face-denied');
    assert.ok(await shy.isVisible('button:has-text("Another way")'));
    await leave(shy);

    const dark = await visit(browser, { permissions: ['camera'] });
    await dark.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = async () => {
        const c = document.createElement('canvas');
        c.getContext('2d').fillRect(0, 0, 300, 150);
        setInterval(() => c.getContext('2d').fillRect(0, 0, 300, 150), 50);
        return c.captureStream(20);
      };
    });
    await before(dark, 'face_in');
    await taken(dark);
    await dark.click('[data-go]');
    await said(dark, 'dark');
    await look(dark, 'face-dark');
    e.stop();
    await leave(dark);

    const blind = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const nothing = await visit(blind, { permissions: ['camera'] });
    await before(nothing, 'face_in');
    await nothing.click('[data-go]');
    await said(nothing, 'none');
    await look(nothing, 'face-none');
    await leave(nothing);
    await blind.close();
  },

  async 'in five more languages, on a small screen'(browser, w) {
    await operator(browser, w);
    const { email } = w.facts.user;
    await journey(w, 'small_finger', 'key', { key: { kind: 'biometric.authenticate', config: { user: email }, next: to('done') } });
    const typed = { expr: 'who.email' };
    await journey(w, 'small_face', 'who', { // somebody new each time: captures are counted
      who: { kind: 'get_information', config: { form_id: 'who', output: 'who', fields: [{ name: 'email', label: 'E-mail address', type: 'email', required: true }] }, next: { success: 'make' } },
      make: { kind: 'create_user', config: { email: typed }, next: to('code', { exists: 'no' }) },
      code: { kind: 'code.email', config: { user: typed }, next: to('face', { cancel: 'no' }) },
      face: { kind: 'face.register', config: { photo: true }, next: to('done') },
    });
    const english = /Another way|Your device|camera|picture|digits|browser to confirm/;
    for (const locale of ['de-DE', 'es-ES', 'fr-FR', 'pt-BR', 'ja-JP']) {
      const page = await visit(browser, { locale, viewport: { width: 320, height: 640 } });
      const holds = async (state) => {
        await unscrolled(page, `${state} ${locale}`);
        await accessible(page, `${state} ${locale}`);
        assert.doesNotMatch(await page.innerText('main'), english, `${state} ${locale}`);
        if (shots) await page.screenshot({ path: join(shots, `${state}-${locale}-320.png`), fullPage: true });
      };
      await page.goto(`${w.base}/login/demo-web/small_finger`);
      await said(page, 'elsewhere');
      await holds('finger');
      await page.goto(`${w.base}/login/demo-web/mobile_pin`);
      await page.fill('.answer input[name=email]', somebody());
      await page.check('input[value=set_up]');
      await page.click('.answer .primary');
      await page.fill('#pin', '1');
      await page.fill('#again', '1');
      await page.click('[data-go]');
      await said(page, 'short');
      await holds('pin');
      await page.goto(`${w.base}/login/demo-web/small_face`);
      const address = somebody();
      await page.fill('input[name=email]', address);
      await page.click('.answer .primary');
      await second(page, w, address);
      await page.waitForSelector('[data-go]:visible');
      await page.check('input[name=consent]');
      await page.click('[data-go]');
      await said(page, 'denied');
      await page.click('details.way summary');
      await holds('face');
      await leave(page);
    }
  },

  async 'only the languages that are offered, and a logo for dark paper'(browser, w) {
    const api = await operator(browser, w);
    const page = await visit(browser, { locale: 'nl-NL' });
    const settings = await api('GET', '/settings');
    await api('PUT', '/settings', { ...settings, languages: ['fr', 'de'], default_language: 'de' });
    await page.goto(`${w.base}/login/demo-web/web_login`);
    await page.waitForSelector('html[lang=de]');
    await page.click('.tongues summary');
    assert.deepEqual(await page.locator('.tongues a').evaluateAll((l) => l.map((a) => a.lang)), ['de', 'fr']);
    await page.click('.tongues a[lang=fr]');
    await page.waitForSelector('html[lang=fr]');
    await api('PUT', '/settings', { ...settings, languages: ['de'], default_language: 'de' });
    await page.reload();
    await page.waitForSelector('html[lang=de]');
    assert.equal(await page.locator('.tongues').count(), 0);
    await api('PUT', '/settings', settings);

    const square = (colour) => page.evaluate(async (colour) => {
      const c = document.createElement('canvas');
      c.width = c.height = 40;
      const d = c.getContext('2d');
      d.fillStyle = colour;
      d.fillRect(0, 0, 40, 40);
      return c.toDataURL('image/png').split(',')[1];
    }, colour);
    for (const [colour, query] of [['#14171f', ''], ['#eef0f4', '?dark=true']]) {
      const picture = await square(colour);
      const status = await w.upload(`/apps/demo/branding/logo${query}`, picture);
      assert.equal(status, 200);
    }
    await page.goto(`${w.base}/login/demo-web/web_login`);
    for (const [colorScheme, name] of [['light', /\/logo\?/], ['dark', /\/logo-dark\?/]]) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction((n) => new RegExp(n).test(document.querySelector('img.logo').currentSrc), name.source);
      assert.ok(await page.evaluate(() => document.querySelector('img.logo').decode().then(() => true)));
    }
    await leave(page);
  },
};

await play(scenarios, ['--use-fake-device-for-media-stream']);
