// What Lighthouse looks at, as far as it can be asked without a network: how soon a
// page is there on a slow phone, that nothing jumps, that the main thread is free,
// and the plain virtues of a page and of how it is served.
//
//   WATCHWORD_BIN=…   the binary to start, with the console built into it
//
// The phone is Lighthouse's: 150 ms away, 1.6 Mbit/s, its processor slowed down.
// Its budgets are the ones under which Web Vitals are called good. The slowing is
// half of Lighthouse's four times, because the machines that run this are slow and
// shared; nothing here is decided by a few milliseconds. What takes too long is
// loaded anew, three times at most: a machine that is busy is slow now and then, a
// page that is slow is so each time.

import assert from 'node:assert/strict';
import { chromium, FLAGS, NARROW, server } from './pages.mjs';

const PHONE = { latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8, offline: false };
const GOOD = { fcp: 1800, lcp: 2500, cls: 0.1, blocked: 200 };
const TIMES = ['fcp', 'lcp', 'blocked']; // those that others on the machine add to

const w = await server();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** Notes, in the page, what web-vitals would report. */
function watch() {
  const v = { fcp: 0, lcp: 0, cls: 0, blocked: 0, moved: [] };
  window.vitals = v;
  new PerformanceObserver((l) => { for (const e of l.getEntries()) if (e.name === 'first-contentful-paint') v.fcp = e.startTime; }).observe({ type: 'paint', buffered: true });
  new PerformanceObserver((l) => { v.lcp = l.getEntries().at(-1).startTime; }).observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver((l) => {
    for (const e of l.getEntries()) {
      if (e.hadRecentInput) continue;
      v.cls += e.value;
      v.moved.push(...e.sources.map((s) => s.node?.outerHTML?.slice(0, 80) ?? '?'));
    }
  }).observe({ type: 'layout-shift', buffered: true });
  new PerformanceObserver((l) => { for (const e of l.getEntries()) v.blocked += Math.max(0, e.duration - 50); }).observe({ type: 'longtask', buffered: true });
}

/** Opens a page on the slow phone, with nothing in its cache, and measures it. */
async function load(path, ready) {
  const context = await browser.newContext({ viewport: NARROW, isMobile: true, hasTouch: true, deviceScaleFactor: 2, serviceWorkers: 'block' });
  await context.addInitScript(watch);
  const page = await context.newPage();
  const answers = [];
  page.on('response', (r) => answers.push(r));
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', PHONE);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 2 });
  await page.goto(w.base + path);
  await page.locator(ready).first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.loading') && document.querySelector('h1')); // the console says so
  await page.waitForLoadState('networkidle');
  await page.locator('h1').first().waitFor();
  // Everything that was under way is over when nothing is painted for a while.
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 300))); }));
  const vitals = await page.evaluate(() => window.vitals);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
  return { context, page, answers, vitals };
}

/** The plain virtues of a page. */
function virtues() {
  const out = [];
  const must = (is, what) => { if (!is) out.push(what); };
  must(document.doctype, 'no doctype');
  must(document.characterSet === 'UTF-8', `characters in ${document.characterSet}`);
  must(document.title.trim().length > 2, 'no title');
  must(/^[a-z]{2}/.test(document.documentElement.lang), 'no language');
  const viewport = document.querySelector('meta[name=viewport]')?.getAttribute('content') ?? '';
  must(/width=device-width/.test(viewport) && !/user-scalable=no|maximum-scale=[01]\b/.test(viewport), `viewport: ${viewport}`);
  must(document.querySelectorAll('h1').length === 1, `${document.querySelectorAll('h1').length} first headings`);
  must(document.documentElement.scrollWidth <= innerWidth, 'it scrolls sideways');
  must(document.querySelector('link[rel~=icon]'), 'no icon');
  must(document.querySelector('meta[name=theme-color]'), 'no theme colour');
  for (const img of document.images) must(img.naturalWidth > 0 && img.getBoundingClientRect().width > 0 && img.hasAttribute('alt'), `a picture: ${img.outerHTML.slice(0, 90)}`);
  for (const a of document.querySelectorAll('a[target=_blank]')) must(/noopener|noreferrer/.test(a.rel), `a link hands over its window: ${a.outerHTML.slice(0, 90)}`);
  for (const e of document.querySelectorAll('input:not([type=hidden])')) must(!e.checkVisibility() || parseFloat(getComputedStyle(e).fontSize) >= 16, `iOS zooms into ${e.outerHTML.slice(0, 90)}`);
  const text = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.closest('svg') && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  for (const e of text) must(parseFloat(getComputedStyle(e).fontSize) >= 12, `small print: ${e.outerHTML.slice(0, 90)}`);
  return out;
}

