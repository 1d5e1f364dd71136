// The unmodified SDK in Chromium, on a page of another origin than the server.

import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const dist = dirname(require.resolve('@transmitsecurity/platform-web-sdk/ido'));
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Serves an empty page and the SDK's own files. */
function pages() {
  return new Promise((resolve) => {
    const s = createServer((req, res) => {
      if (req.url === '/') {
        res.setHeader('content-type', 'text/html');
        return res.end('<!doctype html><title>shop</title>');
      }
      try {
        res.setHeader('content-type', 'text/javascript');
        res.end(readFileSync(join(dist, req.url.slice(1).replaceAll('..', ''))));
      } catch {
        res.statusCode = 404;
        res.end();
      }
    }).listen(0, '127.0.0.1', () => resolve(s));
  });
}

export async function launch(base) {
  const site = await pages();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const context = await browser.newContext();
  const origin = `http://localhost:${site.address().port}`; // the server is at 127.0.0.1: another origin

  /** A page with the SDK; its methods are called as if they were here. */
  const open = async (from = origin, clientId = 'demo-web') => {
    const page = await context.newPage();
    await page.goto(from);
    await page.evaluate(async ([server, client]) => {
      const { ido } = await import('/ido.js');
      await ido.initialize({ clientId: client, ido: { serverPath: `${server}/ido`, logLevel: 3 } });
      globalThis.sdk = ido;
    }, [base, clientId]);
    return new Proxy({}, {
      get: (_, name) => name === 'then' ? undefined : (...args) => page.evaluate(async ([name, args]) => {
        const plain = (r) => (r && r.errorData ? { ...r, errorData: { errorCode: r.errorData.errorCode, description: r.errorData.description } } : r);
        return plain(await globalThis.sdk[name](...args));
      }, [name, args]),
    });
  };
  return { open, stop: async () => { await browser.close(); site.close(); } };
}
