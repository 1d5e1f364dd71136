// Runs the real SDK against the real server, in Node and in Chromium.
//
//   WATCHWORD_BIN=…   the server's binary (required)
//   TEST_POSTGRES=…   URL of a PostgreSQL server; empty: SQLite

import { crossSession, flows, origins, otherBrowser, runsOut, unknownClients } from './sdk/flows.mjs';
import { judges } from './sdk/judges.mjs';
import { passkeys } from './sdk/passkeys.mjs';
import { parties, signerKeys } from './oidc/parties.mjs';
import { pages } from './oidc/pages.mjs';
import { ownPage } from './oidc/sso.mjs';
import { cidaas, shopfront } from './cidaas/sdk.mjs';
import { start } from './sdk/server.mjs';
import { generated } from './sdk/generated.mjs';
import { launch } from './sdk/chromium.mjs';
import * as node from './sdk/node.mjs';

const bin = process.env.WATCHWORD_BIN;
if (!bin) {
  console.error('set WATCHWORD_BIN');
  process.exit(2);
}
const store = process.env.TEST_POSTGRES ? 'PostgreSQL' : 'SQLite';
const chromium = await launch();
const signer = await signerKeys();
const site = await shopfront();
const w = await start({ bin, postgres: process.env.TEST_POSTGRES, origins: [chromium.origins.listed], keys: signer.set, site: site.origin });
let failed = 0;

/** Ends a test that would wait for ever. */
function tooLong() {
  return new Promise((_, reject) => { setTimeout(() => reject(new Error('took longer than two minutes')), 120_000).unref(); });
}

async function test(where, name, fn) {
  const begun = performance.now();
  try {
    const remark = await Promise.race([fn(), tooLong()]);
    console.log(`ok   ${store} ${where}: ${name} (${Math.round(performance.now() - begun)} ms)${remark ? `: ${remark}` : ''}`);
  } catch (e) {
    failed++;
    console.log(`FAIL ${store} ${where}: ${name}\n${e.stack}`);
  }
}

const page = (client, options) => chromium.open(w.base, client, options);
const instance = (client, options) => node.open(w.base, client, options);

try {
  // Takes half a minute, so it runs beside the others; in Node all instances share the SDK's storage.
  const late = test('Chromium', 'nobody answers', async () => runsOut(await page('hasty-web'), w));
  for (const [where, open] of [['Chromium', page], ['Node', instance]]) {
    for (const [name, flow] of Object.entries(flows)) await test(where, name, async () => flow(await open(), w, open));
    await test(where, 'one session waits for another', async () => crossSession(await open(), await open()));
  }
  await test('Chromium', 'passkeys', async () => passkeys(await chromium.machine(w.base)));
  await test('Chromium', 'passkeys, beside an independent verifier', async () => judges(await chromium.machine(w.base)));
  await test('Chromium', 'origins', () => origins(page, chromium.origins));
  await test('Chromium', 'a browser without the key', () => otherBrowser(page));
  for (const [name, flow] of Object.entries(parties)) await test('Chromium', `relying party: ${name}`, async () => flow(await chromium.fresh(), w, signer));
  for (const [name, flow] of Object.entries(pages)) await test('Chromium', `pages: ${name}`, async () => flow(chromium.fresh, w));
  await test('Node', 'the code that the console hands out', () => generated(w));
  for (const [name, flow] of Object.entries(cidaas)) await test('Chromium', `cidaas: ${name}`, async () => flow(await chromium.fresh(), w, site));
  await test('Node', 'a sign-in page of one\'s own', () => ownPage(node.open, w));
  await test('Node', 'an unknown client', () => unknownClients(instance));
  await late;
} finally {
  await chromium.stop();
  site.stop();
  await test('server', 'stops when asked', () => w.stop());
}
process.exit(failed ? 1 : 0);
