// The unmodified SDK in Node, with an IndexedDB of memory.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../node/package.json', import.meta.url));
await import(pathToFileURL(require.resolve('fake-indexeddb/auto')).href);
const set = (k, v) => Object.defineProperty(globalThis, k, { value: v, configurable: true, writable: true });
set('window', globalThis);
set('navigator', { language: 'en-US', userAgent: 'ci', platform: 'Linux', vendor: '', maxTouchPoints: 0 });

/** A fresh instance of the SDK. */
export async function open(base, instance = 0) {
  const file = require.resolve('@transmitsecurity/platform-web-sdk/ido').replace(/ido\.cjs$/, 'ido.js');
  const { ido } = await import(`${pathToFileURL(file).href}?instance=${instance}`);
  await ido.initialize({ clientId: 'demo-web', ido: { serverPath: `${base}/ido`, logLevel: 3 } });
  return ido;
}
