// The phone app: what waits for its owner, their codes, what they answered, and how
// they look after the phone. This file is the frame: screens, tabs, and the question
// that is always open, "is anything waiting for me?".

import '/lib/tile.js';
import { available } from '/lib/keys.js';
import { find, pause } from '/lib/page.js';
import { NetworkError, Refused, call } from './api.js';
import { h, icon, language, speak, t } from './dom.js';
import { codes } from './codes.js';
import { add } from './enrol.js';
import { able, reach } from './notice.js';
import { past } from './past.js';
import { home, place, request } from './requests.js';
import { account, settings } from './settings.js';
import * as store from './store.js';

/** @typedef {import('./store.js').Kept} Kept */
/** @typedef {import('./api.js').Shown} Shown */
/** @typedef {{account: Kept, shown: Shown}} Waiting */
/** @typedef {'home' | 'request' | 'codes' | 'past' | 'settings' | 'account' | 'add'} Name */

const HOLD = 25; // seconds that the server may hold "is anything waiting?"
const MANY = 3; // accounts that may each hold a connection

export class App {
  /** @type {Kept[]} */
  accounts = [];
  /** @type {Map<string, Shown[]>} by account */
  waiting = new Map();
  /** How far the server's clock is ahead. */
  ahead = 0;
  /** The client as which a phone may be set up by mail, if the server has one. */
  client = '';
  /** Requests that were answered here: a list that was asked for before may still name them. @type {Set<string>} */
  answered = new Set();
  note = ''; // what became of something, for the screen that is drawn next
  busy = false; // its owner is answering: nothing moves under their finger
  silent = false; // its owner wants no notifications
  telling = 0; // how many times over the servers are being told where this phone is reached

  /** @type {Name} */
  #at = 'home';
  /** @type {any} */
  #about = null;
  #hangUp = new AbortController();
  /** What a notification was touched for, and the accounts that said whether they have it. @type {{id: string, heard: Set<string>} | null} */
  #wanted = null;
  #screen = find(document, '#screen');
  #tabs = find(document, '#tabs');

  get at() {
    return this.#at;
  }

