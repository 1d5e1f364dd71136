// An account comes to this phone: by a link that somebody got where they are signed
// in, or by their address and what the server asks for.

import { nonce } from '/lib/bytes.js';
import { biometricKey, forget } from '/lib/keys.js';
import { NetworkError, Refused, call } from './api.js';
import { Cancelled, complain, field, makeOwner } from './ask.js';
import { h, icon, t, tile } from './dom.js';
import { travel } from './journey.js';
import { NotOwner } from '/lib/owner.js';

/** @typedef {import('./app.js').App} App */
/** @typedef {{client: string, invite: string}} Link */

/** @param {App} app @param {Link | null} link */
export function add(app, link) {
  return [
    h('header', { class: 'top' }, app.accounts.length > 0 || !link ? h('button', { type: 'button', class: 'round', 'aria-label': t('back'), onclick: () => app.go('home', null, true) }, icon('back')) : tile('')),
    h('h1', { tabindex: '-1' }, t('add.title')),
    ...(link?.invite ? invited(app, link) : choose(app, link?.client || app.client)),
  ];
}

/** The name that this phone goes by among its owner's phones. */
function phoneName() {
  const ua = navigator.userAgent;
  const system = [['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Android', 'Android'], ['CrOS', 'Chromebook'], ['Mac', 'Mac'], ['Windows', 'Windows'], ['Linux', 'Linux']].find(([word]) => ua.includes(/** @type {string} */ (word)))?.[1] ?? 'Web';
  return system;
}

/** @param {HTMLElement} form @param {string} [words] */
function busy(form, words) {
  for (const b of form.querySelectorAll('button')) b.disabled = Boolean(words);
  const p = form.querySelector('[data-progress]');
  if (p) p.textContent = words ?? '';
}

/** @param {unknown} err @returns {string} */
function reason(err) {
  if (err instanceof Cancelled) return '';
  if (err instanceof NetworkError) return t('trouble.lost');
  if (err instanceof NotOwner) return t('owner.none');
  if (err instanceof Refused) return err.code === 'expired' ? t('add.used') : err.message;
  throw err;
}

/** @param {App} app @param {Link} link */
function invited(app, link) {
  const name = h('input', { name: 'phone', maxlength: 60, value: phoneName(), autocomplete: 'off' });
  const form = h('form', { class: 'stack', onsubmit: async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (complain(name, name.value.trim() ? '' : t('add.noname'))) return;
    busy(form, t('add.keys'));
    try {
      await enrol(app, link, name.value.trim());
    } catch (err) {
      const said = reason(err);
      busy(form);
      if (said) complain(name, said);
    }
  } }, apple() && !installed() && first(link), h('p', {}, t('add.invited')), field(t('add.name'), name, t('add.namehelp')), h('p', { class: 'hint', 'data-progress': true, role: 'status' }), h('button', { class: 'button primary wide', autofocus: true }, t('add.go')));
  return [form];
}

/** @param {App} app @param {Link} link @param {string} name */
async function enrol(app, link, name) {
  const id = nonce();
  const keyName = `app-key-${id}`;
  const phone = { client: link.client, key: await biometricKey(keyName) };
  try {
    const { app: where, owners } = await call(phone, 'methods', {}, { stranger: true });
    const { owner, said } = await makeOwner(owners, where);
    const about = await call(phone, 'enrol', { invite: link.invite, phone: { name, platform: navigator.platform.slice(0, 60) }, owner: said }, { stranger: true });
    await app.keep({ id, client: link.client, keyName, owner, about });
    app.go('home', t('add.done', { app: about.app }), true);
  } catch (err) {
    await forget(keyName);
    throw err;
  }
}

/** Scans a code; what does that is loaded when it is first wanted. @param {(text: string) => string | Promise<string>} judge  what is wrong with one, or '' */
export const scan = async (judge) => (await import('./scan.js').catch(() => { throw new Cancelled(); })).scan(judge);

/** The invitation in a link, and whose it is; null for any other text. @param {string} text @returns {Link & {home: URL} | null} */
export function invitation(text) {
  if (!URL.canParse(text.trim())) return null;
  const home = new URL(text.trim());
  const said = new URLSearchParams(home.hash.slice(1));
  const [client, invite] = [said.get('client'), said.get('invite')];
  return client && invite ? { client, invite, home } : null;
}

/** @param {{home: URL}} said */
const misplaced = ({ home }) => (home.origin === location.origin ? '' : t('add.elsewhere', { host: home.host }));

