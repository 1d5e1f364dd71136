// Relying parties: openid-client, which is certified, and oauth4webapi do what
// they support against the real server; people sign in on its pages in Chromium.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const client = await load('openid-client');
const oauth = await load('oauth4webapi');
const jose = await load('jose');

/** The key of the client signer, and the set that the server is told. */
export async function signerKeys() {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: 'signer-1', alg: 'ES256', use: 'sig' };
  return { key: privateKey, kid: 'signer-1', set: { keys: [jwk] } };
}

const insecure = { execute: [client.allowInsecureRequests] };

/** Where browsers come back to, at any port if none is said; got resolves with each address, in turn. */
async function callback(port = 0) {
  const waiting = [];
  const came = [];
  const s = createServer((req, res) => {
    const chunks = [];
    req.on('data', (b) => chunks.push(b)).on('end', () => {
      res.setHeader('content-type', 'text/html');
      res.setHeader('connection', 'close');
      res.end('<!doctype html><title>back</title>');
      if (!req.url.startsWith('/callback')) return;
      const url = new URL(req.url, `http://127.0.0.1:${s.address().port}`);
      const what = { url, method: req.method, body: Buffer.concat(chunks).toString() };
      if (waiting.length) waiting.shift()(what);
      else came.push(what);
    });
  });
  await new Promise((resolve) => { s.listen(port, '127.0.0.1', resolve); });
  return {
    uri: `http://127.0.0.1:${s.address().port}/callback`,
    got: () => (came.length ? Promise.resolve(came.shift()) : new Promise((resolve, reject) => {
      waiting.push(resolve);
      setTimeout(() => reject(new Error('nobody came back within 20 s')), 20_000).unref();
    })),
    stop: () => { s.close(); s.closeAllConnections(); },
  };
}

/** Signs ada in by her password, wherever the page is. */
export async function passes(page, w) {
  await page.fill('input[name=username]', w.facts.user.email);
  await page.click('button.primary');
  await page.waitForSelector('text=How do you want to sign in?');
  if (!await page.isVisible('input[name=password]')) await page.click('summary:has-text("Password")');
  await page.fill('input[name=password]', w.facts.user.password);
  await page.click('form:has(input[name=password]) button:not([type=button])', { noWaitAfter: true });
}

const party = (w) => client.discovery(new URL(w.base), 'party', w.secret, undefined, insecure);

/** A code flow in a browser; auth makes the address, more are parameters. */
async function flow(context, w, config, back, more = {}, build = client.buildAuthorizationUrl) {
  const page = await context.newPage();
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const parameters = { redirect_uri: back.uri, scope: 'openid profile email offline_access', code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce, ...more };
  const broken = [];
  page.on('console', (m) => { if (m.type() === 'error') broken.push(m.text()); });
  await page.goto((await build(config, parameters)).href);
  if (await page.title() !== 'back') await passes(page, w);
  const came = await back.got();
  page.close().catch(() => {});
  assert.deepEqual(broken, [], 'the browser complained');
  return { came, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce } };
}

