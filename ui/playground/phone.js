// The phone's half: an app that registers, waits and answers as one on a real
// phone does. Its keys are made here and stay in the browser. It knows the server
// by two doors: the Mosaic protocol for journeys, the device API for "is anything
// waiting for me?".

import { NetworkError, Journey } from '/lib/mosaic.js';
import { Refused, pending } from '/lib/device.js';
import { biometricKey, deviceKey, forget, load, save } from '/lib/keys.js';
import { nonce } from '/lib/bytes.js';
import { clock, copy, fill, find, on, pause, timeOfDay } from '/lib/page.js';
import { devices } from './shop.js';
import { language, said, say } from './words.js';

/** @typedef {import('/lib/mosaic.js').Reply} Reply */
/** @typedef {import('/lib/device.js').Waiting} Waiting */
/** @typedef {import('/lib/keys.js').Key} Key */
/** @typedef {'you' | 'wrong' | 'deny' | 'offline'} Play what becomes of the next request */
/** @typedef {'yes' | 'deny' | 'not_me'} Word */

/**
 * @typedef {object} Options
 * @property {string} base
 * @property {string} client
 * @property {import('/lib/mosaic.js').Watch} watch
 * @property {string} email  to begin with
 * @property {(email: string) => void} onSetUp
 * @property {() => void} onAnswering
 * @property {() => boolean} mayFocus  whether the number field may take the focus: nobody is busy elsewhere
 * @property {() => void} onApproved
 * @property {(among: string[]) => string} wrongNumber  what to enter when pretending to err, one of these if there are any
 */

const WAITING = 'transmit_platform_mobile_approve_authentication';
const HOLD = 25; // seconds that the server may hold "is anything waiting?"
const GLANCE = 1000; // ms between looks whether the request shown still stands
const THINK = 1300; // ms that a pretending phone takes before it acts
const NAME = 'Demo phone';
const APP = 'Northwind Coffee';

export class Phone {
  /** @type {Key | null} */
  #key = null;
  /** @type {{email: string} | null} whose it is, once it is set up */
  #owner = null;
  /** @type {Play} */
  #play = 'you';
  #round = 0; // of listening; an earlier one stops
  #hangUp = new AbortController();
  /** @type {Waiting | null} the request on the screen */
  #request = null;
  /** @type {Promise<{j: Journey, r: Reply}> | null} the journey that answers it */
  #joined = null;
  /** @type {Set<string>} */
  #answered = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #tick;

  /**
   * @param {HTMLElement} root
   * @param {Options} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.screen = find(root, '[data-phone=screen]');
    this.app = find(root, '[data-phone=app]');
    setInterval(() => this.#clock(), 5000);
  }

  /** Whose phone this is, or ''. */
  get email() {
    return this.#owner?.email ?? '';
  }

  async start() {
    this.#owner = (await load('phone')) ?? null;
    if (!this.#owner) return this.#setUp(this.options.email);
    this.#key = await deviceKey('phone-device');
    this.options.onSetUp(this.#owner.email);
    this.#idle();
    this.#listen();
  }

  /** @param {Play} play */
  play(play) {
    const was = this.#play;
    this.#play = play;
    this.screen.classList.toggle('offline', play === 'offline');
    if (!this.#owner) return;
    if (play === 'offline' || was === 'offline') {
      this.#request = null;
      this.#idle();
      this.#listen();
    } else if (this.#request) {
      this.#pretend();
    }
  }

  /** @param {HTMLElement} view @param {string} kind */
  #put(view, kind) {
    const inside = this.app.contains(document.activeElement);
    clearInterval(this.#tick);
    this.app.replaceChildren(view);
    this.screen.dataset.view = kind;
    this.#clock();
    if (inside) find(view, 'h3').focus({ preventScroll: true });
  }

  /** @param {string} words */
  #tell(words) {
    find(this.root, '[data-phone=status]').textContent = words;
  }

  /** What the server said of a refusal, where it speaks our language; else what we say. @param {Reply} r @param {string} ours */
  #heard(r, ours) {
    return (language === 'en' && (r.problem?.message || r.message)) || say(ours);
  }

  #clock() {
    for (const e of this.root.querySelectorAll('[data-phone=clock]')) e.textContent = timeOfDay();
  }

  #talk() {
    const { base, client, watch } = this.options;
    return new Journey({
      base, client, watch, key: this.#key,
      device: {
        device_type: 'mobile', device_platform: 'web', device_manufacturer: 'Watchword', device_model: NAME, device_name: NAME, device_os: 'playground',
        device_os_version: '1', app_identifier: 'dev.watchword.playground', push_config: { device_token: this.#target, type: 'none' },
      },
    });
  }

