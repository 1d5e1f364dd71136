// Drives the playground of `watchword dev` in a real browser: a phone is set up,
// somebody signs in, and every way that can end is taken. Exit status 0 means
// that all of it held.
//
//   WATCHWORD_BIN=…   the binary to start; without it, `go run ./cmd/watchword`
//   BASE=http://…     a development server that runs already
//   CHROMIUM=…        the browser; default /usr/bin/chromium
//   SHOTS=DIR         keeps a picture of every state, wide and narrow, light and dark
//   WATCHWORD_REQUIRE_ALL=1  also wait for a request to run out (two minutes)

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slow } from './late.mjs';
import { freePort } from '../sdk/port.mjs';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const root = fileURLToPath(new URL('../..', import.meta.url));

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };

/** Starts a development server with fresh data; returns where it is and how to stop it. */
async function server() {
  if (process.env.BASE) return { base: process.env.BASE, stop: async () => {} };
  const port = await freePort();
  const data = mkdtempSync(join(tmpdir(), 'watchword-playground-'));
  const [command, ...args] = process.env.WATCHWORD_BIN ? [process.env.WATCHWORD_BIN] : ['go', 'run', './cmd/watchword'];
  const child = spawn(command, [...args, 'dev', '--listen', `127.0.0.1:${port}`, '--data', data], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let said = '';
  child.stderr.on('data', (b) => { said += b; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (b) => { said += b; if (said.includes('watchword: ready on')) resolve(); });
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
  });
  const stop = async () => {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.on('exit', resolve));
    process.kill(-child.pid, 'SIGTERM'); // `go run` and what it runs
    await gone;
    rmSync(data, { recursive: true, force: true });
  };
  return { base: `http://localhost:${port}`, stop };
}

let people = 0;
const somebody = () => `p${++people}.${Date.now()}@example.org`;

/** A fresh browser profile on the playground, which may not complain about anything. */
async function visit(browser, base, { viewport = WIDE, colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport, colorScheme });
  await slow(context);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) page.complaints.push(m.text()); });
  page.on('pageerror', (e) => page.complaints.push(String(e.stack)));
  page.on('request', (r) => { if (!r.url().startsWith(base) && !r.url().startsWith('data:')) page.complaints.push(`foreign request: ${r.url()}`); });
  await page.goto(`${base}/playground/`);
  return page;
}

async function leave(page) {
  assert.deepEqual(page.complaints, [], 'the page complained');
  await page.context().close();
}

async function setUp(page, email) {
  await page.fill('#phone-email', email);
  await page.click('.setup button');
  await page.waitForSelector('.idle');
  assert.equal(await page.inputValue('#shop-email'), email, 'the shop offers the address of the phone');
}

/** Starts a sign-in; returns the number that the shop shows. */
async function signIn(page) {
  await page.click('#shop form button.primary');
  await page.waitForSelector('.waiting');
  return number(page);
}

const number = (page) => page.getAttribute('.waiting ww-tile', 'number');
const title = (page, selector) => page.textContent(`${selector} h3`);

/** Two digits other than n. */
const other = (n) => String(10 + ((Number(n) - 10 + 7) % 90));

async function answer(page, n) {
  await page.waitForSelector('.request');
  await page.fill('#phone-number', n);
  await page.click('.request button.primary');
}

/** The id of the request on the phone's screen, once there is one. */
const shown = async (page) => (await page.waitForSelector('.request')).getAttribute('data-request');

/** Waits until the phone shows a request that is not this one. */
const another = (page, id) => page.waitForFunction((id) => (document.querySelector('.request')?.dataset.request ?? id) !== id, id);

