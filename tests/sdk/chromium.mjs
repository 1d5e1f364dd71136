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

/** A browser and a site. The site has two origins, which are two to a browser as well. */
export async function launch() {
  const site = await pages();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const ours = await browser.newContext();
  const { port } = site.address();
  const origins = { listed: `http://localhost:${port}`, other: `http://127.0.0.1:${port}` };

  /**
   * A page with the SDK; its methods are called as if they were here, and
   * consoleText is what the browser said about it. private: in a browser that
   * has nothing stored.
   */
  const open = async (base, clientId = 'demo-web', { path = '/ido', from = origins.listed, private: fresh = false } = {}) => {
    const page = await (fresh ? await browser.newContext() : ours).newPage();
    const said = [];
    page.on('console', (m) => said.push(m.text()));
    await page.goto(from);
    await page.evaluate(async ([serverPath, client]) => {
      const { ido } = await import('/ido.js');
      await ido.initialize({ clientId: client, ido: { serverPath, logLevel: 3 } });
      globalThis.sdk = ido;
    }, [base + path, clientId]);
    // Calls a method twice in one breath of the page: two calls from here could meet a busy machine and come one after the other.
    const twice = (name, ...args) => page.evaluate(([name, args]) => Promise.all([1, 2].map(async () => {
      const { type, journeyStepId, data } = await globalThis.sdk[name](...args);
      return { type, journeyStepId, data };
    })), [name, args]);
    return new Proxy({ consoleText: () => said.join('\n'), twice }, {
      get: (own, name) => (name === 'then' ? undefined : own[name] ?? (async (...args) => {
        const r = await page.evaluate(async ([name, args]) => {
          try {
            const r = await globalThis.sdk[name](...args);
            return { ok: r && r.errorData ? { ...r, errorData: { errorCode: r.errorData.errorCode, description: r.errorData.description } } : r };
          } catch (e) {
            return { thrown: e.errorCode ?? String(e) };
          }
        }, [name, args]);
        if ('thrown' in r) throw Object.assign(new Error(r.thrown), { errorCode: r.thrown });
        return r.ok;
      })),
    });
  };
  /**
   * A page with the whole SDK on a machine that unlocks for its owner at once;
   * run calls a function in it with the SDK's two halves, ido and webauthn.
   */
  const machine = async (base, clientId = 'demo-web') => {
    const page = await (await browser.newContext()).newPage();
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    });
    await page.goto(origins.listed);
    await page.evaluate(async ([base, clientId]) => {
      const { ido, webauthn, initialize } = await import('/index.esm.js');
      await initialize({ clientId, ido: { serverPath: `${base}/ido` }, webauthn: { serverPath: base } });
      globalThis.sdk = { ido, webauthn };
    }, [base, clientId]);
    return { run: (fn, arg) => page.evaluate(`(${fn})(globalThis.sdk, ${JSON.stringify(arg ?? null)})`) };
  };
  /** A browser that has nothing stored. */
  const fresh = () => browser.newContext();
  return { open, machine, fresh, origins, stop: async () => { await browser.close(); site.close(); } };
}
