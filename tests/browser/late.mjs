// LATE=MS makes every answer that a page fetches late by up to that, at random. It
// finds checks that read once what they should wait for, and buttons that act
// before what they need has come. The timeouts are what they are: more than some
// 500 ms is no test of anything.

import { setTimeout as pause } from 'node:timers/promises';

const late = Number(process.env.LATE ?? 0);

/** Makes a browser's pages wait for what they fetch, if that is wanted. @param {import('playwright-core').BrowserContext} context */
export async function slow(context) {
  if (!late) return;
  await context.route('**', async (route) => {
    if (['fetch', 'xhr'].includes(route.request().resourceType())) await pause(Math.random() * late);
    await route.fallback().catch(() => {});
  });
}