/** Holds a state against WCAG 2.2 AA, as far as a machine can. */
async function accessible(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`), [], state);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${state}: the page scrolls sideways`);
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${state.replace(/\W+/g, '-')}.png`), fullPage: true });
}

const scenarios = {
  async 'set up, sign in, match, hello'(browser, base) {
    const page = await visit(browser, base);
    assert.equal(await page.inputValue('#phone-email'), 'ada@example.org', 'the demo address is offered');
    const email = somebody();
    await setUp(page, email);
    const n = await signIn(page);
    assert.match(n, /^\d\d$/);
    assert.ok((await page.title()).startsWith(`${n} · `), 'the tab carries the number');
    await page.waitForSelector('.request');
    await page.waitForSelector('.waiting');
    await page.waitForFunction(() => document.activeElement.id === 'phone-number'); // the number field has focus
    const asked = await page.textContent('.request');
    for (const word of ['Northwind Coffee', 'This computer', 'Chrome on Linux', 'left']) assert.ok(asked.includes(word), `the phone does not say ${word}`);
    const still = asked.replace(/\d\d:\d\d:\d\d,\s+\d+:\d\d left/, ''); // clocks show any two digits in their time
    assert.notEqual(still, asked, 'the clocks are not where this test looks for them');
    assert.ok(!still.includes(n), 'the number is not on the phone');
    const [no, yes] = await page.$$eval('.pair .button', (all) => all.map((e) => e.getBoundingClientRect()).map((r) => [r.width, r.height]));
    assert.deepEqual(no, yes, 'yes and no are equally large');
    await page.click('.request button.primary');
    assert.match(await page.textContent('#phone-number-problem'), /two digits/, 'an empty number is not sent');
    await answer(page, n);
    await page.waitForSelector('.hello');
    await page.waitForSelector('.done.yes');
    assert.ok((await page.textContent('.hello')).includes(email));
    assert.ok(!(await page.title()).includes(n), 'the number has left the tab');
    assert.deepEqual(await page.$$eval('.hello code', (all) => all.map((e) => e.textContent).sort()), ['hwk', 'mca', 'mfa', 'user']);
    await page.click('.proven summary');
    await page.waitForFunction(() => document.querySelector('.checked').textContent.includes('key signed this'));
    const { claims } = JSON.parse(await page.textContent('[data-hello=claims]'));
    assert.equal(claims.iss, base);
    assert.equal(claims.aud, 'demo-web');
    assert.match(claims.sub, /^usr_/);
    await page.waitForFunction(() => /This page knew/.test(document.querySelector('[data-slot=speed]').textContent));
    await page.click('.hello > .button');
    assert.equal(await title(page, '#shop .desk'), 'Your basket');
    await leave(page);
  },

  async 'opened by its address, it goes by its name'(browser, base) {
    const page = await visit(browser, base);
    await page.goto(`${base.replace('localhost', '127.0.0.1')}/playground/?a=b#c`);
    assert.equal(page.url(), `${base}/playground/?a=b#c`);
    assert.deepEqual(page.complaints.splice(0), [`foreign request: ${base.replace('localhost', '127.0.0.1')}/playground/?a=b`]);
    await leave(page);
  },

  async 'the wire shows what was said'(browser, base) {
    const page = await visit(browser, base);
    const email = somebody();
    await setUp(page, email);
    const n = await signIn(page);
    await answer(page, n);
    await page.waitForSelector('.hello');
    for (const words of ['→shopauth/anonymous_invoke web_login', '→shopauth/assert web_to_mobile', '→phoneauth/mobile_approve approve', '←phone200 completed', '←shop200 completed']) {
      await page.waitForFunction((words) => [...document.querySelectorAll('.wire summary')].some((e) => e.textContent.includes(words)), words); // the shop may hear before the phone
    }
    const lines = await page.$$eval('.wire summary', (all) => all.map((e) => e.textContent));
    assert.ok(lines.filter((l) => l.includes('←')).every((l) => /\d+ ms$/.test(l)), 'a response says how long it took');
    const ask = page.locator('.wire .out', { hasText: 'web_to_mobile' }).first();
    await ask.locator('summary').click();
    const body = JSON.parse(await ask.locator('pre').textContent());
    assert.deepEqual(body.data.data, { escape_id: 'web_to_mobile', escape_params: { email } });
    await page.click('[data-wire=toggle]');
    assert.equal(await page.isVisible('#wire-body'), false);
    await leave(page);
  },

  async 'a wrong number ends it'(browser, base) {
    const page = await visit(browser, base);
    await setUp(page, somebody());
    const n = await signIn(page);
    await answer(page, other(n));
    await page.waitForSelector('.done.no');
    assert.equal(await title(page, '.done'), 'That did not match');
    await page.waitForSelector('.ended');
    assert.equal(await title(page, '.ended'), 'That did not match');
    await page.click('.ended button');
    await answer(page, await signIn(page));
    await page.waitForSelector('.hello');
    await leave(page);
  },

  async 'the switches: wrong number, deny, offline'(browser, base) {
    const page = await visit(browser, base);
    await setUp(page, somebody());
    const flip = (value) => page.check(`input[value=${value}]`);
    await flip('wrong');
    await signIn(page);
    await page.waitForSelector('.ended');
    assert.equal(await title(page, '.ended'), 'That did not match');
    await flip('deny');
    await page.click('.ended button');
    await signIn(page);
    await page.waitForSelector('.ended');
    assert.equal(await title(page, '.ended'), 'Denied');
    await flip('offline');
    await page.click('.ended button');
    const n = await signIn(page);
    assert.equal(await title(page, '.idle'), 'Offline');
    await page.waitForTimeout(2000); // what an offline phone hears is nothing, for as long as one cares to listen
    assert.equal(await page.isVisible('.request'), false);
    await flip('you');
    await answer(page, n);
    await page.waitForSelector('.hello');
    await leave(page);
  },

  async 'not me, by mistake and in earnest'(browser, base) {
    const page = await visit(browser, base);
    await setUp(page, somebody());
    await signIn(page);
    await page.click('.request [data-act=no]');
    await page.click('[data-act=back]');
    await page.waitForSelector('.request');
    await page.click('.request [data-act=no]');
    await page.click('[data-act=deny]');
    await page.waitForSelector('.done.no');
    assert.equal(await title(page, '.done'), 'Denied');
    await page.waitForSelector('.ended');
    await page.click('.ended button');
    await signIn(page);
    await page.click('.request [data-act=no]');
    await page.click('[data-act=not-me]');
    await page.waitForSelector('.done.no');
    assert.equal(await title(page, '.done'), 'Reported');
    await page.waitForFunction(() => document.querySelector('.ended')?.textContent.includes('did not start this'));
    await leave(page);
  },

  async 'send again'(browser, base) {
    const page = await visit(browser, base);
    await setUp(page, somebody());
    await signIn(page);
    const request = await shown(page);
    const left = async () => Number((await page.textContent('[data-act=resend]')).match(/\((\d+) left\)/)[1]);
    const before = await left();
    await page.click('[data-act=resend]');
    await page.waitForFunction((n) => document.querySelector('[data-act=resend]').textContent.includes(`(${n} left)`), before - 1);
    await page.click('[data-act=resend]');
    await page.waitForFunction(() => /Wait a moment/.test(document.querySelector('.waiting .note').textContent));
    assert.equal(await left(), before - 1, 'one that was not sent is not counted');
    await another(page, request);
    await answer(page, await number(page));
    await page.waitForSelector('.hello');
    await leave(page);
  },

  async 'cancel, and another way'(browser, base) {
    const page = await visit(browser, base);
    await setUp(page, somebody());
    await signIn(page);
    await page.waitForSelector('.request');
    await page.click('.waiting [data-act=cancel]');
    await page.waitForSelector('.ended.over');
    assert.equal(await title(page, '.ended'), 'Cancelled');
    await page.waitForSelector('.done.over');
    assert.equal(await title(page, '.done'), 'This request is over');
    await page.click('.ended button');
    await signIn(page);
    const request = await shown(page);
    await page.click('.waiting [data-act=another]');
    await page.waitForSelector('#shop-email');
    const n = await signIn(page); // the same journey goes on
    await another(page, request);
    await answer(page, n);
    await page.waitForSelector('.hello');
    await leave(page);
  },

  async 'an address without this phone'(browser, base) {
    const page = await visit(browser, base);
    await page.click('#shop form button.primary');
    await page.waitForFunction(() => /not set up/.test(document.querySelector('.waiting .note')?.textContent));
    await page.click('.waiting [data-act=cancel]');
    await page.waitForSelector('.ended');
    await page.click('.ended button');
    await setUp(page, somebody());
    await page.fill('#shop-email', 'not an address');
    await page.click('#shop form button.primary');
    assert.equal(await page.textContent('#shop-email-problem'), 'That is not an e-mail address.');
    await page.fill('#shop-email', somebody());
    await signIn(page);
    assert.match(await page.textContent('.waiting .note'), /set up for/);
    await leave(page);
  },

  async 'a second phone asks the first'(browser, base) {
    const email = somebody();
    const one = await visit(browser, base);
    await setUp(one, email);
    const two = await visit(browser, base);
    await two.fill('#phone-email', email);
    await two.click('.setup button');
    await two.waitForSelector('.other ww-tile');
    const n = await two.getAttribute('.other ww-tile', 'number');
    await one.waitForSelector('.request');
    await one.fill('#phone-number', n);
    await one.click('.request button.primary');
    await one.waitForSelector('.done.yes');
    await two.waitForSelector('.idle');
    await two.click('#shop form button.primary'); // two phones: which one?
    await two.waitForSelector('.desk .phones');
    assert.equal(await two.locator('.desk .phones label').count(), 2);
    await two.click('.desk .panel button.primary');
    await two.waitForSelector('.waiting');
    await Promise.race([one.waitForSelector('.request'), two.waitForSelector('.request')]);
    await leave(two);
    const three = await visit(browser, base);
    await three.fill('#phone-email', email);
    await three.click('.setup button');
    await three.click('[data-act=fresh]');
    await three.waitForSelector('.setup .say');
    assert.notEqual(await three.inputValue('#phone-email'), email);
    await three.click('.setup button');
    await three.waitForSelector('.idle');
    await leave(three);
    await leave(one);
  },

  async 'the phone survives a reload and can start over'(browser, base) {
    const page = await visit(browser, base);
    const email = somebody();
    await setUp(page, email);
    await page.reload();
    await page.waitForSelector('.idle');
    assert.equal(await page.inputValue('#shop-email'), email);
    await answer(page, await signIn(page));
    await page.waitForSelector('.hello');
    await page.click('.done button');
    await page.click('[data-act=reset]');
    await page.waitForSelector('.setup');
    assert.notEqual(await page.inputValue('#phone-email'), email);
    await leave(page);
  },

  async 'the keyboard is enough'(browser, base) {
    const page = await visit(browser, base);
    await page.focus('#phone-email');
    await page.fill('#phone-email', somebody());
    await page.keyboard.press('Enter');
    await page.waitForSelector('.idle');
    await page.focus('#shop-email');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.request');
    await page.waitForFunction(() => document.activeElement.id === 'phone-number');
    await page.keyboard.type(await number(page));
    await page.keyboard.press('Enter');
    await page.waitForSelector('.hello');
    assert.ok(await page.evaluate(() => document.activeElement !== document.body), 'focus is not lost');
    await leave(page);
  },

  async 'every state, wide and narrow, light and dark'(browser, base) {
    for (const [viewport, colorScheme] of [[WIDE, 'light'], [WIDE, 'dark'], [NARROW, 'light'], [NARROW, 'dark'], [{ width: 320, height: 640 }, 'light']]) {
      const page = await visit(browser, base, { viewport, colorScheme });
      const holds = (state) => accessible(page, `${state}, ${viewport.width} ${colorScheme}`);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await holds('start');
      await setUp(page, somebody());
      await holds('idle');
      const n = await signIn(page);
      await page.waitForSelector('.request');
      await holds('waiting');
      if (process.env.SHOTS && viewport === WIDE && colorScheme === 'light') await page.screenshot({ path: join(process.env.SHOTS, 'playground.png') });
      await answer(page, n);
      await page.waitForSelector('.hello');
      await page.waitForSelector('.done.yes');
      await page.click('.proven summary');
      await page.locator('.wire .in summary').last().click();
      await holds('hello');
      await page.click('.hello > .button');
      await signIn(page);
      await page.click('.request [data-act=no]');
      await holds('no');
      await page.click('[data-act=deny]');
      await page.waitForSelector('.ended');
      await page.waitForSelector('.done.no');
      await holds('denied');
      await page.goto(`${base}/dev/inbox`);
      await holds('inbox');
      await leave(page);
    }
  },

  async 'nobody answers'(browser, base) {
    if (!process.env.WATCHWORD_REQUIRE_ALL) return 'skipped: takes two minutes; set WATCHWORD_REQUIRE_ALL=1';
    const page = await visit(browser, base);
    await setUp(page, somebody());
    await signIn(page);
    await page.waitForSelector('.ended.over', { timeout: 150_000 });
    assert.equal(await title(page, '.ended'), 'Nobody answered');
    await page.waitForSelector('.done.over');
    return leave(page);
  },
};

const { base, stop } = await server();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
let failed = 0;
for (const [name, run] of Object.entries(scenarios)) {
  if (process.argv[2] && !name.includes(process.argv[2])) continue;
  const since = Date.now();
  try {
    const note = await run(browser, base);
    console.log(`ok   ${name} (${note ?? `${Date.now() - since} ms`})`);
  } catch (err) {
    failed++;
    console.log(`FAIL ${name}\n${err.stack}`);
  }
}
await browser.close();
await stop();
process.exit(failed ? 1 : 0);