/** What is wrong with a QR code for an account. @param {string} text */
function judge(text) {
  const said = invitation(text);
  return said ? misplaced(said) : t(/^otpauth:/i.test(text) ? 'scan.code' : 'scan.foreign');
}

/** @param {App} app @param {string} client */
function choose(app, client) {
  const link = h('input', { name: 'link', type: 'url', autocomplete: 'off', placeholder: `${location.origin}/authenticator/#…`, maxlength: 500 });
  const take = (/** @type {string} */ text) => {
    const said = invitation(text);
    if (complain(link, said ? misplaced(said) : t('add.nolink')) || !said) return;
    app.go('add', { client: said.client, invite: said.invite }, true);
  };
  return [
    h('p', {}, t('add.how')),
    h('button', { type: 'button', class: 'button primary wide', onclick: () => scan(judge).then(take, (err) => { if (!(err instanceof Cancelled)) throw err; }) }, t('scan.go')),
    h('form', { class: 'stack', novalidate: true, onsubmit: (/** @type {Event} */ e) => { e.preventDefault(); take(link.value); } }, field(t('add.link'), link, t('add.linkhelp')), h('button', { class: 'button wide' }, t('add.uselink'))),
    client ? byMail(app, client) : null,
    hints(),
  ].filter((e) => e !== null);
}

/** Setting up without a link, by the journey that the server has for it. @param {App} app @param {string} client */
function byMail(app, client) {
  const form = h('form', { class: 'stack apart', onsubmit: async (/** @type {Event} */ e) => {
    e.preventDefault();
    busy(form, t('add.keys'));
    const said = await register(app, client).catch(reason);
    busy(form, '');
    if (said) complainBy(form, said);
  } }, h('h2', {}, t('add.mail')), h('p', {}, t('add.mailtext')), h('p', { class: 'hint', 'data-progress': true, role: 'status' }), h('p', { class: 'problem', role: 'alert', 'data-problem': true }), h('button', { class: 'button wide' }, t('add.mailgo')));
  return form;
}

/** @param {HTMLElement} form @param {string} words */
function complainBy(form, words) {
  const p = form.querySelector('[data-problem]');
  if (p) p.textContent = words;
}

/** @param {App} app @param {string} client @returns {Promise<string>} what went wrong */
async function register(app, client) {
  const id = nonce();
  const keyName = `app-key-${id}`;
  const phone = { client, key: await biometricKey(keyName) };
  try {
    const who = { phone, about: { name: phoneName(), platform: navigator.platform.slice(0, 60) }, owner: /** @type {import('/lib/owner.js').Owner | null} */ (null) };
    const run = await travel(who, await call(phone, 'begin', { phone: who.about }, { stranger: true }));
    if (!run.end?.ok || !who.owner) {
      await forget(keyName);
      return run.end?.message || run.problem?.message || t('done.failed');
    }
    const about = await call(phone, 'account', {});
    await app.keep({ id, client, keyName, owner: who.owner, about });
    app.go('home', t('add.done', { app: about.app }), true);
    return '';
  } catch (err) {
    await forget(keyName);
    throw err;
  }
}

const installed = () => matchMedia('(display-mode: standalone)').matches;
const apple = () => /iPhone|iPad/.test(navigator.userAgent) || /Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1;

/** What the browser lets us do: install the app. @type {any} */
let offer = null;
addEventListener('beforeinstallprompt', (e) => {
  e.preventDefault();
  offer = e;
});

/** Where the installed app has keys of its own, it must be there before a link is used. @param {Link} link */
function first({ client, invite }) {
  const copy = h('button', { type: 'button', class: 'button wide', onclick: () => navigator.clipboard?.writeText(`${location.origin}/authenticator/#${new URLSearchParams({ client, invite })}`).then(() => { copy.textContent = t('copied'); }, () => {}) }, t('install.copy'));
  return h('aside', { class: 'note' }, h('h2', {}, t('install.title')), h('p', {}, t('install.first')), copy);
}

/** How the app comes to the home screen, by what this browser is. */
export function hints() {
  if (installed()) return null;
  const go = h('button', { type: 'button', class: 'button wide', hidden: !offer, onclick: () => {
    go.hidden = true; // it may be asked once
    offer?.prompt();
    offer = null;
  } }, t('install.go'));
  addEventListener('beforeinstallprompt', () => { go.hidden = false; }, { once: true });
  return h('aside', { class: 'note' }, h('h2', {}, t('install.title')), h('p', {}, apple() ? t('install.ios') : /Android/.test(navigator.userAgent) ? t('install.android') : t('install.other')), go);
}
