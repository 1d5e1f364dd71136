// Where this phone is reached while the app is closed: one push subscription of the
// browser, of which the server of each account is told. The app's worker does the
// same when the browser changes it.

import { base64url, fromBase64url } from '/lib/bytes.js';
import { call } from './api.js';
import * as store from './store.js';

/** @typedef {import('./store.js').Kept} Kept */

const AGAIN = 24 * 60 * 60 * 1000; // ms after which a server is told once more: it may have given up on it

/** Whether this browser can be told anything while the app is closed. */
export const able = 'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis;

/** What was begun here last: two at once could tell servers of a subscription that the other has ended. @type {Promise<void>} */
let turn = Promise.resolve();

/** @param {() => Promise<void>} fn */
function inTurn(fn) {
  const mine = turn.then(fn);
  turn = mine.catch(() => {});
  return mine;
}

/**
 * Sees to it that the servers know where this phone is reached. A browser has one
 * subscription, for one key: accounts with another than the first are not told.
 * @param {PushManager} browser
 */
export const reach = (browser) => inTurn(async () => {
  const all = (await store.accounts()).filter((a) => a.about.push && !a.gone);
  const key = all[0]?.about.push;
  if (!key) return;
  const have = await browser.getSubscription();
  const same = have?.options.applicationServerKey && base64url(have.options.applicationServerKey) === key;
  if (have && !same) await have.unsubscribe();
  const s = same && have ? have : await browser.subscribe({ userVisibleOnly: true, applicationServerKey: fromBase64url(key) });
  for (const a of all) {
    const fresh = a.told?.endpoint === s.endpoint && Date.now() - a.told.at < AGAIN;
    if (a.about.push === key && !fresh) await tell(a, JSON.stringify(s), { endpoint: s.endpoint, at: Date.now() });
  }
});

/** Ends it. @param {PushManager} browser */
export const silence = (browser) => inTurn(async () => {
  for (const a of await store.accounts()) if (a.told && !a.gone) await tell(a, '', undefined);
  await (await browser.getSubscription())?.unsubscribe();
});

/** @param {Kept} a @param {string} subscription @param {Kept['told']} told */
async function tell(a, subscription, told) {
  await call({ client: a.client, key: await store.keyOf(a) }, 'subscribe', { subscription });
  const now = (await store.accounts()).find((have) => have.id === a.id);
  if (now) await store.keepAccount({ ...now, told }); // it may have changed, or gone, meanwhile
}
