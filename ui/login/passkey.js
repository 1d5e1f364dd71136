// Passkeys on the hosted pages: a form with data-key holds what its prompt says,
// the ceremony fills in its one field, and the form is posted like any other.
//
//   get       the options are in the prompt
//   sign      they are asked for, with what is to be signed
//   create    they are asked for, for the user of the prompt
//   autofill  they are asked for, for whoever has a passkey here; browsers that
//             can offer it in the field of the name

const base = '/v1/auth/webauthn/';

/**
 * What a prompt says of a ceremony.
 * @typedef {object} Told
 * @property {string} [webauthn_session_id]
 * @property {any} [credential_request_options]
 * @property {any} [credential_creation_options]
 * @property {string} [username]
 * @property {string} [display_name]
 * @property {string} [user_identifier]
 * @property {Record<string, string>} [approval_data]
 * @property {boolean} [register_as_discoverable]
 * @property {boolean} [allow_cross_platform_authenticators]
 */

/** @param {string} text base64 of either alphabet */
const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));

/** @param {ArrayBuffer | Uint8Array} b */
const text = (b) => btoa(Array.from(new Uint8Array(b), (c) => String.fromCharCode(c)).join(''));

/** @param {string} path @param {object} body @returns {Promise<Told>} */
async function ask(path, body) {
  const r = await fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (!r.ok) throw new Error(`${path}: ${r.status}`);
  return r.json();
}

/** @param {any[]} list */
const ids = (list) => (list ?? []).map((c) => ({ ...c, id: bytes(c.id) }));

/**
 * The result of a ceremony as the server reads it.
 * @param {string} session
 * @param {PublicKeyCredential} c
 */
function encoded(session, c) {
  const r = /** @type {any} */ (c.response);
  /** @type {Record<string, unknown>} */
  const response = {};
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    if (r[name]) response[name] = text(r[name]);
  }
  if (r.getTransports) response.transports = r.getTransports();
  const credential = { id: c.id, rawId: text(c.rawId), type: c.type, authenticatorAttachment: c.authenticatorAttachment ?? '', response };
  return text(new TextEncoder().encode(JSON.stringify({ webauthnSessionId: session, publicKeyCredential: credential, userAgent: '' })));
}

/**
 * @param {string} act
 * @param {Told} told
 * @param {string} client
 * @returns {Promise<Told>}
 */
function options(act, told, client) {
  switch (act) {
    case 'create': return ask('register/start', { client_id: client, username: told.username, display_name: told.display_name ?? '', limit_single_credential_to_device: true });
    case 'sign': return ask('authenticate/start', { client_id: client, username: told.user_identifier, approval_data: told.approval_data });
    case 'autofill': return ask('authenticate/start', { client_id: client });
    default: return Promise.resolve(told);
  }
}

/**
 * @param {Told} told
 * @param {Told} o
 * @param {AbortSignal} signal
 */
function create(told, o, signal) {
  const { challenge, user, excludeCredentials, authenticatorSelection, ...rest } = o.credential_creation_options;
  const selection = { ...authenticatorSelection, residentKey: told.register_as_discoverable === false ? 'discouraged' : 'preferred' };
  if (told.allow_cross_platform_authenticators === false) selection.authenticatorAttachment = 'platform';
  return navigator.credentials.create({ signal, publicKey: { ...rest, challenge: bytes(challenge), user: { ...user, id: bytes(user.id) }, excludeCredentials: ids(excludeCredentials), authenticatorSelection: selection } });
}

/**
 * @param {Told} o
 * @param {AbortSignal} signal
 * @param {CredentialMediationRequirement} [mediation]
 */
function get(o, signal, mediation) {
  const { challenge, allowCredentials, ...rest } = o.credential_request_options;
  return navigator.credentials.get({ signal, ...(mediation && { mediation }), publicKey: { ...rest, challenge: bytes(challenge), allowCredentials: ids(allowCredentials) } });
}

/**
 * Performs the ceremony of a form and posts its result.
 * @param {HTMLFormElement} form
 * @param {string} client
 * @param {AbortSignal} signal
 * @param {CredentialMediationRequirement} [mediation]
 */
async function perform(form, client, signal, mediation) {
  const act = form.dataset.key ?? '';
  const told = /** @type {Told} */ (JSON.parse(form.dataset.prompt || '{}'));
  const o = await options(act, told, client);
  const c = act === 'create' ? await create(told, o, signal) : await get(o, signal, mediation);
  if (!(c instanceof PublicKeyCredential)) throw new Error('no passkey');
  const field = form.elements.namedItem('webauthn_encoded_result');
  if (field instanceof HTMLInputElement) field.value = encoded(o.webauthn_session_id ?? '', c);
  form.requestSubmit();
}

/** Whether this ceremony begins by itself: once, and not when going back to it. @param {string} visit */
function fresh(visit) {
  try {
    if (sessionStorage.getItem('ww-key') === visit) return false;
    sessionStorage.setItem('ww-key', visit);
    return true;
  } catch {
    return false;
  }
}

/** @param {DOMStringMap} page the data of the page's sheet */
export async function begin({ client = '', visit = '' }) {
  const form = /** @type {HTMLFormElement} */ (document.querySelector('form[data-key]'));
  const go = /** @type {HTMLButtonElement} */ (form.querySelector('[data-key-go]'));
  const problem = /** @type {HTMLElement} */ (form.querySelector('[data-key-problem]'));
  const autofill = form.dataset.key === 'autofill';
  if (!globalThis.PublicKeyCredential) {
    if ('beside' in form.dataset) return; // of what stands before it, nothing is missing
    problem.setAttribute('role', 'alert');
    problem.textContent = (globalThis.isSecureContext ? form.dataset.unknown : form.dataset.insecure) ?? '';
    form.dataset.unable = '';
    const other = document.querySelector('.key ~ .way');
    if (other instanceof HTMLDetailsElement) other.open = true;
    return;
  }
  let running = new AbortController();
  const start = async () => {
    running.abort();
    running = new AbortController();
    problem.textContent = '';
    try {
      await perform(form, client, running.signal);
    } catch (e) {
      const have = form.dataset.key === 'create' && e instanceof DOMException && e.name === 'InvalidStateError'; // one of excludeCredentials
      problem.textContent = (have ? form.dataset.have : form.dataset.refused) ?? '';
      problem.focus();
    }
  };
  go.hidden = false;
  go.addEventListener('click', (e) => {
    e.preventDefault();
    start();
  });
  if (!autofill) {
    if (form.dataset.key === 'get' && fresh(visit) && !document.querySelector('#problem')) start();
  } else if (document.querySelector('[autocomplete~="webauthn"]') && await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    perform(form, client, running.signal, 'conditional').catch(() => {}); // what was not chosen there is no failure
  }
}
