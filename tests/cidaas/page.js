// A page of a shop with the calls of the cidaas JavaScript SDK in it, as versions
// 4 and 5 make them: same addresses, members, headers and ways to read an answer.
// The SDK itself is in no package registry, so this is our own code, written after
// notes on what it sends.

const server = new URLSearchParams(location.search).get('server') ?? sessionStorage.server;
sessionStorage.server = server;

/** One call: JSON both ways, the status never looked at, nothing for an empty body. */
function call(method, path, body, token, headers = {}) {
  return new Promise((resolve) => {
    const r = new XMLHttpRequest();
    r.open(method, server + path);
    r.setRequestHeader('Content-type', 'application/json');
    for (const [name, value] of Object.entries(headers)) r.setRequestHeader(name, value);
    if (token) r.setRequestHeader('Authorization', `Bearer ${token}`);
    r.onreadystatechange = () => {
      if (r.readyState !== 4) return;
      if (r.responseText) resolve(JSON.parse(r.responseText));
      else resolve(r.status === 204 ? undefined : false);
    };
    r.send(body ? JSON.stringify(body) : null);
  });
}

/** A form that the browser itself posts, and goes where the answer says. */
function post(path, fields) {
  const form = document.createElement('form');
  form.action = server + path;
  form.method = 'POST';
  for (const [name, value] of Object.entries(fields)) {
    const input = Object.assign(document.createElement('input'), { type: 'hidden', name, value });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

const random = () => [...crypto.getRandomValues(new Uint8Array(32))].map((b) => b.toString(16).padStart(2, '0')).join('');
const web64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

const optional = { requestId: 'r', acceptlanguage: 'de', lat: '', lon: '', trackId: 't' };

globalThis.sdk = {
  getRequestId: (o) => call('POST', '/authz-srv/authrequest/authz/generate', { response_type: 'code', response_mode: 'fragment', nonce: String(Date.now()), ...o }),
  getTenantInfo: () => call('GET', '/public-srv/tenantinfo/basic'),
  getClientInfo: (o) => call('GET', `/public-srv/public/${o.requestId}`),
  getMFAList: (o) => call('POST', '/verification-srv/v2/setup/public/configured/list', o, undefined, optional),
  checkVerificationTypeConfigured: (o) => call('POST', `/verification-srv/v2/setup/public/configured/check/${o.verification_type}`, o),
  initiateMFA: (o, token) => call('POST', `/verification-srv/v2/authenticate/initiate/${o.type}`, o, token),
  authenticateMFA: (o) => call('POST', `/verification-srv/v2/authenticate/authenticate/${o.type}`, o),
  cancelMFA: (o) => call('POST', `/verification-srv/v2/authenticate/cancel/${o.type}`, o),
  cancelMFAOfVersion3: (o) => call('POST', `/verification-srv/v2/setup/cancel/${o.type}`, o),
  getEnrollmentStatus: (id, token) => call('POST', `/verification-srv/v2/notification/status/${id}`, undefined, token),
  getAllVerificationList: (token) => call('GET', '/verification-srv/config/list', undefined, token),
  initiateEnrollment: (o, token) => call('POST', `/verification-srv/v2/setup/initiate/${o.verification_type}`, o, token),
  configureFriendlyName: (o, method, trackId, token) => call('PUT', `/verification-actions-srv/setup/users/friendlyname/${method.toUpperCase()}/${trackId}`, o, token),
  getUserProfile: (token) => call('GET', '/users-srv/userinfo', undefined, token),
  generateTokenFromCode: (o) => call('POST', '/token-srv/token', { grant_type: 'authorization_code', code_verifier: random(), ...o }),
  passwordlessLogin: (o) => post('/login-srv/verification/login', o),
  loginWithCredentials: (o) => post('/login-srv/login', o),
  mfaContinue: (o) => post(`/login-srv/precheck/continue/${o.track_id}`, o),

  /** What oidc-client-ts does under the SDK. */
  async loginWithBrowser(client, redirect, scope) {
    const d = await (await fetch(`${server}/.well-known/openid-configuration`, { headers: { Accept: 'application/jwk-set+json, application/json' } })).json();
    sessionStorage.verifier = random();
    sessionStorage.state = random();
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(sessionStorage.verifier)));
    const q = new URLSearchParams({
      client_id: client, redirect_uri: redirect, response_type: 'code', scope, state: sessionStorage.state, nonce: String(Date.now()),
      code_challenge: web64(hash), code_challenge_method: 'S256', view_type: 'login',
    });
    location.assign(`${d.authorization_endpoint}?${q}`);
  },
  async loginCallback(client, redirect) {
    const q = new URLSearchParams(location.search);
    if (q.get('state') !== sessionStorage.state) throw new Error('another state came back');
    const d = await (await fetch(`${server}/.well-known/openid-configuration`)).json();
    const form = new URLSearchParams({ grant_type: 'authorization_code', client_id: client, redirect_uri: redirect, code: q.get('code'), code_verifier: sessionStorage.verifier });
    return (await fetch(d.token_endpoint, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form })).json();
  },
  async renewToken(client, refresh_token) {
    const d = await (await fetch(`${server}/.well-known/openid-configuration`)).json();
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: client, refresh_token });
    return (await fetch(d.token_endpoint, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form })).json();
  },
  async logout(id_token_hint, post_logout_redirect_uri) {
    const d = await (await fetch(`${server}/.well-known/openid-configuration`)).json();
    location.assign(`${d.end_session_endpoint}?${new URLSearchParams({ id_token_hint, post_logout_redirect_uri, state: 'bye' })}`);
  },
};