export const parties = {
  async 'code, userinfo, refresh, introspection, revocation, logout'(context, w) {
    const back = await callback();
    const config = await party(w);
    const { came, checks } = await flow(context, w, config, back);
    const tokens = await client.authorizationCodeGrant(config, came.url, checks);
    const claims = tokens.claims();
    assert.equal(claims.aud, 'party');
    const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    assert.equal(info.email, w.facts.user.email);
    const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(fresh.refresh_token, tokens.refresh_token);
    assert.equal((await client.tokenIntrospection(config, fresh.access_token)).active, true);
    await client.tokenRevocation(config, fresh.refresh_token);
    assert.equal((await client.tokenIntrospection(config, fresh.access_token)).active, false);
    await assert.rejects(client.refreshTokenGrant(config, fresh.refresh_token), (e) => e.error === 'invalid_grant');

    // Signed in at one party is signed in at the next, until signed out.
    const again = await flow(context, w, config, back, { prompt: 'none' });
    assert.ok(again.came.url.searchParams.get('code'));
    const page = await context.newPage();
    await page.goto(client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token }).href);
    await page.waitForSelector('text=Signed out');
    const out = await flow(context, w, config, back, { prompt: 'none' });
    assert.equal(out.came.url.searchParams.get('error'), 'login_required');
    back.stop();
  },
  async 'pushed and signed requests, a private key, tokens bound to a key'(context, w, signer) {
    const back = await callback();
    const metadata = { dpop_bound_access_tokens: true };
    const config = await client.discovery(new URL(w.base), 'signer', metadata, client.PrivateKeyJwt({ key: signer.key, kid: signer.kid }), insecure);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
    const build = async (c, parameters) => {
      const signed = await client.buildAuthorizationUrlWithJAR(c, parameters, { key: signer.key, kid: signer.kid });
      return client.buildAuthorizationUrlWithPAR(c, { request: signed.searchParams.get('request') }, { DPoP });
    };
    const { came, checks } = await flow(context, w, config, back, {}, build);
    const tokens = await client.authorizationCodeGrant(config, came.url, checks, undefined, { DPoP });
    assert.equal(tokens.token_type, 'dpop');
    assert.equal((await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })).email, w.facts.user.email);
    const bare = await fetch(`${w.base}/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    assert.equal(bare.status, 401, 'without its key');
    const page = await context.newPage();
    const plain = client.buildAuthorizationUrl(config, { redirect_uri: back.uri, scope: 'openid' });
    assert.equal((await page.goto(plain.href)).status(), 400, 'a request that was not pushed');
    back.stop();
  },
  async 'FAPI 2.0 with openid-client: nonces, single claims, a refresh token that stays'(context, w, signer) {
    const back = await callback(new URL(w.back).port);
    const config = await client.discovery(new URL(w.base), 'fapi', { dpop_bound_access_tokens: true }, client.PrivateKeyJwt({ key: signer.key, kid: signer.kid }), insecure);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
    const build = (c, parameters) => client.buildAuthorizationUrlWithPAR(c, parameters, { DPoP });
    const { came, checks } = await flow(context, w, config, back, { scope: 'openid offline_access', claims: JSON.stringify({ id_token: { email: null }, userinfo: { preferred_username: { essential: true } } }) }, build);
    assert.equal(came.url.searchParams.get('iss'), w.base);
    const tokens = await client.authorizationCodeGrant(config, came.url, checks, undefined, { DPoP });
    assert.equal(tokens.token_type, 'dpop');
    assert.equal(tokens.claims().email, w.facts.user.email);
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
    assert.deepEqual(Object.keys(info).sort(), ['preferred_username', 'sub']);
    const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
    assert.equal(fresh.refresh_token, tokens.refresh_token);
    const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: other }), (e) => e.error === 'invalid_grant');
    await assert.rejects(client.buildAuthorizationUrlWithPAR(config, { redirect_uri: 'http://127.0.0.1:9/callback', scope: 'openid' }, { DPoP }), (e) => e.error === 'invalid_request');
    back.stop();
  },
  async 'FAPI 2.0 with oauth4webapi: asked for a nonce at each endpoint'(context, w, signer) {
    const back = await callback(new URL(w.back).port);
    const issuer = new URL(w.base);
    const options = { [oauth.allowInsecureRequests]: true };
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
    const c = { client_id: 'fapi' };
    const auth = oauth.PrivateKeyJwt({ key: signer.key, kid: signer.kid });
    const keys = await oauth.generateKeyPair('ES256');
    let asked = 0;
    /** Makes a request by a handle that knows no nonce yet, and again when that is what it lacks. */
    const twice = async (send) => {
      const DPoP = oauth.DPoP(c, keys);
      try {
        return await send({ DPoP, ...options });
      } catch (e) {
        if (!oauth.isDPoPNonceError(e)) throw e;
        asked += 1;
        return send({ DPoP, ...options });
      }
    };
    const verifier = oauth.generateRandomCodeVerifier();
    const parameters = new URLSearchParams({ redirect_uri: w.back, response_type: 'code', scope: 'openid email offline_access', state: 's', code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
    const pushed = await twice(async (o) => oauth.processPushedAuthorizationResponse(as, c, await oauth.pushedAuthorizationRequest(as, c, auth, parameters, o)));
    const page = await context.newPage();
    await page.goto(`${as.authorization_endpoint}?${new URLSearchParams({ client_id: 'fapi', request_uri: pushed.request_uri })}`);
    await passes(page, w);
    const params = oauth.validateAuthResponse(as, c, (await back.got()).url, 's');
    const tokens = await twice(async (o) => oauth.processAuthorizationCodeResponse(as, c, await oauth.authorizationCodeGrantRequest(as, c, auth, params, w.back, verifier, o)));
    const { sub } = oauth.getValidatedIdTokenClaims(tokens);
    const info = await twice(async (o) => oauth.processUserInfoResponse(as, c, sub, await oauth.userInfoRequest(as, c, tokens.access_token, o)));
    assert.equal(info.email, w.facts.user.email);
    const fresh = await twice(async (o) => oauth.processRefreshTokenResponse(as, c, await oauth.refreshTokenGrantRequest(as, c, auth, tokens.refresh_token, o)));
    assert.ok(fresh.access_token);
    assert.equal(asked, 4);
    back.stop();
  },
  async 'oauth4webapi, checking every signature'(context, w) {
    const back = await callback();
    const issuer = new URL(w.base);
    const options = { [oauth.allowInsecureRequests]: true };
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
    const c = { client_id: 'demo-web' };
    const verifier = oauth.generateRandomCodeVerifier();
    const nonce = oauth.generateRandomNonce();
    const at = new URL(as.authorization_endpoint);
    for (const [k, v] of Object.entries({ client_id: 'demo-web', redirect_uri: back.uri, response_type: 'code', scope: 'openid email', nonce, state: 's', code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' })) at.searchParams.set(k, v);
    const page = await context.newPage();
    await page.goto(at.href);
    await passes(page, w);
    const { url } = await back.got();
    const params = oauth.validateAuthResponse(as, c, url, 's');
    const response = await oauth.authorizationCodeGrantRequest(as, c, oauth.None(), params, back.uri, verifier, options);
    const result = await oauth.processAuthorizationCodeResponse(as, c, response, { expectedNonce: nonce, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(as, response, options);
    const claims = oauth.getValidatedIdTokenClaims(result);
    const info = await oauth.processUserInfoResponse(as, c, claims.sub, await oauth.userInfoRequest(as, c, result.access_token, options));
    assert.equal(info.email, w.facts.user.email);
    back.stop();
  },
  async 'answers by fragment and by a posted form'(context, w) {
    const back = await callback();
    const config = await party(w);
    const { came } = await flow(context, w, config, back, { response_mode: 'form_post' });
    assert.equal(came.method, 'POST');
    assert.ok(new URLSearchParams(came.body).get('code'));
    back.stop();
  },
  async 'a device without a browser'(context, w) {
    const config = await client.discovery(new URL(w.base), 'tv', undefined, client.None(), insecure);
    const begun = await client.initiateDeviceAuthorization(config, { scope: 'openid email' });
    const tokens = client.pollDeviceAuthorizationGrant(config, begun);
    const page = await context.newPage();
    await page.goto(begun.verification_uri);
    await page.fill('input[name=user_code]', begun.user_code.toLowerCase());
    await page.click('button.primary');
    await page.waitForSelector('text=Living room TV shows the code');
    await page.click('button.primary');
    await passes(page, w);
    await page.waitForSelector('text=Your device is signed in');
    assert.equal((await tokens).claims().aud, 'tv');
  },
  async 'a backchannel request that the phone approves'(context, w) {
    const config = await party(w);
    const phone = w.phone('ciba');
    const email = 'ciba@example.org';
    const made = await phone('register', '--server', w.base, '--client', 'demo-native', '--email', email, '--device', 'Pixel 9');
    assert.ok(made.ok, made.said);
    const details = [{ type: 'payment', amount: '12.50', currency: 'EUR' }];
    const begun = await client.initiateBackchannelAuthentication(config, { scope: 'openid', login_hint: email, binding_message: 'Order 4711', authorization_details: JSON.stringify(details) });
    const tokens = client.pollBackchannelAuthenticationGrant(config, begun);
    const { out } = await phone('pending', '--json');
    assert.deepEqual(out[0].approval_data, { message: 'Order 4711', type: 'payment', amount: '12.50', currency: 'EUR' });
    const said = await phone('approve');
    assert.ok(said.ok, said.said);
    const got = await tokens;
    const receipt = await jose.jwtVerify(got.approval_receipt, jose.createRemoteJWKSet(new URL(`${w.base}/.well-known/jwks.json`)), { issuer: w.base, audience: 'party', typ: 'approval-receipt+jwt' });
    assert.deepEqual(receipt.payload.approval_data, out[0].approval_data);
    assert.deepEqual(got.authorization_details, details);
    assert.equal(got.claims().acr, 'urn:watchword:aal2');
  },
  async 'tokens of a client itself, and for another audience'(context, w) {
    const back = await callback();
    const config = await party(w);
    const own = await client.clientCredentialsGrant(config, { scope: 'users:read' });
    assert.equal((await fetch(`${w.base}/v1/users/identifier?identifier_name=email&identifier_value=${w.facts.user.email}`, { headers: { authorization: `Bearer ${own.access_token}` } })).status, 200);
    const { came, checks } = await flow(context, w, config, back);
    const tokens = await client.authorizationCodeGrant(config, came.url, checks);
    const other = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: tokens.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', resource: 'https://api.example/', scope: 'email',
    });
    const claims = jose.decodeJwt(other.access_token);
    assert.equal(claims.aud, 'https://api.example/');
    assert.deepEqual(claims.act, { sub: 'party' });
    back.stop();
  },
  async 'a third party that asks first'(context, w) {
    const back = await callback();
    const config = await client.discovery(new URL(w.base), 'guest', undefined, client.None(), insecure);
    const page = await context.newPage();
    const verifier = client.randomPKCECodeVerifier();
    await page.goto(client.buildAuthorizationUrl(config, { redirect_uri: back.uri, scope: 'openid email', state: 's', code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }).href);
    await passes(page, w);
    await page.waitForSelector('text=Guest & Co wants to know');
    await page.click('button.primary');
    const { url } = await back.got();
    const tokens = await client.authorizationCodeGrant(config, url, { pkceCodeVerifier: verifier, expectedState: 's' });
    assert.ok(tokens.claims().sub);
    back.stop();
  },
};
