// Runs the real SDK against the real server, in Node and in Chromium.
//
//   WATCHWORD_BIN=…   the server's binary (required)
//   TEST_POSTGRES=…   URL of a PostgreSQL server; empty: SQLite

import { crossSession, flows, runsOut } from './sdk/flows.mjs';
import { start } from './sdk/server.mjs';
import { launch } from './sdk/chromium.mjs';

const bin = process.env.WATCHWORD_BIN;
if (!bin) {
  console.error('set WATCHWORD_BIN');
  process.exit(2);
}
const store = process.env.TEST_POSTGRES ? 'PostgreSQL' : 'SQLite';
const w = await start({ bin, postgres: process.env.TEST_POSTGRES });
let failed = 0;

async function test(where, name, fn) {
  const begun = performance.now();
  try {
    await fn();
    console.log(`ok   ${store} ${where}: ${name} (${Math.round(performance.now() - begun)} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAIL ${store} ${where}: ${name}\n${e.stack}`);
  }
}

try {
  const { open } = await import('./sdk/node.mjs');
  const chromium = await launch(w.base);
  let n = 0;
  // Takes half a minute, so it runs beside the others; in Node all instances share the SDK's storage.
  const late = test('Chromium', 'nobody answers', async () => runsOut(await chromium.open(undefined, 'hasty-web'), w));
  for (const [name, flow] of Object.entries(flows)) await test('Chromium', name, async () => flow(await chromium.open(), w));
  await test('Chromium', 'one session waits for another', async () => crossSession(await chromium.open(), await chromium.open()));
  await test('Chromium', 'an origin that is not allowed', async () => {
    const sdk = await chromium.open(undefined, 'demo-backend');
    let refused = false;
    await sdk.startJourney('web_login').then((r) => { refused = r.type === 'journey_rejection'; }, () => { refused = true; });
    if (!refused) throw new Error('a client without origins was served');
  });
  for (const [name, flow] of Object.entries(flows)) await test('Node', name, async () => flow(await open(w.base, ++n), w));
  await test('Node', 'one session waits for another', async () => crossSession(await open(w.base, ++n), await open(w.base, ++n)));
  await late;
  await chromium.stop();
} finally {
  await w.stop();
}
process.exit(failed ? 1 : 0);