  #target = nonce(); // nobody sends to it; the phone asks by itself

  // Setting up.

  /**
   * @param {string} email
   * @param {string | null} [note]
   */
  #setUp(email, note = null) {
    const view = said(copy('app-setup', { email, say: note }));
    const input = find(view, 'input', HTMLInputElement);
    const button = find(view, 'button', HTMLButtonElement);
    view.addEventListener('submit', async (e) => {
      e.preventDefault();
      if (button.ariaDisabled === 'true') return;
      const typed = input.value.trim();
      const problem = !typed ? say('Enter an e-mail address.') : input.validity.valid ? '' : say('That is not an e-mail address.');
      input.setAttribute('aria-invalid', String(Boolean(problem)));
      fill(view, { problem });
      if (problem) return input.focus();
      button.ariaDisabled = 'true';
      fill(view, { go: say('Making keys…') });
      try {
        await this.#register(typed);
      } catch (err) {
        if (!(err instanceof NetworkError)) throw err;
        this.#setUp(typed, say('The server does not answer. Try again.'));
      }
    });
    this.#put(view, 'setup');
  }

  /** Runs mobile_app_registration. @param {string} email */
  async #register(email) {
    this.#key = await deviceKey('phone-device');
    const j = this.#talk();
    let r = await j.start('mobile_app_registration');
    let asked = false;
    while (r.state === 'pending') {
      if (r.problem || (r.step === 'form' && asked)) break;
      asked ||= r.step === 'form';
      const next = await this.#enrol(j, r, email);
      if (!next) return;
      r = next;
    }
    if (r.state !== 'success') return this.#setUp(email, this.#heard(r, 'The phone was not set up.'));
    this.#owner = { email };
    await save('phone', this.#owner);
    this.options.onSetUp(email);
    this.#idle();
    this.#tell(say('This phone is set up.', { app: APP }));
    this.#listen();
  }

  /**
   * Answers one step of the registration; null if its owner went another way.
   * @param {Journey} j
   * @param {Reply} r
   * @param {string} email
   * @returns {Promise<Reply | null>}
   */
  async #enrol(j, r, email) {
    switch (r.step) {
      case 'form':
        return j.submit({ email });
      case 'information':
        return j.submit();
      case 'transmit_platform_mobile_biometrics_registration': {
        const key = await biometricKey('phone-biometric');
        return j.submit({ publicKeyId: key.id, publicKey: key.spki, os: 'Android' });
      }
      case 'transmit_platform_email_otp_authentication':
        return j.submit({ passcode: await this.#mailed(email) });
      case WAITING:
        return r.data.devices ? this.#which(j, r, email) : this.#other(j, r, email);
    }
    throw new Error(`this phone does not know the step ${r.step}`);
  }

  /**
   * Reads the code that was mailed to the owner, who has something enrolled but no
   * phone: this phone gets its mail from the development inbox.
   * @param {string} email
   * @returns {Promise<string>}
   */
  async #mailed(email) {
    for (let i = 0; i < 50; i++) {
      const r = await fetch(`/dev/inbox/messages?channel=mail&to=${encodeURIComponent(email)}`);
      const { messages } = await r.json();
      const code = messages.findLast((/** @type {any} */ m) => m.data?.code)?.data.code;
      if (code) {
        this.#tell(say('A code came by mail and was entered.'));
        return code;
      }
      await pause(200);
    }
    throw new NetworkError('no mail came');
  }

  /**
   * @param {Journey} j
   * @param {Reply} r
   * @param {string} email
   * @returns {Promise<Reply | null>}
   */
  #which(j, r, email) {
    const view = said(copy('app-which'));
    find(view, 'fieldset').append(...devices(r.data.devices, 'phone-device'));
    this.#put(view, 'other');
    return new Promise((resolve, reject) => {
      view.addEventListener('submit', (e) => {
        e.preventDefault();
        j.submit({ selected_device_code: new FormData(/** @type {HTMLFormElement} */ (view)).get('phone-device') }).then(resolve, reject);
      });
      on(view, 'fresh', () => resolve(this.#elsewhere(j, email)));
    });
  }

  /**
   * Waits for the user's other phone.
   * @param {Journey} j
   * @param {Reply} r
   * @param {string} email
   * @returns {Promise<Reply | null>}
   */
  async #other(j, r, email) {
    const number = String(r.data.number ?? '');
    const device = r.data.device_display_name ?? say('your other phone');
    const told = language === 'en' ? `Enter this number on ${device}.` : say('Approve on {device}. The number is {n}.', { device, n: number });
    const view = said(copy('app-other', { text: told, spoken: language === 'en' ? `The number is ${number.split('').join(' ')}.` : null }));
    const tile = find(view, 'ww-tile');
    tile.setAttribute('number', number);
    /** @type {Reply | null | undefined} undefined: still waiting */
    let left;
    on(view, 'cancel', async () => { left = null; left = await j.escape('cancel'); });
    on(view, 'fresh', () => { left = null; this.#elsewhere(j, email); });
    this.#put(view, 'other');
    this.#tell(number ? say('Approve on {device}. The number is {n}.', { device, n: number.split('').join(' ') }) : told);
    const total = r.data.expires_at - Date.now();
    const draw = () => {
      const ms = r.data.expires_at - Date.now();
      tile.setAttribute('left', (ms / total).toFixed(3));
      fill(view, { left: say('{time} left', { time: clock(ms / 1000) }) });
    };
    draw();
    this.#tick = setInterval(draw, 1000);
    while (left === undefined) {
      const since = Date.now();
      const news = await j.submit();
      if (left !== undefined) break;
      if (news.step !== WAITING) return news;
      await pause(Math.max(0, (r.data.polling_interval ?? 3) * 1000 - (Date.now() - since)));
    }
    if (!this.app.contains(view)) return null;
    this.#setUp(email, say('The phone was not set up.'));
    return null;
  }

  /**
   * Leaves a registration for a fresh address.
   * @param {Journey} j
   * @param {string} email
   * @returns {null}
   */
  #elsewhere(j, email) {
    j.escape('cancel').catch(() => {}); // what is left behind runs out by itself
    this.#setUp(another(email), say('A new address needs no other phone.'));
    return null;
  }

  async #reset() {
    const email = this.email;
    this.#round++;
    this.#hangUp.abort();
    this.#owner = null;
    this.#request = null;
    await Promise.all(['phone', 'phone-device', 'phone-biometric'].map(forget));
    this.#setUp(another(email));
  }

  // Waiting.

  #idle() {
    const off = this.#play === 'offline';
    const view = said(copy('app-idle', {
      date: new Date().toLocaleDateString(language === 'en' ? [] : language, { weekday: 'long', day: 'numeric', month: 'long' }),
      title: off ? say('Offline') : say('Nothing to approve'), text: off ? say('Requests will not reach this phone.') : this.email,
    }));
    on(view, 'reset', () => this.#reset());
    this.#put(view, 'idle');
  }

  /** Asks what waits, for as long as the phone is on. */
  async #listen() {
    const mine = ++this.#round;
    this.#hangUp.abort();
    this.#hangUp = new AbortController();
    const { signal } = this.#hangUp;
    while (mine === this.#round && this.#play !== 'offline') {
      try {
        const list = await this.#ask(this.#request ? 0 : HOLD, signal);
        if (mine !== this.#round) return;
        this.#waits(list);
        if (this.#request) await pause(GLANCE, signal);
      } catch (err) {
        if (mine !== this.#round) return;
        if (err instanceof Refused) return this.#stranger(err.message);
        if (!(err instanceof NetworkError)) throw err;
        await pause(3000, signal);
      }
    }
  }

  /**
   * @param {number} wait
   * @param {AbortSignal} signal
   */
  #ask(wait, signal) {
    const { base, client, watch } = this.options;
    return pending({ base, client, watch, key: /** @type {Key} */ (this.#key) }, wait, signal);
  }

  /** The server does not know this phone: its data was thrown away. @param {string} words */
  #stranger(words) {
    const email = this.email;
    this.#owner = null;
    forget('phone');
    this.#setUp(email || this.options.email, words);
  }

  /** @param {Waiting[]} list */
  #waits(list) {
    if (this.#joined) return; // its owner is answering
    const newest = list.filter((r) => !this.#answered.has(r.id)).sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
    if (newest && newest.id !== this.#request?.id) this.#ring(newest);
    else if (!newest && this.#request) this.#done('over', say('This request is over'), say('It was cancelled in the browser or has run out.'));
  }

  // Answering.

  /** @param {Waiting} request */
  #ring(request) {
    this.#request = request;
    this.#joined = null;
    const place = where(request.place);
    const view = said(copy('app-request', { asks: language === 'en' ? `${request.app} asks` : `${say('asks')}: ${request.app}`, place, browser: request.browser, at: timeOfDay(new Date(request.at), true), acting: null }));
    const mode = request.number_mode;
    find(view, '[data-request=number]').hidden = mode === 'off' || mode === 'choose-4';
    const input = find(view, 'input[name=number]', HTMLInputElement);
    input.maxLength = mode === 'type-6' ? 6 : 2;
    input.classList.toggle('long', mode === 'type-6');
    input.addEventListener('input', () => { input.value = input.value.replace(/\D/g, ''); });
    this.#deal(view, request);
    view.addEventListener('submit', (e) => { e.preventDefault(); this.#approve(view); });
    on(view, 'no', () => this.#no());
    view.dataset.request = request.id;
    const idle = this.options.mayFocus() || this.app.contains(document.activeElement);
    this.#put(view, 'request');
    this.#countDown(view, request);
    if (mode === 'choose-4') this.#offer(view);
    else if (idle && mode !== 'off') input.focus({ preventScroll: matchMedia('(max-width: 860px)').matches });
    this.#tell(say('{app} asks: are you signing in? {browser}, {place}.', { app: request.app, browser: request.browser, place: language === 'en' ? request.place : place }));
    this.#pretend();
  }

  /** What is approved, largest on the screen. @param {HTMLElement} view @param {Waiting} request */
  #deal(view, request) {
    const rows = Object.entries(request.approval_data ?? {});
    if (rows.length === 0) return;
    const list = find(view, '[data-request=deal]');
    list.hidden = false;
    for (const [name, value] of rows) {
      const row = document.createElement('div');
      for (const [tag, text] of [['dt', name], ['dd', String(value)]]) row.append(Object.assign(document.createElement(/** @type {string} */ (tag)), { textContent: text }));
      list.append(row);
    }
    fill(view, { title: say('Do you approve this?') });
  }

  /** @param {HTMLElement} view @param {Waiting} request */
  #countDown(view, request) {
    const draw = () => fill(view, { left: say('{time} left', { time: clock((Date.parse(request.expires_at) - Date.now()) / 1000) }) });
    draw();
    clearInterval(this.#tick);
    this.#tick = setInterval(draw, 1000);
  }

  /** The four numbers to choose from are known to the journey alone. @param {HTMLElement} view */
  async #offer(view) {
    const { r } = await this.#join();
    const set = find(view, '[data-request=choices]');
    set.append(...devices((r.data.choices ?? []).map((/** @type {string} */ n) => ({ code: n, name: n })), 'choice'));
    for (const e of set.querySelectorAll('input')) e.checked = false;
    set.hidden = false;
  }

  #join() {
    const request = /** @type {Waiting} */ (this.#request);
    this.options.onAnswering();
    this.#joined ??= (async () => {
      const j = this.#talk();
      return { j, r: await j.approve(request.id) };
    })();
    return this.#joined;
  }

  /** @param {HTMLElement} view */
  #approve(view) {
    const mode = this.#request?.number_mode;
    const data = new FormData(/** @type {HTMLFormElement} */ (view));
    const number = String(data.get(mode === 'choose-4' ? 'choice' : 'number') ?? '').trim();
    const input = find(view, 'input[name=number]', HTMLInputElement);
    const wanted = mode === 'type-6' ? 6 : 2;
    const problem = mode === 'off' ? '' : mode === 'choose-4' ? (number ? '' : say('Choose the number in the browser.')) : number.length === wanted ? '' : say('Enter the {n} digits from the browser.', { n: language !== 'en' ? wanted : wanted === 2 ? 'two' : 'six' });
    input.setAttribute('aria-invalid', String(Boolean(problem)));
    fill(view, { problem });
    if (problem) return mode === 'choose-4' || input.focus();
    this.#answer('yes', number);
  }

  #no() {
    const request = this.#request;
    const old = /** @type {HTMLElement} */ (this.app.firstElementChild);
    const view = said(copy('app-no'));
    on(view, 'not-me', () => this.#answer('not_me'));
    on(view, 'deny', () => this.#answer('deny'));
    on(view, 'back', () => {
      this.#put(old, 'request');
      if (request) this.#countDown(old, request);
    });
    this.#put(view, 'no');
  }

  /**
   * Gives the answer and shows what the server made of it.
   * @param {Word} word
   * @param {string} [number]
   */
  async #answer(word, number = '') {
    const request = /** @type {Waiting} */ (this.#request);
    if (this.app.contains(document.activeElement)) find(this.app, 'h3').focus({ preventScroll: true });
    for (const b of this.app.querySelectorAll('button')) b.disabled = true;
    if (word === 'yes') fill(this.app, { yes: say('Signing…') });
    let r;
    try {
      const joined = await this.#join();
      r = joined.r;
      while (r.state === 'pending' && !r.problem) {
        r = word === 'yes' ? await this.#allow(joined.j, r, number) : await joined.j.escape(way(r, word));
      }
    } catch (err) {
      if (!(err instanceof NetworkError)) throw err;
      return this.#done('no', say('No connection'), say('The server did not hear the answer.'));
    }
    this.#answered.add(request.id);
    if (r.state === 'success') {
      this.options.onApproved();
      return this.#done('yes', say('Approved'), say('{app} has your answer.', { app: request.app }));
    }
    if (r.reason === 'wrong_number') return this.#done('no', say('That did not match'), say('The request is closed. Start again in the browser.'));
    if (r.reason === 'denied') return this.#done('no', say('Denied'), say('Nobody was signed in.'));
    if (r.reason === 'not_me') return this.#done('no', say('Reported'), say('Nobody was signed in. Requests to this address stop for a while.'));
    this.#done('no', say('Not approved'), this.#heard(r, 'The server refused.'));
  }

  /**
   * @param {Journey} j
   * @param {Reply} r
   * @param {string} number
   * @returns {Promise<Reply>}
   */
  async #allow(j, r, number) {
    switch (r.step) {
      case 'information':
        return j.submit();
      case 'transmit_platform_validate_otp':
        return j.submit({ passcode: number });
      case 'transmit_platform_mobile_biometrics_authentication': {
        const key = await biometricKey('phone-biometric');
        return j.submit({ publicKeyId: key.id, userIdentifier: r.data.user_identifier, signedChallenge: await key.sign(r.data.biometrics_challenge) });
      }
    }
    throw new Error(`this phone does not know the step ${r.step}`);
  }

  /** Acts as the switches say. */
  async #pretend() {
    const request = this.#request;
    const play = this.#play;
    if (!request || this.#joined && request.number_mode !== 'choose-4' || (play !== 'wrong' && play !== 'deny')) return;
    fill(this.app, { acting: say(play === 'wrong' ? 'Wrong number' : 'Deny') });
    const still = async (/** @type {number} */ ms) => {
      await pause(ms);
      return request === this.#request && play === this.#play;
    };
    if (!(await still(THINK))) return;
    if (play === 'deny') return this.#answer('deny');
    const input = this.app.querySelector('input[name=number]');
    const chosen = [...this.app.querySelectorAll('input[name=choice]')].map((e) => /** @type {HTMLInputElement} */ (e).value);
    const wrong = this.options.wrongNumber(chosen);
    for (let i = 1; i <= wrong.length && input instanceof HTMLInputElement; i++) {
      input.value = wrong.slice(0, i);
      if (!(await still(250))) return;
    }
    this.#answer('yes', wrong);
  }

  /**
   * @param {'yes' | 'no' | 'over'} how
   * @param {string} title
   * @param {string} text
   */
  #done(how, title, text) {
    this.#request = null;
    this.#joined = null;
    const view = said(copy('app-done', { title, text }));
    view.classList.add(how);
    find(view, 'ww-tile').setAttribute('number', { yes: '✓', no: '✕', over: '–' }[how]);
    on(view, 'close', () => this.#idle());
    this.#put(view, 'done');
    this.#tell(`${title}. ${text}`);
  }
}

/** Where a request came from, in words. @param {string} place */
function where(place) {
  const words = place.replace(/^./, (c) => c.toUpperCase());
  return ['This computer', 'Local network'].includes(words) ? say(words) : words;
}

/**
 * The escape that says no on this step.
 * @param {Reply} r
 * @param {Word} word
 */
function way(r, word) {
  const offers = (/** @type {string} */ id) => r.escapes.some((e) => e.id === id);
  if (word === 'not_me' && offers('not_me')) return 'not_me';
  return offers('cancel') ? 'cancel' : 'failure';
}

/** A fresh address like the given one. @param {string} email */
function another(email) {
  const [name = 'ada', host = 'example.org'] = email.split('@');
  const n = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  return `${name.replace(/\.\d+$/, '')}.${1000 + (n % 9000)}@${host}`;
}