  async start() {
    let link = this.#link();
    await speak(await store.setting('language'));
    await store.set('spoken', language); // for the worker
    this.silent = await store.setting('silent') === true;
    this.accounts = await store.accounts();
    this.#drawTabs();
    addEventListener('popstate', (e) => this.#arrive(e.state?.name ?? 'home', e.state?.about));
    addEventListener('hashchange', () => {
      const came = this.#link();
      if (came) this.go('add', came, true);
      else this.listen();
    });
    document.addEventListener('visibilitychange', () => this.listen());
    navigator.serviceWorker?.addEventListener('message', (e) => this.#told(e.data));
    for (const kind of ['online', 'offline']) addEventListener(kind, () => this.listen());
    // A link may have come while the above was awaited, when nobody listened yet.
    link = this.#link() ?? link;
    if (link) this.go('add', link, true);
    else this.#arrive('home');
    this.listen();
    this.#reached();
    fetch('config.json').then((r) => r.json()).then((c) => { this.client = c.client ?? ''; if (this.#at === 'add') this.refresh(); }, () => {});
  }

  /** Takes an invitation out of the address, where it must not stay. */
  #link() {
    if (!location.hash) return null;
    const said = new URLSearchParams(location.hash.slice(1));
    history.replaceState({ name: 'home' }, '', location.pathname);
    const request = said.get('request');
    if (request) this.#want(request);
    const client = said.get('client');
    return client ? { client, invite: said.get('invite') ?? '' } : null;
  }

  /**
   * Shows a screen. With only, the way back does not lead to the one before.
   * @param {Name} name
   * @param {any} [about]
   * @param {boolean} [only]
   */
  go(name, about = null, only = false) {
    const state = { name, about: name === 'account' ? about : null };
    if (only) history.replaceState(state, '');
    else if (name !== this.#at) history.pushState(state, '');
    this.#arrive(name, about);
  }

  back() {
    history.back();
  }

  refresh() {
    this.#arrive(this.#at, this.#about, true);
  }

  /** @param {Name} name @param {any} [about] @param {boolean} [quiet] the owner did not ask for it */
  #arrive(name, about = null, quiet = false) {
    this.#at = name;
    this.#about = about;
    document.body.dataset.at = name;
    const screens = { home, request, codes, past, settings, account, add };
    const view = screens[name](this, about);
    const held = quiet && document.activeElement?.closest('#screen > *') && document.activeElement;
    this.#screen.replaceChildren(...view);
    this.#drawTabs();
    if (held) this.#hold(held);
    if (quiet) return;
    this.#screen.scrollTop = 0;
    /** @type {HTMLElement | null} */ (this.#screen.querySelector('[autofocus]') ?? this.#screen.querySelector('h1'))?.focus({ preventScroll: true });
    this.say(name === 'home' ? about ?? '' : ''); // what became of something, and no longer what was being done
  }

  /** Gives what was drawn anew the focus that what it replaces had. @param {Element} was */
  #hold(was) {
    const same = [...this.#screen.querySelectorAll(was.tagName)].find((e) => e.textContent === was.textContent && e.getAttribute('name') === was.getAttribute('name'));
    /** @type {HTMLElement | null} */ (same ?? this.#screen.querySelector('h1'))?.focus({ preventScroll: true });
  }

  #drawTabs() {
    const n = this.requests().length;
    /** @type {[Name, Parameters<typeof icon>[0]][]} */
    const all = [['home', 'ask'], ['codes', 'code'], ['past', 'past'], ['settings', 'set']];
    this.#tabs.hidden = this.#at === 'request' || this.#at === 'add' && this.accounts.length === 0;
    this.#tabs.setAttribute('aria-label', t('tabs'));
    const here = { home: 'home', request: 'home', add: 'settings', account: 'settings', codes: 'codes', past: 'past', settings: 'settings' }[this.#at];
    this.#tabs.replaceChildren(...all.map(([name, sign]) => h('button', { type: 'button', 'aria-current': name === here && 'page', onclick: () => this.go(name) },
      icon(sign), h('span', {}, t(`tab.${name}`)), name === 'home' && n > 0 && h('b', { class: 'count' }, String(n)))));
  }

  /** @param {string} words for those who listen */
  say(words) {
    find(document, '#say').textContent = words;
  }

  /** What the server's clock says, in ms. */
  now() {
    return Date.now() + this.ahead;
  }

  /** @returns {Waiting[]} */
  requests() {
    return this.accounts.flatMap((account) => (this.waiting.get(account.id) ?? []).filter((r) => !this.answered.has(r.id) && r.expires_at > this.now()).map((shown) => ({ account, shown })));
  }

  /** @param {Kept} a */
  async keep(a) {
    await store.keepAccount(a);
    this.accounts = await store.accounts();
    this.listen();
    this.#reached();
  }

  /** The server learns where this phone is reached, if its owner allowed that. */
  #reached() {
    if (!able || this.silent || Notification.permission !== 'granted') return;
    this.telling++;
    navigator.serviceWorker.ready.then((w) => reach(w.pushManager)).catch(() => {}).then(async () => {
      this.accounts = await store.accounts();
      this.telling--;
      if (this.#at === 'settings') this.refresh(); // which say whether it is on
    });
  }

  /** @param {Kept} a */
  async drop(a) {
    await store.dropAccount(a);
    this.waiting.delete(a.id);
    this.accounts = await store.accounts();
    this.listen();
  }

  /** @param {Kept} a @returns {Promise<import('./api.js').Speaker>} */
  async speaker(a) {
    return { client: a.client, key: await store.keyOf(a) };
  }

  /** Asks what waits, for every account, while somebody looks. */
  listen() {
    this.#hangUp.abort();
    this.#hangUp = new AbortController();
    this.#connected(navigator.onLine);
    if (document.hidden || !navigator.onLine) return;
    for (const a of this.accounts) if (!a.gone) this.#ask(a, this.#hangUp.signal);
  }

  /** @param {Kept} a @param {AbortSignal} signal */
  async #ask(a, signal) {
    const phone = await this.speaker(a);
    const wait = this.accounts.length > MANY ? 0 : HOLD;
    for (let first = true; !signal.aborted; first = false) { // the first answer is not waited for: what is shown may be over
      try {
        const some = first || (this.waiting.get(a.id) ?? []).length > 0;
        const said = await call(phone, 'requests', { wait: some ? 0 : wait }, { signal });
        this.ahead = said.now - Date.now();
        this.#connected(true);
        this.#heard(a, said.requests);
        if (some && !first || said.requests.length || !wait) await pause(wait ? 1500 : 4000, signal);
      } catch (err) {
        if (signal.aborted) return;
        if (err instanceof Refused && err.status === 403) return void this.#unknown(a, err);
        if (!(err instanceof NetworkError) && !(err instanceof Refused)) throw err;
        if (err instanceof NetworkError) this.#connected(false);
        await pause(5000, signal);
      }
    }
  }

  /** @param {Kept} a @param {Refused} err */
  async #unknown(a, err) {
    if (/clock/.test(err.message)) return this.#trouble(t('trouble.clock'));
    const { next, ...now } = (await store.accounts()).find((have) => have.id === a.id) ?? a;
    if (next) return this.keep({ ...now, keyName: next });
    await store.keepAccount({ ...a, gone: true });
    this.accounts = await store.accounts();
    this.waiting.delete(a.id);
    if (!this.busy && this.#at !== 'add') this.refresh();
  }

  /** @param {string} words */
  #trouble(words) {
    const e = find(document, '#offline');
    e.textContent = words;
    e.hidden = !words;
  }

  /** @param {boolean} yes */
  #connected(yes) {
    this.#trouble(yes ? '' : t('trouble.offline'));
  }

