// Smart PUSH as a shop does it with the cidaas JavaScript SDK: its own login page
// on another origin than the server, in Chromium; the phone is the command line's.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const script = readFileSync(new URL('page.js', import.meta.url));

/** The shop's site. */
export async function shopfront() {
  const s = createServer((req, res) => {
    res.setHeader('connection', 'close');
    if (req.url === '/page.js') {
      res.setHeader('content-type', 'text/javascript');
      return res.end(script);
    }
    res.setHeader('content-type', 'text/html');
    return res.end(`<!doctype html><title>${new URL(req.url, 'http://x').pathname}</title><script src="/page.js"></script>`);
  });
  await new Promise((resolve) => { s.listen(0, '127.0.0.1', resolve); });
  return { origin: `http://localhost:${s.address().port}`, stop: () => { s.close(); s.closeAllConnections(); } };
}

const CLIENT = 'shopfront';

/** A person who is new, and their phone, enrolled by the command line. */
async function customer(w, email) {
  const { client_id, client_secret } = { client_id: w.facts.clients.backend.id, client_secret: w.facts.clients.backend.secret };
  const grant = await fetch(`${w.base}/oidc/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', client_id, client_secret }) });
  const { access_token } = await grant.json();
  const made = await fetch(`${w.base}/cis/v1/users`, { method: 'POST', headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' }, body: JSON.stringify({ email }) });
  assert.equal(made.status, 201, await made.text());
  const phone = w.phone(`vendor-${email}`);
  const enrolled = await phone('register', '--protocol', 'cidaas', '--server', w.base, '--client', 'demo-web', '--email', email, '--device', 'Pixel 7');
  assert.ok(enrolled.ok, enrolled.said);
  return { email, phone };
}

const sdk = (page, name, ...args) => page.evaluate(([name, args]) => globalThis.sdk[name](...args), [name, args]);

/** A call that ends the page: nobody waits for its answer. */
const go = (page, name, ...args) => page.evaluate(([name, args]) => { globalThis.sdk[name](...args); }, [name, args]);

/** The page polls until it stands there. */
async function until(page, status, want) {
  for (let i = 0; i < 200; i++) {
    const r = await sdk(page, 'getEnrollmentStatus', status);
    if (r.data.status === want) return r.data;
    await new Promise((again) => { setTimeout(again, 25); });
  }
  throw new Error(`it never was ${want}`);
}

async function open(context, site, w) {
  const page = await context.newPage();
  const broken = [];
  page.on('console', (m) => { if (m.type() === 'error') broken.push(m.text()); });
  await page.goto(`${site.origin}/shop?server=${encodeURIComponent(w.base)}`);
  return { page, broken };
}

/** From the login page to the number, and the phone's answer. */
async function byPush(page, request, who, answer = (n) => ['approve', '--number', n]) {
  const list = await sdk(page, 'getMFAList', { email: who.email, request_id: request });
  const push = list.data.configured_list.find((m) => m.type === 'PUSH');
  assert.equal(push.mediums[0].key_name, 'Pixel 7(Watchword, Pixel 7)');
  const checked = await sdk(page, 'checkVerificationTypeConfigured', { email: who.email, request_id: request, verification_type: 'PUSH' });
  assert.deepEqual(checked.data, push);
  const begun = await sdk(page, 'initiateMFA', { usage_type: 'PASSWORDLESS_AUTHENTICATION', request_id: request, medium_id: push.mediums[0].id, email: who.email, type: 'PUSH' });
  const { push_selected_number: number, status_id: status, sub, exchange_id: exchange } = begun.data;
  assert.match(number, /^[0-9]{2}$/);
  await until(page, status, 'INITIATED');
  const said = answer ? await who.phone(...answer(number)) : null;
  return { status, sub, number, exchange: exchange.exchange_id, said };
}

export const cidaas = {
  async 'SDK 5: loginWithBrowser, Smart PUSH, loginCallback, renewal, sign-out'(context, w, site) {
    const who = await customer(w, 'five@example.org');
    const { page, broken } = await open(context, site, w);
    const back = `${site.origin}/callback`;
    await go(page, 'loginWithBrowser', CLIENT, back, 'openid profile email offline_access');
    await page.waitForURL(`${site.origin}/login?**`);
    const request = new URL(page.url()).searchParams.get('requestId');
    assert.equal(new URL(page.url()).searchParams.get('view_type'), 'login');
    assert.equal((await sdk(page, 'getClientInfo', { requestId: request })).data.client_name, 'Shop front');
    assert.equal((await sdk(page, 'getTenantInfo')).data.tenant_key, 'default');
    const { status, sub, said } = await byPush(page, request, who);
    assert.ok(said.ok, said.said);
    const end = await until(page, status, 'AUTHENTICATED');
    assert.deepEqual(end, { status: 'AUTHENTICATED', sub, type: 'PUSH' });
    await go(page, 'passwordlessLogin', { requestId: request, verificationType: 'PUSH', sub, status_id: status });
    await page.waitForURL(`${back}?**`);
    const tokens = await sdk(page, 'loginCallback', CLIENT, back);
    assert.ok(tokens.access_token && tokens.id_token && tokens.refresh_token, JSON.stringify(tokens));
    const me = await sdk(page, 'getUserProfile', tokens.access_token);
    assert.equal(me.email, who.email);
    assert.equal(me.sub, JSON.parse(atob(tokens.id_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub);
    assert.equal(JSON.parse(atob(tokens.id_token.split('.')[0])).alg, 'RS256');
    assert.ok((await sdk(page, 'renewToken', CLIENT, tokens.refresh_token)).access_token);
    assert.equal((await sdk(page, 'getAllVerificationList', tokens.access_token)).data[0].verificationType, 'PUSH');
    // The session stands: the next time nobody is asked.
    await page.goto(`${site.origin}/shop`);
    await go(page, 'loginWithBrowser', CLIENT, back, 'openid');
    await page.waitForURL(`${back}?**`);
    assert.ok(new URL(page.url()).searchParams.get('code'));
    await go(page, 'logout', tokens.id_token, `${site.origin}/bye`);
    await page.waitForURL(`${site.origin}/bye?**`);
    assert.equal(new URL(page.url()).searchParams.get('state'), 'bye');
    await page.waitForLoadState();
    await go(page, 'loginWithBrowser', CLIENT, back, 'openid');
    await page.waitForURL(`${site.origin}/login?**`);
    assert.deepEqual(broken, [], 'the browser complained');
  },

  async 'SDK 4: getRequestId, Smart PUSH, the code in the fragment, a stray verifier'(context, w, site) {
    const who = await customer(w, 'four@example.org');
    const { page, broken } = await open(context, site, w);
    const back = `${site.origin}/callback`;
    const { data: { requestId: request } } = await sdk(page, 'getRequestId', { client_id: CLIENT, redirect_uri: back, scope: 'openid email' });
    const { status, sub } = await byPush(page, request, who);
    await until(page, status, 'AUTHENTICATED');
    await go(page, 'passwordlessLogin', { requestId: request, verificationType: 'push', sub, status_id: status, rememberMe: 'true', device_fp: '', lat: '' });
    await page.waitForURL(`${back}#**`);
    const q = new URLSearchParams(new URL(page.url()).hash.slice(1));
    assert.deepEqual([...q.keys()], ['code'], 'without a state none comes back');
    const tokens = await sdk(page, 'generateTokenFromCode', { code: q.get('code'), client_id: CLIENT, redirect_uri: back });
    assert.ok(tokens.access_token && tokens.id_token && tokens.sub, JSON.stringify(tokens));
    assert.equal((await sdk(page, 'getUserProfile', tokens.access_token)).email, who.email);
    const again = await sdk(page, 'generateTokenFromCode', { code: q.get('code'), client_id: CLIENT, redirect_uri: back });
    assert.equal(again.error, 'invalid_grant');
    assert.ok(broken.every((s) => s.includes('400')), String(broken));
  },

  async 'SDK 4 and 5: no, a wrong number, and what the page takes back'(context, w, site) {
    const who = await customer(w, 'no@example.org');
    const { page } = await open(context, site, w);
    const ask = async (answer) => {
      const { data } = await sdk(page, 'getRequestId', { client_id: CLIENT, redirect_uri: `${site.origin}/callback`, scope: 'openid' });
      return { request: data.requestId, ...await byPush(page, data.requestId, who, answer) };
    };
    const denied = await ask(() => ['deny']);
    assert.ok(denied.said.ok, denied.said.said);
    await until(page, denied.status, 'DENIED');
    const wrong = await ask((n) => ['approve', '--number', n === '10' ? '11' : '10']);
    assert.ok(!wrong.said.ok);
    await until(page, wrong.status, 'DENIED');
    for (const name of ['cancelMFA', 'cancelMFAOfVersion3']) {
      const open = await ask(null);
      const done = await sdk(page, name, { exchange_id: open.exchange, reason: 'closed', type: 'PUSH' });
      assert.ok(done.success);
      await until(page, open.status, 'CANCELLED');
      assert.ok(!(await who.phone('approve', '--number', open.number)).ok);
    }
    // What was not authenticated is not finished, whatever the page posts.
    await go(page, 'passwordlessLogin', { requestId: denied.request, verificationType: 'PUSH', sub: denied.sub, status_id: denied.status });
    await page.waitForSelector('.verdict.no');
    assert.ok(!page.url().startsWith(site.origin));
  },

  async 'our own pages: the methods, the number and the way back'(context, w, site) {
    const page = await context.newPage();
    const back = `${site.origin}/callback`;
    const q = new URLSearchParams({ client_id: 'demo-web', redirect_uri: back, response_type: 'code', scope: 'openid', state: 's' });
    await page.goto(`${w.base}/authz-srv/authz?${q}`);
    await page.fill('input[name=username]', w.facts.user.email);
    await page.click('button.primary');
    await page.waitForSelector('text=How do you want to sign in?');
    if (!await page.isVisible('input[name=password]')) await page.click('summary:has-text("Password")');
    await page.fill('input[name=password]', w.facts.user.password);
    await page.click('form:has(input[name=password]) button:not([type=button])', { noWaitAfter: true });
    await page.waitForURL(`${back}?**`);
    assert.equal(new URL(page.url()).searchParams.get('state'), 's');
  },
};
