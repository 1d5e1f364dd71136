// What the specs of the phone app have in common: a server, phones, people, and
// browsers elsewhere that ask them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Journey } from '../../ui/lib/mosaic.js';
import { slow } from './late.mjs';
import { still } from './still.mjs';
import { freePort } from '../sdk/port.mjs';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const root = fileURLToPath(new URL('../..', import.meta.url));

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const PHONE = { width: 390, height: 844 };
export const SMALL = { width: 320, height: 568 };
export const PIN = '274913';

/** Starts a development server with fresh data, called by its address and reached by its name, too; returns what it said and how to stop it. */
export async function server({ flags = [], env = {} } = {}) {
  const port = await freePort();
  const data = mkdtempSync(join(tmpdir(), 'watchword-authenticator-'));
  const [command, ...args] = process.env.WATCHWORD_BIN ? [process.env.WATCHWORD_BIN] : ['go', 'run', './cmd/watchword'];
  const child = spawn(command, [...args, 'dev', '--json', '--push-limit', '1000', '--listen', `127.0.0.1:${port}`, '--url', `http://127.0.0.1:${port}`, '--data', data, ...flags], { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let said = '';
  let log = '';
  child.stderr.on('data', (b) => { log += b; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (b) => { said += b; if (said.includes('watchword: ready on')) resolve(); });
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${said}${log}`)));
  });
  const facts = JSON.parse(said.split('\n')[0]);
  const stop = async () => {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.on('exit', resolve));
    process.kill(-child.pid, 'SIGTERM'); // `go run` and what it runs
    await gone;
    rmSync(data, { recursive: true, force: true });
  };
  return { ...facts, local: facts.base.replace('127.0.0.1', 'localhost'), log: () => log, stop };
}

/** The demo back end: its calls. */
export async function backEnd(w) {
  const { id, secret } = w.clients.backend;
  const r = await fetch(`${w.base}/oidc/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret }) });
  const { access_token: token } = await r.json();
  return async (method, path, body) => {
    const r = await fetch(`${w.base}/cis${path}`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
    const out = r.status === 204 ? {} : await r.json();
    assert.ok(r.ok, `${path}: ${r.status} ${JSON.stringify(out)}`);
    return out.result ?? out;
  };
}

let people = 0;

/** A new user of the demo application: address and id. */
export async function somebody(w) {
  const email = `phone.${++people}.${Date.now()}@example.org`;
  const { user_id: id } = await w.call('POST', '/v1/users', { email });
  return { email, id };
}

/** A link that adds a phone to a user, on the host where browsers have platform keys or the one where they have none. */
export async function invitation(w, user, base = w.local) {
  const { link } = await w.call('POST', `/v1/users/${user.id}/phones/invitations`, {});
  assert.ok(link.startsWith(`${w.base}/authenticator/#`), link);
  return link.replace(w.base, base);
}

/** A fresh phone, whose system knows its owner if `finger` says so. It may not complain about anything. */
export async function phone(browser, w, { finger = true, viewport = PHONE, colorScheme = 'light', locale = 'en-GB', base = w.local, reducedMotion = 'no-preference', userAgent = undefined } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, locale, reducedMotion, userAgent });
  await slow(context);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.colorScheme = colorScheme;
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 4\d\d|ERR_INTERNET_DISCONNECTED/.test(m.text())) page.complaints.push(m.text()); });
  page.on('pageerror', (e) => page.complaints.push(String(e.stack)));
  page.on('request', (r) => { if (!r.url().startsWith(base) && !r.url().startsWith('data:')) page.complaints.push(`foreign request: ${r.url()}`); });
  await page.addInitScript(() => { document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)); });
  if (finger) {
    const cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    page.owner = (there) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: there });
  }
  page.base = base;
  return page;
}

export async function leave(page) {
  assert.deepEqual(page.complaints, [], 'the page complained');
  await page.context().close();
}

/** Sets a phone up by a link, with a PIN where the system knows nobody. */
export async function setUp(page, w, user) {
  await page.goto(await invitation(w, user, page.base));
  await page.click('text=Set up this phone');
  if (!page.owner) await choosePIN(page, PIN);
  await said(page, 'This phone answers for Northwind Coffee now.');
}

export async function choosePIN(page, pin) {
  await page.fill('dialog input[name=pin]', pin);
  await page.fill('dialog input[name=again]', pin);
  await page.click('dialog button.primary');
}

export async function enterPIN(page, pin = PIN) {
  await page.fill('dialog input[name=pin]', pin);
  await page.click('dialog button.primary');
}

