// The app's shell without a network, and its notifications without the app. The
// server puts a line before this: what the files are, and a name for exactly these
// (a hash of their content), so that a shell is never half new.

import { reach } from './notice.js';
import * as store from './store.js';

/** @type {any} */
const worker = self;
/** @type {{version: string, files: string[], reader: string[]}} */
const { version, files, reader } = worker.SHELL;

worker.addEventListener('install', (/** @type {any} */ e) => {
  e.waitUntil((async () => {
    const cache = await caches.open(version);
    const wanted = 'BarcodeDetector' in worker ? files : [...files, ...reader];
    await cache.addAll(wanted.map((f) => new Request(f, { cache: 'reload' })));
    await worker.skipWaiting();
  })());
});

worker.addEventListener('activate', (/** @type {any} */ e) => {
  e.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith('watchword-') && name !== version) await caches.delete(name);
    await worker.clients.claim();
  })());
});

worker.addEventListener('fetch', (/** @type {any} */ e) => {
  const url = new URL(e.request.url);
  const later = url.pathname.startsWith('/authenticator/lang/') || reader.includes(url.pathname); // each once it was asked for
  if (e.request.method !== 'GET' || url.origin !== location.origin || !(later || files.includes(url.pathname))) return;
  e.respondWith((async () => {
    const cache = await caches.open(version);
    const have = await cache.match(url.pathname);
    if (have) return have;
    const fresh = await fetch(e.request);
    if (later && fresh.ok) await cache.put(url.pathname, fresh.clone());
    return fresh;
  })());
});

// Notifications.

/** @typedef {{title: string, body: string, requestId: string, slot: string, over: string}} Push */

worker.addEventListener('push', (/** @type {any} */ e) => {
  let said = { title: 'Watchword', body: '', requestId: '', slot: '', over: '' };
  try {
    said = { ...said, ...e.data.json() };
  } catch {
    // a push without words still means that something waits
  }
  e.waitUntil(show(said));
});

/** @param {Push} said */
async function show(said) {
  const tag = said.slot || said.requestId || 'watchword'; // the next request of an account takes the place of the last
  const shown = await worker.registration.getNotifications({ tag });
  const pages = await worker.clients.matchAll({ type: 'window' });
  for (const p of pages) p.postMessage({ asks: said.requestId });
  if (pages.some((/** @type {any} */ p) => p.visibilityState === 'visible') && !(await strict())) {
    for (const n of shown) n.close(); // the app says it
    return;
  }
  if (said.over && shown.some((/** @type {any} */ n) => n.data?.id !== said.requestId)) return; // there is a newer one
  const words = await inOwn(said.over ? 'This request has ended.' : said.title, said.over ? '' : said.body);
  await worker.registration.showNotification(words[0], {
    body: words[1], tag, data: { id: said.requestId, over: Boolean(said.over) }, icon: 'icon-192.png', badge: 'icon-192.png', requireInteraction: !said.over, renotify: !said.over, silent: Boolean(said.over),
  });
}

/** Whether the browser's push service takes a subscription away whose messages show nothing. */
async function strict() {
  const s = await worker.registration.pushManager.getSubscription();
  return Boolean(s && /\.push\.apple\.com$/.test(new URL(s.endpoint).hostname));
}

/** What the server says in English, in the language of the app where the app has the words. @param {...string} said */
async function inOwn(...said) {
  const words = async (/** @type {string} */ language) => {
    const file = `/authenticator/lang/${language}.json`;
    return (await caches.match(file) ?? await fetch(file)).json();
  };
  try {
    const [english, own] = await Promise.all([words('en'), words(await store.setting('spoken') ?? 'en')]);
    return said.map((text) => own[Object.keys(english).find((k) => k.startsWith('push.') && english[k] === text) ?? ''] ?? text);
  } catch {
    return said;
  }
}

worker.addEventListener('notificationclick', (/** @type {any} */ e) => {
  e.notification.close();
  const { id = '' } = e.notification.data ?? {};
  e.waitUntil((async () => {
    const [open] = await worker.clients.matchAll({ type: 'window' });
    if (!open) return worker.clients.openWindow(`/authenticator/#request=${encodeURIComponent(id)}`);
    open.postMessage({ open: id });
    return open.focus();
  })());
});

worker.addEventListener('pushsubscriptionchange', (/** @type {any} */ e) => {
  e.waitUntil(reach(worker.registration.pushManager));
});
