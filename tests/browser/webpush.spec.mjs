// Web Push from the server to the phone app's worker, in a real browser. Two things
// are not there: a browser's subscription, which needs its vendor, and the wire from
// the vendor to the browser. A push service on this machine stands for the first, and
// hands what it received and decrypted to the worker by the DevTools protocol.
//
//   WATCHWORD_BIN, CHROMIUM, SHOTS, ONLY: as in authenticator.spec.mjs

import assert from 'node:assert/strict';

import { asks, ends, good, launch, leave, phone, run, said, server, setUp, somebody } from './phone.mjs';
import { pushService } from './pushservice.mjs';

const service = await pushService();

/** A phone that has a push service. Its worker stands in page.worker, and page.push hands it a message. */
async function pushPhone(browser, w, { notices = true, ...how } = {}) {
  const page = await phone(browser, w, how);
  const context = page.context();
  await context.grantPermissions(notices ? ['notifications'] : [], { origin: page.base });
  await page.exposeFunction('subscribeAtService', (key) => service.subscribe(key));
  await page.addInitScript(() => {
    // What a browser with a push service keeps: one subscription for the site.
    const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    const made = ({ key, ...s }) => ({ endpoint: s.endpoint, options: { applicationServerKey: bytes(key).buffer }, toJSON: () => s, unsubscribe: async () => { localStorage.removeItem('subscription'); return true; } });
    PushManager.prototype.getSubscription = async () => { const s = localStorage.getItem('subscription'); return s ? made(JSON.parse(s)) : null; };
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
      if (!userVisibleOnly) throw new DOMException('', 'NotAllowedError');
      const s = { ...await window.subscribeAtService(text(applicationServerKey)), key: text(applicationServerKey) };
      localStorage.setItem('subscription', JSON.stringify(s));
      return made(s);
    };
  });
  return page;
}

/** Turns notifications on in the settings, and finds what is needed to deliver some. */
async function turnOn(page) {
  await page.click('nav >> text=Settings');
  const button = page.locator('button >> text=Turn on notifications');
  await page.locator('button:enabled:has-text("Turn on notifications"), p:text("Notifications are on.")').waitFor(); // it may be turning itself on
  if (await button.isVisible()) await button.click();
  await page.waitForSelector('text=Notifications are on.');
  await deliverable(page);
}

async function deliverable(page) {
  const context = page.context();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  [page.worker] = context.serviceWorkers();
  const beside = await context.newPage(); // stays open when the app is closed
  const cdp = await context.newCDPSession(beside);
  const registered = new Promise((resolve) => {
    cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => { for (const r of registrations) if (r.scopeURL === `${page.base}/authenticator/`) resolve(r.registrationId); });
  });
  await cdp.send('ServiceWorker.enable');
  const registrationId = await registered;
  await page.bringToFront(); // the system asks its owner nothing in a tab behind
  page.push = async (message) => {
    await cdp.send('ServiceWorker.deliverPushMessage', { origin: page.base, registrationId, data: message.text });
  };
}

const endpoint = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('subscription')).endpoint);

/** What the system shows. */
const shown = (page) => page.worker.evaluate(async () => (await self.registration.getNotifications()).map(({ title, body, tag, data, silent, requireInteraction }) => ({ title, body, tag, data, silent, requireInteraction })));

