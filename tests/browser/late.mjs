// LATE=MS makes every answer that a page fetches late by up to that, at random. It
// finds checks that read once what they should wait for, and buttons that act
// before what they need has come. The timeouts are what they are: more than some
// 500 ms is no test of anything.
//
// SLOW=N gives every page a processor that is N times slower, as on a busy machine:
// what a page does on its own, such as drawing, comes late.

import { setTimeout as pause } from 'node:timers/promises';

const late = Number(process.env.LATE ?? 0);
const rate = Number(process.env.SLOW ?? 1);

/** Makes a browser's pages wait for what they fetch, and for themselves, if that is wanted. @param {import('playwright-core').BrowserContext} context */
export async function slow(context) {
  if (rate > 1) context.on('page', (page) => { void throttled(page).catch(() => {}); }); // a page may be gone before
  if (!late) return;
  await context.route('**', async (route) => {
    if (['fetch', 'xhr'].includes(route.request().resourceType())) await pause(Math.random() * late);
    await route.fallback().catch(() => {});
  });
}

/** @param {import('playwright-core').Page} page */
async function throttled(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate });
}
