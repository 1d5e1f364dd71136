// What the tests of the hosted pages share: a server of their own, a browser whose
// pages may not complain, and a look at a state in every way that people see it.
//
//   WATCHWORD_BIN=…   the binary to start; without it, `go run ./cmd/watchword`
//   SHOTS=DIR         keeps a picture of every state, wide and narrow, light and dark

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { slow } from './late.mjs';
import { still } from './still.mjs';
import { freePort } from '../sdk/port.mjs';

const require = createRequire(new URL('../node/package.json', import.meta.url));
export const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const root = fileURLToPath(new URL('../..', import.meta.url));
export const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
export const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 390, height: 844 };
export const [program, ...first] = process.env.WATCHWORD_BIN ? [process.env.WATCHWORD_BIN] : ['go', 'run', './cmd/watchword'];
export const data = mkdtempSync(join(tmpdir(), 'watchword-hosted-'));

/** Starts the server, on an address that browsers give passkeys to. */
export async function server() {
  const port = await freePort();
  const child = spawn(program, [...first, 'dev', '--json', '--listen', `127.0.0.1:${port}`, '--data', data], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let out = '';
  let err = '';
  child.stdout.on('data', (b) => { out += b; });
  child.stderr.on('data', (b) => { err += b; });
  const base = `http://localhost:${port}`;
  for (let i = 0; ; i++) {
    if (child.exitCode !== null || i > 600) throw new Error(`the server does not serve:\n${out}${err}`);
    if (await fetch(`${base}/healthz`).then((r) => r.ok, () => false) && out.includes('\n')) break;
    await new Promise((again) => { setTimeout(again, 100); });
  }
  const stop = async () => {
    const gone = new Promise((resolve) => child.on('exit', resolve));
    process.kill(-child.pid, 'SIGTERM'); // `go run` and what it runs
    await gone;
    rmSync(data, { recursive: true, force: true });
  };
  return { base, facts: JSON.parse(out.split('\n')[0]), stop };
}

/** A fresh browser profile whose page may not complain about anything. */
export async function visit(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  await slow(context);
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 422/.test(m.text())) page.complaints.push(m.text()); });
  page.on('pageerror', (e) => page.complaints.push(String(e.stack)));
  page.on('response', (r) => { if (r.status() >= 400 && r.status() !== 422) page.complaints.push(`${r.status()} ${r.url()}`); });
  return page;
}

export async function leave(page) {
  assert.deepEqual(page.complaints, [], 'the page complained');
  await page.context().close();
}

/** Holds a state against WCAG 2.2 AA, as far as a machine can. */
export async function accessible(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.failureSummary}`).join(', ')}`), [], state);
  const small = await page.evaluate(() => [...document.querySelectorAll('button, summary, select, input:not([type=hidden], [type=radio], [type=checkbox], .aside), a')]
    .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44 && !e.classList.contains('aside'))
    .map((e) => `${e.tagName} ${e.textContent.trim()} ${e.getBoundingClientRect().height}`));
  assert.deepEqual(small, [], `${state}: targets of less than 44 px`);
}

export async function unscrolled(page, state) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${state}: the page scrolls sideways by ${wide}`);
}

const seen = new Set();

/** Looks at a state in light and dark, wide and narrow, at 320 px, enlarged, and from right to left. */
export async function look(page, state) {
  if (seen.has(state)) return;
  seen.add(state);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const viewport of [WIDE, NARROW]) {
      await page.setViewportSize(viewport);
      await still(page);
      await unscrolled(page, `${state} ${colorScheme} ${viewport.width}`);
      if (!shots) continue;
      await page.screenshot({ path: join(shots, `${state}-${colorScheme}-${viewport.width}.png`), fullPage: true });
      if (viewport === WIDE) await accessible(page, `${state} ${colorScheme} ${viewport.width}`);
    }
    await accessible(page, `${state} ${colorScheme}`);
  }
  await page.setViewportSize({ width: 320, height: 640 }); // also 1280 at 400 %
  await unscrolled(page, `${state} at 320 px`);
  if (shots) await page.screenshot({ path: join(shots, `${state}-320.png`), fullPage: true });
  await page.setViewportSize({ width: 640, height: 400 }); // 1280 at 200 %
  await page.evaluate(() => { document.documentElement.dir = 'rtl'; });
  await unscrolled(page, `${state} from right to left at 200 %`);
  if (shots && /^(wait|account|choose)$/.test(state)) await page.screenshot({ path: join(shots, `${state}-rtl.png`), fullPage: true });
  await page.evaluate(() => { document.documentElement.dir = 'ltr'; });
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(WIDE);
}

/** Adds an authenticator that is built into the browser and says yes. */
export async function authenticator(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
}

export const title = (page, text) => page.waitForFunction((t) => document.querySelector('h1')?.textContent === t, text);

/**
 * Runs scenarios in one browser on one server, and ends the process: 0 means that all
 * of it held.
 * @param {Record<string, Function>} scenarios
 * @param {string[]} [flags] of the browser
 */
export async function play(scenarios, flags = []) {
  const w = await server();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...FLAGS, ...flags] });
  let failed = 0;
  for (const [name, run] of Object.entries(scenarios)) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    try {
      await run(browser, w);
      console.log(`ok   ${name}`);
    } catch (e) {
      failed++;
      console.log(`FAIL ${name}\n${e.stack}`);
    }
  }
  await browser.close();
  await w.stop();
  process.exit(failed ? 1 : 0);
}