/** Waits until the app says what became of something, to those who see and to those who listen. */
export async function said(page, words) {
  await page.waitForSelector(`.note >> text=${words}`);
  await page.waitForFunction((words) => document.querySelector('#say').textContent.includes(words), words);
}

/** Lets what the app is told of requests come late: the function that is returned holds it back, what that returns lets it go. */
export async function holding(page) {
  let gate;
  await page.route('**/device/v1/requests', async (route) => {
    const response = await route.fetch().catch(() => null);
    await gate;
    await (response ? route.fulfill({ response }) : route.abort()).catch(() => {}); // the page may have gone
  });
  return () => { let open; gate = new Promise((r) => { open = r; }); return open; };
}

/** A browser elsewhere that signs in, as the demo shop does. */
export async function asks(w, email, journey = 'web_login', more = {}) {
  const j = new Journey({ base: w.base, client: 'demo-web', key: null });
  await j.start(journey);
  const r = journey === 'web_login' ? await j.escape('web_to_mobile', { email }) : await j.submit({ email, ...more });
  assert.equal(r.step, 'transmit_platform_mobile_approve_authentication', JSON.stringify(r));
  return { j, number: r.data.number, shown: r.data };
}

/** How that ends. */
export async function ends({ j }) {
  for (let i = 0; i < 40; i++) {
    const r = await j.submit();
    if (r.state !== 'pending') return r;
  }
  throw new Error('it does not end');
}

/** Holds a screen against WCAG 2.2 AA, as far as a machine can. Where pictures are kept, it does so on both sizes of phone in light and dark. */
export async function good(page, name) {
  await page.waitForSelector('h1'); // the app speaks when its words have come
  await page.waitForTimeout(150); // what is read from the browser's storage has come,
  await still(page); // and what moves has moved: pictures show where it ends
  if (!process.env.SHOTS) return held(page, name);
  const own = page.viewportSize();
  mkdirSync(process.env.SHOTS, { recursive: true });
  for (const size of [PHONE, SMALL]) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await still(page);
      await held(page, `${name} ${size.width} ${colorScheme}`);
      await page.screenshot({ path: join(process.env.SHOTS, `${name}-${size.width}-${colorScheme}.png`) });
    }
  }
  await page.setViewportSize(own);
  await page.emulateMedia({ colorScheme: page.colorScheme });
}

async function held(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`), [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${name}: the page scrolls sideways`);
  const small = await page.evaluate(() => [...document.querySelectorAll('button, summary, select, input:not([type=hidden], [type=radio], [type=checkbox], [type=file]), a')]
    .filter((e) => e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().height < 44).map((e) => `${e.tagName} ${e.textContent.trim()} ${e.getBoundingClientRect().height}`));
  assert.deepEqual(small, [], `${name}: targets of less than 44 px`);
  const broken = await page.evaluate(() => [...document.querySelectorAll('#tabs span')].filter((e) => {
    const text = document.createRange();
    text.selectNodeContents(e);
    const lines = text.getClientRects();
    return e.checkVisibility() && (lines.length !== 1 || lines[0].width > e.closest('button').clientWidth);
  }).map((e) => e.textContent));
  assert.deepEqual(broken, [], `${name}: tabs that are not said in one line`);
}

/** A browser. @param {string[]} more  flags besides */
export const launch = (...more) => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...FLAGS, ...more] });

/** Runs scenarios one after the other and ends the process. */
export async function run(area, scenarios, w, browser) {
  let failed = 0;
  try {
    w.call = await backEnd(w);
    for (const [name, scenario] of Object.entries(scenarios)) {
      if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
      const begun = performance.now();
      try {
        const remark = await scenario(browser, w);
        console.log(`ok   ${area}: ${name} (${Math.round(performance.now() - begun)} ms)${remark ? `: ${remark}` : ''}`);
      } catch (e) {
        failed++;
        console.log(`FAIL ${area}: ${name}\n${e.stack}`);
        for (const c of browser.contexts()) {
          for (const p of c.pages()) {
            if (p.complaints?.length) console.log(p.complaints);
            if (process.env.SHOTS && p.complaints) await p.screenshot({ path: join(process.env.SHOTS, `failed-${failed}.png`) }).catch(() => {});
          }
        }
      }
      for (const c of browser.contexts()) await c.close();
    }
  } finally {
    await browser.close();
    await w.stop();
  }
  process.exit(failed ? 1 : 0);
}