/** How a page's files came. */
async function served(answers) {
  const out = [];
  for (const r of answers) {
    const path = new URL(r.url()).pathname;
    const h = await r.allHeaders();
    if (r.status() >= 400) out.push(`${path}: ${r.status()}`);
    if (r.status() !== 200) continue;
    const size = (await r.body().catch(() => Buffer.alloc(0))).length;
    // What is made for one visitor is not packed: its length would tell of what is in it.
    if (!/no-store/.test(h['cache-control']) && /script|css|html|json|svg/.test(h['content-type'] ?? '') && size > 1400 && !h['content-encoding']) out.push(`${path}: ${size} bytes, not packed`);
    if (h['x-content-type-options'] !== 'nosniff') out.push(`${path}: its type may be guessed`);
    if (!h['cache-control']) out.push(`${path}: nothing is said about keeping it`);
    if (/-[\w-]{8}\.(js|css)$/.test(path) && !/immutable/.test(h['cache-control'])) out.push(`${path}: fetched again although its name is of its content`);
    if ((h['content-type'] ?? '').startsWith('text/html') && !h['content-security-policy']) out.push(`${path}: no policy`);
  }
  return out;
}

let failed = 0;
async function test(name, path, ready) {
  try {
    let loaded = await load(path, ready);
    for (let again = 2; again > 0 && TIMES.some((name) => loaded.vitals[name] > GOOD[name]); again--) {
      console.log(`     ${name}: ${TIMES.map((t) => `${t} ${Math.round(loaded.vitals[t])}`).join(', ')}: once more`);
      await loaded.context.close();
      loaded = await load(path, ready);
    }
    const { context, page, answers, vitals: v } = loaded;
    const bad = [...await page.evaluate(virtues), ...await served(answers)];
    for (const [name, limit] of Object.entries(GOOD)) if (v[name] > limit) bad.push(`${name} ${v[name].toFixed(2)}, more than ${limit}${name === 'cls' ? `: ${v.moved.join(', ')}` : ''}`);
    if (!v.fcp || !v.lcp) bad.push('nothing was painted');
    await context.close();
    assert.deepEqual(bad, []);
    console.log(`ok   ${name}: first paint ${Math.round(v.fcp)} ms, largest ${Math.round(v.lcp)} ms, moved ${v.cls.toFixed(3)}, blocked ${Math.round(v.blocked)} ms, ${answers.length} answers`);
  } catch (e) {
    failed++;
    console.log(`FAIL ${name}\n${e.stack}`);
  }
}

try {
  await test('sign in', '/login/demo-web/sign_in', 'input:not([type=hidden])');
  await test('account, for whoever is not signed in', '/account/demo-web', 'input:not([type=hidden])');
  await test('the phone app', '/authenticator/', 'h1');
  await test('the playground', '/playground/', 'h1');
  await test('the inbox', '/dev/inbox', 'h1');
  await test('the console, for whoever is not signed in', '/console/', 'h1');
  await test('the console, by its link', new URL(w.facts.console).pathname + new URL(w.facts.console).hash, 'h1');
} finally {
  await browser.close();
  await w.stop();
}
process.exit(failed ? 1 : 0);