  /** A notification came, or was touched. @param {{asks?: string, open?: string}} said by the worker */
  #told({ open }) {
    if (open) this.#want(open);
    this.listen();
  }

  /** @param {string} id */
  #want(id) {
    this.#wanted = { id, heard: new Set() };
  }

  /** Goes where a notification leads: to its request, or to where it says that there is none any more. @param {Kept} a @param {Shown[]} list */
  #follow(a, list) {
    const wanted = this.#wanted;
    if (!wanted || this.busy) return false;
    const shown = list.find((r) => r.id === wanted.id && !this.answered.has(r.id));
    wanted.heard.add(a.id);
    if (!shown && this.accounts.some((b) => !b.gone && !wanted.heard.has(b.id))) return false;
    this.#wanted = null;
    if (!shown) this.go('home', t('request.over'), true);
    else if (this.#at !== 'request' || this.#about?.shown.id !== shown.id) this.go('request', { account: a, shown }, this.#at === 'request');
    return true;
  }

  /** Takes notifications away that have nothing to say any more: their request is on the screen, or over. */
  async #tidy() {
    if (!able || this.accounts.some((a) => !a.gone && !this.waiting.has(a.id))) return;
    const open = this.requests().map((w) => w.shown.id);
    const here = this.#at === 'request' && this.#about?.shown.id;
    const worker = await navigator.serviceWorker.getRegistration();
    for (const n of await worker?.getNotifications() ?? []) if (!open.includes(n.data?.id) || n.data.id === here) n.close();
  }

  /** @param {Kept} a @param {Shown[]} list */
  #heard(a, list) {
    this.#moved(a, list);
    this.#tidy();
  }

  /** @param {Kept} a @param {Shown[]} list */
  #moved(a, list) {
    const before = this.waiting.get(a.id) ?? [];
    this.waiting.set(a.id, list);
    const fresh = list.find((r) => !before.some((b) => b.id === r.id) && !this.answered.has(r.id));
    const same = before.map((r) => r.id).join() === list.map((r) => r.id).join();
    if (this.#follow(a, list) || same || this.busy) return;
    if (this.#at === 'request' && !list.some((r) => r.id === this.#about?.shown.id) && this.#about?.account.id === a.id) return this.go('home', t('request.over'), true);
    if (fresh && (this.#at === 'home' || this.#at === 'past')) {
      this.go('request', { account: a, shown: fresh });
      return this.say(t('request.said', { app: fresh.app_name, browser: fresh.browser, place: place(fresh.place) }));
    }
    if (this.#at === 'home') this.refresh();
    else this.#drawTabs();
  }
}

/** Keeps the shell for when there is no network. The policy wants an address that was looked at. */
function keepShell() {
  if (!('serviceWorker' in navigator)) return;
  const url = 'sw.js';
  const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy('watchword', { createScriptURL: (/** @type {string} */ s) => { if (s !== url) throw new TypeError(s); return s; } });
  navigator.serviceWorker.register(policy ? policy.createScriptURL(url) : url, { type: 'module' }).catch(() => {}); // the app works without
}

const app = new App();
if (!available) {
  await speak();
  find(document, '#screen').replaceChildren(h('h1', {}, 'Watchword'), h('p', { class: 'empty' }, t('trouble.insecure')));
} else {
  await app.start();
  keepShell();
}
