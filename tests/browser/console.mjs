// What the specs of the console share: a development server of their own, a
// browser that complains of everything, and a few words.
//
//   WATCHWORD_BIN=…   the binary to start, with the console built into it
//   SHOTS=DIR         keeps a picture of every place, drawer and dialog, wide and
//                     narrow, light and dark; without it, drawers and dialogs are
//                     held against the rules wide and light only
//   ONLY=REGEXP       runs the tests alone whose name fits
//   LATE=MS, SLOW=N   what pages fetch comes late, and so does what they draw (late.mjs)

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
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const root = fileURLToPath(new URL('../..', import.meta.url));
export const shots = process.env.SHOTS;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const data = mkdtempSync(join(tmpdir(), 'watchword-console-'));

/** A name that is markup, a script and a template. */
export const evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}';

async function server() {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  const child = spawn(process.env.WATCHWORD_BIN, ['dev', '--json', '--listen', `127.0.0.1:${port}`, '--data', data], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (b) => { out += b; });
  child.stderr.resume();
  for (let i = 0; !out.includes('ready on'); i++) {
    if (child.exitCode !== null || i > 300) throw new Error(`the server does not serve:\n${out}`);
    await new Promise((again) => { setTimeout(again, 100); });
  }
  return { base, data, facts: JSON.parse(out.split('\n')[0]), stop: () => new Promise((done) => { child.on('exit', done); child.kill('SIGTERM'); }) };
}

export const w = await server();
export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** A person at a browser of their own. */
export async function person() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  await context.addInitScript(() => { document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)); });
  await slow(context);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  return { context, page };
}

export const { context, page } = await person();
let complaints = [];
page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
page.on('pageerror', (e) => complaints.push(String(e.stack)));
page.on('response', (r) => { if (r.status() >= 400) complaints.push(`${r.status()} ${r.url()}`); });
let leaving = 0;
page.on('dialog', (d) => {
  if (d.type() === 'beforeunload') { leaving++; void d.accept(); return; }
  complaints.push(`dialog: ${d.message()}`);
  void d.dismiss();
});

/** What the browser complained of since the test began. */
export const complained = () => complaints;
/** Forgets complaints that were asked for. */
export const forget = () => { complaints = []; };
/** How often closing the page was asked about since this was asked last. */
export const askedToClose = () => { const n = leaving; leaving = 0; return n; };

export const quiet = (where) => { assert.deepEqual(complaints, [], where); };
export const at = (path) => page.goto(`${w.base}/console${path}`);
export const settled = (on = page) => on.waitForFunction(() => !document.querySelector('.loading') && document.querySelector('h1'));
export const press = (name) => page.getByRole('button', { name, exact: true }).click();
export const saved = () => page.locator('.saving', { hasText: /^Saved$/ }).waitFor();
export const here = () => new URL(page.url()).pathname.replace('/console', '');

const WIDTHS = [[1280, 860], [390, 844]];
const SCHEMES = ['light', 'dark'];

/** Looks at a place in both widths and both schemes: nothing scrolls sideways, nothing shuts anybody out. */
export async function look(path, open = () => at(path)) {
  try {
    for (const [width, height] of WIDTHS) {
      await page.setViewportSize({ width, height });
      await open();
      await settled();
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await held(path, width, colorScheme);
      }
      quiet(`${path} at ${width}`);
    }
  } finally {
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.emulateMedia({ colorScheme: 'light' });
  }
}

/** Holds what is shown against WCAG 2.2 AA, as far as a machine can. Where pictures are kept, it does so in both widths and both schemes. */
export async function accessible(where) {
  if (!shots) return axed(where);
  try {
    for (const [width, height] of WIDTHS) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await held(where, width, colorScheme);
      }
    }
  } finally {
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.emulateMedia({ colorScheme: 'light' });
  }
}

