// The client code that the console hands out runs as it is, with the real SDK.

import assert from 'node:assert/strict';

import { beside } from './node.mjs';

/** What the console shows as the client's code of a journey. */
async function code(w, journey) {
  const link = new URL(w.facts.console);
  const signedIn = await fetch(`${w.base}/admin/v1/session/invitation`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ secret: new URLSearchParams(link.hash.slice(1)).get('invite'), name: 'Grace', email: 'grace@example.org' }),
  });
  assert.equal(signedIn.status, 200, await signedIn.text());
  const cookie = signedIn.headers.get('set-cookie').split(';')[0];
  const listed = await fetch(`${w.base}/admin/v1/journeys/${journey}/code?client=demo-web`, { headers: { cookie } });
  assert.equal(listed.status, 200);
  return (await listed.json()).items.find((s) => s.platform === 'web').text;
}

export async function generated(w) {
  const { run } = await beside(await code(w, 'web_login'));
  const email = `generated-${Date.now()}@example.org`;
  const phone = w.phone('generated');
  assert.ok((await phone('register', '--server', w.base, '--client', 'demo-native', '--email', email)).ok);
  const offered = [];
  let answered = null;
  const end = await run({
    ask: async (step, ways) => {
      offered.push([step.journeyStepId, ways]);
      return { option: 'web_to_mobile', data: { email } };
    },
    show: (step) => { answered ??= phone('approve', '--number', step.data.number, '--wait', '5'); },
  });
  assert.deepEqual(offered, [['login', { web_to_mobile: ['email'], cancel: [] }]]);
  assert.ok((await answered).ok);
  assert.ok(end.ok && end.token, JSON.stringify(end));
}
