// The app's shell without a network, and its notifications without the app. The
// server puts a line before this: what the files are, and a name for exactly these
// (a hash of their content), so that a shell is never half new.

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

worker.addEventListener('push', (/** @type {any} */ e) => {
  let said = { title: 'Watchword', body: '', requestId: '' };
  try {
    said = { ...said, ...e.data.json() };
  } catch {
    // a push without words still means that something waits
  }
  e.waitUntil(worker.registration.showNotification(said.title, { body: said.body, tag: said.requestId, icon: 'icon-192.png', badge: 'icon-192.png', requireInteraction: true }));
});

worker.addEventListener('notificationclick', (/** @type {any} */ e) => {
  e.notification.close();
  e.waitUntil((async () => {
    const [open] = await worker.clients.matchAll({ type: 'window' });
    if (open) return open.focus();
    return worker.clients.openWindow('/authenticator/');
  })());
});
