// The unmodified SDK in Node, with an IndexedDB of memory that all instances
// share, as the pages of one site do.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../node/package.json', import.meta.url));
await import(pathToFileURL(require.resolve('fake-indexeddb/auto')).href);
const set = (k, v) => Object.defineProperty(globalThis, k, { value: v, configurable: true, writable: true });
set('window', globalThis);
set('navigator', { language: 'en-US', userAgent: 'ci', platform: 'Linux', vendor: '', maxTouchPoints: 0 });

const dist = dirname(require.resolve('@transmitsecurity/platform-web-sdk/ido'));

/** Loads the SDK anew: its modules tell each other of every initialisation, so each instance gets files of its own. */
const load = async () => (await beside('export { ido } from \'@transmitsecurity/platform-web-sdk/ido\';')).ido;

/** A module, as text, beside an SDK of its own. */
export async function beside(text) {
  const dir = mkdtempSync(join(tmpdir(), 'watchword-ido-'));
  try {
    for (const name of ['ido.js', 'common.js']) copyFileSync(join(dist, name), join(dir, name));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(join(dir, 'module.js'), text.replace('@transmitsecurity/platform-web-sdk/ido', './ido.js'));
    return await import(pathToFileURL(join(dir, 'module.js')).href);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** A fresh instance of the SDK. */
export async function open(base, clientId = 'demo-web', { path = '/ido' } = {}) {
  const ido = await load();
  await ido.initialize({ clientId, ido: { serverPath: `${base}${path}`, logLevel: 3 } });
  return new Proxy({ twice: (name, ...args) => Promise.all([1, 2].map(() => ido[name](...args))) }, {
    get: (own, name) => (name === 'then' ? undefined : own[name] ?? (typeof ido[name] === 'function' ? ido[name].bind(ido) : ido[name])),
  });
}