/** The state of a page in one width and one scheme. */
async function held(where, width, colorScheme) {
  await still(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${where} scrolls sideways by ${wide} at ${width}`);
  const away = await page.evaluate(() => [...document.querySelectorAll('.tablebox td .btn:not(.quiet), .tab[data-state=active]')].filter((e) => e.checkVisibility() && (e.getBoundingClientRect().right > innerWidth || e.getBoundingClientRect().left < 0)).map((e) => e.getAttribute('aria-label') ?? e.textContent));
  assert.deepEqual(away, [], `${where} at ${width}: out of sight`);
  await axed(`${where} ${width} ${colorScheme}`);
  await shot(`${where.replace(/(usr|org|whk)_\w+/, '$1')}_${width}_${colorScheme}`);
}

/** Keeps a picture of what is in sight, for the documentation, where pictures are kept. */
export async function picture(name) {
  await still(page);
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
}

/** Keeps a picture of the page, or of a part of it, where pictures are kept. */
export async function shot(name, of = page) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  const size = page.viewportSize();
  const tall = of === page ? await page.evaluate(() => document.querySelector('.drawer')?.scrollHeight ?? 0) : 0;
  if (tall > size.height) await page.setViewportSize({ width: size.width, height: tall }); // all of what is beside
  await of.screenshot({ path: join(shots, `${name.replace(/[^\w.-]+/g, '_') || '_'}.png`), ...(of === page && { fullPage: true }) });
  if (tall > size.height) await page.setViewportSize(size);
}

async function axed(where) {
  await explained(where);
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  assert.deepEqual(violations.map((v) => `${where}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`), []);
}

/** Every primary button that is closed says why, beside it; what a question stands before is nobody's to see. */
async function explained(where) {
  const mute = () => [...document.querySelectorAll('.btn.primary:disabled')].filter((b) => b.checkVisibility() && !b.closest('[aria-hidden=true], [inert]') && !document.getElementById(b.getAttribute('aria-describedby') ?? '')?.textContent.trim()).map((b) => b.textContent);
  await page.waitForFunction(`(${mute})().length === 0`).catch(async () => assert.deepEqual(await page.evaluate(mute), [], `${where}: closed without a word`));
}

let failed = 0;
export async function test(name, fn, seconds = 120) {
  if (process.env.ONLY && !new RegExp(process.env.ONLY).test(name)) return;
  complaints = [];
  const begun = performance.now();
  try {
    await Promise.race([fn(), new Promise((_, no) => { setTimeout(() => no(new Error(`took longer than ${seconds} s`)), seconds * 1000).unref(); })]);
    quiet(name);
    console.log(`ok   console: ${name} (${Math.round(performance.now() - begun)} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAIL console: ${name}\n${e.stack}`);
    if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `FAIL_${name.replace(/\W+/g, '_')}.png`) }).catch(() => {}); }
  }
}

export const api = (method, path, body, etag) => page.evaluate(async ([method, path, body, etag]) => {
  const r = await fetch(path.startsWith('/admin/') ? path : `/admin/v1${path}`, { method, headers: { ...(body && { 'Content-Type': 'application/json' }), ...(etag && { 'If-Match': etag }) }, body: body ? JSON.stringify(body) : undefined });
  return { status: r.status, etag: r.headers.get('ETag'), doc: await r.json().catch(() => null) };
}, [method, path, body, etag]);

/** Opens the console by the link that the server printed. */
export async function enter() {
  await page.goto(w.facts.console);
  await page.getByRole('link', { name: 'Journeys', exact: true }).waitFor();
}

/** Somebody who tries to sign in with a wrong password, in a browser of their own. */
export async function visitor(name, password) {
  const { context, page: visit } = await person();
  await visit.goto(`${w.base}/login/demo-web/sign_in`);
  await visit.fill('input[name=username]', name);
  await visit.keyboard.press('Enter');
  await visit.getByLabel('Password', { exact: true }).fill(password);
  await visit.keyboard.press('Enter');
  await visit.getByRole('alert').getByText('That did not match').waitFor();
  return context;
}

/** Runs the tests of a spec and ends the process. */
export async function spec(tests) {
  try {
    await tests();
  } finally {
    await browser.close();
    await w.stop();
    rmSync(data, { recursive: true, force: true });
  }
  process.exit(failed ? 1 : 0);
}