/** Waits until it shows so many, and such. */
async function shows(page, n, such = (_) => true) {
  for (let i = 0; i < 300; i++) { // as long as a page may take for anything
    const all = await shown(page);
    if (all.length === n && all.every(such)) return all;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.fail(`the system shows ${JSON.stringify(await shown(page))}, and not ${n}`);
}

/** Touches the notification of a request. Returns the address that the worker opened, if the app was not open: a browser lets it do that only for a real finger. */
const touch = (page, id) => page.worker.evaluate(async (id) => {
  const notification = (await self.registration.getNotifications()).find((n) => n.data.id === id);
  let opened = null;
  self.clients.openWindow = async (url) => { opened = url; };
  const all = [];
  const e = new NotificationEvent('notificationclick', { notification });
  e.waitUntil = (p) => all.push(p);
  self.dispatchEvent(e);
  await Promise.allSettled(all);
  return opened;
}, id);

/** Somebody in the console. The link that lets them in is good once. Returns what sets how many seconds a request of the demo application waits for its answer. */
async function operator(browser, w) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${w.base}/dev/inbox`);
  const say = async (method, path, body) => {
    const status = await page.evaluate(async ([method, path, body]) => (await fetch(`/admin/v1${path}`, { method, headers: { 'Content-Type': 'application/json', ...(method === 'PUT' && { 'If-Match': '*' }) }, body: JSON.stringify(body) })).status, [method, path, body]);
    assert.ok(status < 300, `${method} ${path}: ${status}`);
  };
  await say('POST', '/session/invitation', { secret: w.console.split('#invite=')[1], name: 'Grace', email: 'grace@example.org' });
  return (life) => say('PUT', '/apps/demo/methods/push', { settings: { life, limit: 1000, backoff_after: 0, not_me_minutes: 1, show_devices: true } });
}

async function approve(page, web) {
  await page.waitForSelector('.request');
  await page.fill('#number', web.number);
  await page.click('.request button.primary');
  await said(page, 'Approved.');
  assert.equal((await ends(web)).state, 'success');
}

const scenarios = {
  async 'closed: a notification, a touch, the number, and the browser goes on'(browser, w) {
    const page = await pushPhone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await turnOn(page);
    await good(page, 'notices-on');
    await page.goto('about:blank');

    const before = service.received.length;
    const web = await asks(w, user.email, 'transaction_push', { payee: 'ACME Coffee Roasters', amount: '1250.00', currency: 'EUR' });
    const message = await service.nth(before + 1);
    const payload = JSON.parse(message.text);
    assert.deepEqual(Object.keys(payload).sort(), ['auth_req_id', 'body', 'payload', 'requestId', 'slot', 'title']);
    const told = [payload.requestId, payload.slot].reduce((text, id) => text.replaceAll(id, ''), message.text); // ids have any digits
    for (const secret of [web.number, user.email, user.id, 'ACME', '1250', 'Northwind', 'Chrome', '127.0.0.1']) assert.ok(!told.includes(secret), `the message says ${secret}`);
    assert.ok(Number(message.headers.ttl) > 0 && Number(message.headers.ttl) <= 120, `TTL ${message.headers.ttl}`);
    assert.equal(message.headers.urgency, 'high');
    assert.ok(message.size <= 4096);

    await page.push(message);
    const [note] = await shows(page, 1);
    assert.deepEqual(note, { title: 'Sign in?', body: 'Open to answer.', tag: payload.slot, data: { id: payload.requestId, over: false }, silent: false, requireInteraction: true });
    const opened = await touch(page, payload.requestId);
    assert.equal(opened, `/authenticator/#request=${payload.requestId}`);
    assert.deepEqual(await shown(page), [], 'what was touched goes');
    await page.goto(w.local + opened);
    await page.waitForSelector('.deal >> text=1250.00');
    assert.equal(new URL(page.url()).hash, '', 'the request has left the address');
    await approve(page, web);
    await leave(page);
  },

  async 'open: the app says it, and the system does not say it again'(browser, w) {
    const page = await pushPhone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await turnOn(page);
    const before = service.received.length;
    const web = await asks(w, user.email);
    await page.push(await service.nth(before + 1));
    await page.waitForSelector('nav .count >> text=1'); // in the settings nothing jumps at its owner
    assert.deepEqual(await shown(page), []);
    await page.click('nav >> text=Requests');
    await page.click('.card >> text=Sign-in');
    await approve(page, web);
    await page.click('nav >> text=History');
    await page.waitForFunction(() => document.querySelectorAll('.how').length === 1);
    await leave(page);
  },

  async 'open behind others: a touch brings the very request to the front'(browser, w) {
    const page = await pushPhone(browser, w);
    const [one, two] = [await somebody(w), await somebody(w)];
    await setUp(page, w, one);
    await setUp(page, w, two);
    await turnOn(page);
    // Tabs of a browser without a screen are all visible: the worker is told otherwise.
    await page.worker.evaluate(() => {
      const all = self.clients.matchAll.bind(self.clients);
      self.clients.matchAll = async (o) => (await all(o)).map((c) => ({ visibilityState: 'hidden', postMessage: (m) => m.open && c.postMessage(m), focus: async () => c }));
    });
    const before = service.received.length;
    const other = await asks(w, one.email);
    await page.push(await service.nth(before + 1));
    await shows(page, 1);
    const web = await asks(w, two.email);
    await page.push(await service.nth(before + 2));
    await shows(page, 2);
    await touch(page, JSON.parse(service.received[before + 1].text).requestId);
    await page.waitForSelector(`.request >> text=${two.email}`);
    await approve(page, web);
    await page.click('.card >> text=Sign-in');
    await page.waitForSelector(`.request >> text=${one.email}`);
    await approve(page, other);
    await leave(page);
  },

  async 'asked again: one notification; called off: it says so, and goes when the app opens'(browser, w) {
    const page = await pushPhone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await turnOn(page);
    await page.goto('about:blank');
    const before = service.received.length;
    await asks(w, user.email);
    const first = await service.nth(before + 1);
    await page.push(first);
    const [{ data: { id: old } }] = await shows(page, 1);
    const web = await asks(w, user.email);
    const second = await service.nth(before + 2);
    assert.equal(second.headers.topic, first.headers.topic, 'what was not delivered yet is replaced at the service');
    await page.push(second);
    const [{ data: { id } }] = await shows(page, 1, (n) => n.data.id !== old);
    assert.equal(id, JSON.parse(second.text).requestId);

    await web.j.escape('cancel', {});
    const end = await service.nth(before + 3);
    assert.equal(end.headers.topic, first.headers.topic);
    await page.push(end);
    const [ended] = await shows(page, 1, (n) => n.title !== 'Sign in?');
    assert.deepEqual([ended.title, ended.silent, ended.data.id], ['This request has ended.', true, id]);
    const opened = await touch(page, id);
    await page.goto(w.local + opened);
    await said(page, 'This request was answered or has run out.');
    // One that was not touched goes, too.
    await page.goto('about:blank');
    const third = await asks(w, user.email);
    await page.push(await service.nth(before + 4));
    await shows(page, 1);
    await third.j.escape('cancel', {});
    await service.nth(before + 5);
    await page.goto(`${w.local}/authenticator/`);
    await page.waitForSelector('text=Nothing to approve');
    await shows(page, 0);
    await leave(page);
  },

  async 'nobody answers: it says so by itself, and goes when the app opens'(browser, w) {
    const live = await operator(browser, w);
    await live(30);
    const page = await pushPhone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await turnOn(page);
    await page.goto('about:blank');
    const before = service.received.length;
    const since = Date.now(); // a message may be late, and the life of what it tells of does not wait
    await asks(w, user.email);
    const request = await service.nth(before + 1);
    await page.push(request);
    const [{ data: { id } }] = await shows(page, 1);
    const end = await service.nth(before + 2, 45);
    assert.ok(end.at - since >= 30_000, `it ended after ${end.at - since} ms`);
    assert.equal(end.headers.topic, request.headers.topic, 'what was not delivered yet is replaced at the service');
    assert.ok(Number(end.headers.ttl) > 600, 'a phone that is out of reach for a while hears it, too');
    await page.push(end);
    const [ended] = await shows(page, 1, (n) => n.title !== 'Sign in?');
    assert.deepEqual([ended.title, ended.silent, ended.requireInteraction, ended.data.id], ['This request has ended.', true, false, id]);
    await page.goto(`${w.local}/authenticator/`);
    await page.waitForSelector('text=Nothing to approve');
    await shows(page, 0);
    await live(120);
    await leave(page);
  },

  async 'in the language of the app'(browser, w) {
    const page = await pushPhone(browser, w, { locale: 'de-DE' });
    const user = await somebody(w);
    await page.goto((await w.call('POST', `/v1/users/${user.id}/phones/invitations`, {})).link.replace(w.base, w.local));
    await page.click('text=Dieses Telefon einrichten');
    await said(page, 'Dieses Telefon antwortet jetzt');
    await page.click('nav >> text=Einstellungen');
    await page.waitForSelector('text=Benachrichtigungen sind eingeschaltet.');
    await deliverable(page);
    await page.goto('about:blank');
    const before = service.received.length;
    await asks(w, user.email);
    await page.push(await service.nth(before + 1));
    const [{ title, body }] = await shows(page, 1);
    assert.deepEqual([title, body], ['Anmelden?', 'Zum Antworten öffnen.']);
    await leave(page);
  },

  async 'the service is busy, does not want it, or has lost the phone'(browser, w) {
    const page = await pushPhone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await turnOn(page);
    let before = service.received.length;
    const since = Date.now();
    service.answerNext(429, { 'Retry-After': '2' });
    let web = await asks(w, user.email);
    const late = await service.nth(before + 1);
    assert.ok(late.at - since >= 2000, `429 was not waited for: ${late.at - since} ms`);
    await page.click('nav >> text=Requests');
    await page.click('.card >> text=Sign-in');
    await approve(page, web);

    service.answerNext(413); // as if it were too large: trying again would not help, and the phone asks by itself
    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    let told;
    for (let i = 0; i < 40 && told !== 'failed'; i++) told = (await web.j.submit()).data?.delivery;
    assert.equal(told, 'failed', 'the browser is told');
    await approve(page, web);
    assert.equal(service.received.length, before + 1, 'it was not tried again');
    web = await asks(w, user.email);
    await service.nth(before + 2);
    await page.waitForSelector('.request');
    await approve(page, web);

    const dead = await endpoint(page);
    service.end(dead);
    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    for (let i = 0; i < 300 && service.refused.at(-1)?.status !== 410; i++) await new Promise((resolve) => { setTimeout(resolve, 50); });
    assert.equal(service.refused.at(-1).status, 410);
    await approve(page, web);
    const refused = service.refused.length;
    before = service.received.length;
    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await approve(page, web);
    assert.equal(service.refused.length, refused, 'a subscription that has gone is not tried again');

    // The browser says that its subscription is another one; the app is closed.
    const fresh = service.subscribe(await page.evaluate(() => JSON.parse(localStorage.getItem('subscription')).key));
    await page.goto('about:blank');
    await page.worker.evaluate(async (s) => {
      PushManager.prototype.getSubscription = async () => null;
      PushManager.prototype.subscribe = async ({ applicationServerKey }) => ({ endpoint: s.endpoint, options: { applicationServerKey }, toJSON: () => s });
      const all = [];
      const e = new ExtendableEvent('pushsubscriptionchange');
      e.waitUntil = (p) => all.push(p);
      self.dispatchEvent(e);
      await Promise.all(all);
    }, fresh);
    web = await asks(w, user.email);
    const message = await service.nth(before + 1);
    assert.equal(service.origin + message.id, fresh.endpoint);
    await page.push(message);
    await shows(page, 1);
    await page.goto(w.local + await touch(page, JSON.parse(message.text).requestId));
    await approve(page, web);
    await leave(page);
  },

  async 'a second account is told of, too; turned off is off'(browser, w) {
    const page = await pushPhone(browser, w);
    const [one, two] = [await somebody(w), await somebody(w)];
    await setUp(page, w, one);
    await turnOn(page);
    await setUp(page, w, two);
    await page.waitForFunction(async () => (await (await import('/authenticator/store.js')).accounts()).filter((a) => a.told).length === 2);
    const before = service.received.length;
    let web = await asks(w, two.email);
    await service.nth(before + 1);
    await page.waitForSelector('.request');
    await approve(page, web);
    await page.click('nav >> text=Settings');
    await page.click('text=Turn off notifications');
    await page.waitForSelector('text=Turn on notifications');
    await good(page, 'notices-off');
    await page.reload();
    for (const user of [one, two]) {
      web = await asks(w, user.email);
      await page.waitForSelector('.request');
      await approve(page, web);
    }
    assert.equal(service.received.length, before + 1, 'nobody is told any more');
    assert.equal(await page.evaluate(() => localStorage.getItem('subscription')), null);
    await leave(page);
  },
};

const w = await server({ flags: ['--push-service', service.host], env: { SSL_CERT_FILE: service.certificate } });
process.on('exit', () => service.stop());
await run('webpush', scenarios, w, await launch());
