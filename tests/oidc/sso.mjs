// A page of a relying party's own, with the unmodified SDK, signs people in for
// an authorization request; openid-client gets the tokens.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const client = await import(pathToFileURL(require.resolve('openid-client')).href);

/** One hop of a browser, which keeps what cookies it is given in jar. */
async function hop(url, jar) {
  const r = await fetch(url, { redirect: 'manual', headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') } });
  for (const line of r.headers.getSetCookie()) {
    const [name, ...value] = line.split(';')[0].split('=');
    jar.set(name, value.join('='));
  }
  return r;
}

/** @param {(base: string, client: string) => Promise<any>} open makes an instance of the SDK */
export async function ownPage(open, w) {
  const back = 'http://127.0.0.1:9/callback';
  const config = await client.discovery(new URL(w.base), 'own-page', undefined, client.None(), { execute: [client.allowInsecureRequests] });
  const verifier = client.randomPKCECodeVerifier();
  const at = client.buildAuthorizationUrl(config, { redirect_uri: back, scope: 'openid email', state: 's', login_hint: w.facts.user.email, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
  const jar = new Map();
  const page = new URL((await hop(at, jar)).headers.get('location'));
  assert.equal(page.origin + page.pathname, 'http://127.0.0.1:9/login');

  const sdk = await open(w.base, 'own-page');
  let r = await sdk.startSsoJourney(page.searchParams.get('interaction_id'));
  assert.equal(r.journeyStepId, 'login');
  r = await sdk.submitClientResponse('password', { username: w.facts.user.email, password: w.facts.user.password });
  assert.equal(r.type, 'journey_success');
  assert.equal(r.token, undefined, 'a token beside the code');
  assert.ok(r.redirectUrl.startsWith(`${w.base}/authorize/continue?`), r.redirectUrl);

  assert.equal((await hop(r.redirectUrl, new Map())).status, 400, 'in another browser');
  const came = new URL((await hop(r.redirectUrl, jar)).headers.get('location'));
  const tokens = await client.authorizationCodeGrant(config, came, { pkceCodeVerifier: verifier, expectedState: 's' });
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).email, w.facts.user.email);
}
