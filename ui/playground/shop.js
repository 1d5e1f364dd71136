// The shop's half: one field, one button, then waiting for the phone. It signs
// in by the journey web_login over the Mosaic protocol, as a shop of anybody's
// would.

import { decode, verify } from '/lib/jwt.js';
import { Journey, NetworkError } from '/lib/mosaic.js';
import { clock, copy, fill, find, on, pause } from '/lib/page.js';

/** @typedef {import('/lib/mosaic.js').Reply} Reply */

/**
 * @typedef {object} Options
 * @property {string} base
 * @property {string} client
 * @property {import('/lib/keys.js').Key} key
 * @property {import('/lib/mosaic.js').Watch} watch
 * @property {string} email            to begin with
 * @property {(number: string) => void} showNumber
 * @property {() => string} phoneEmail  whose phone the playground's is; '' if nobody's
 * @property {() => (() => number)} lead  marks the moment the shop heard; ms by which that was before the phone, 0 if the phone has not heard yet
 */

const WAITING = 'transmit_platform_mobile_approve_authentication';
const PRICE = 1150;
const DELIVERY = 390;
const QUIET = 20; // seconds without an answer before a word of help

/** What ended a sign-in, in words. Reasons that are not here use the server's words. */
const ENDS = /** @type {Record<string, [title: string, text: string]>} */ ({
  denied: ['Denied', 'The phone said no. Nobody was signed in.'],
  not_me: ['Denied', 'The phone’s owner did not start this. Requests to this address stop for a while.'],
  wrong_number: ['That did not match', 'The number entered on the phone was another one. The request is closed.'],
  expired: ['Nobody answered', 'The request ran out before the phone answered.'],
  cancelled: ['Cancelled', 'The sign-in was cancelled. Your basket is as it was.'],
  session_expired: ['This sign-in has ended', 'It was answered or has run out.'],
});

/** Reasons that are nobody's no. */
const OVER = ['expired', 'cancelled', 'session_expired'];

/** Authentication methods (RFC 8176) in words. */
const AMR = /** @type {Record<string, string>} */ ({
  mca: 'on a second device',
  hwk: 'with its own key',
  swk: 'with its own key',
  user: 'opened by its owner',
  mfa: 'two proofs at once',
  fpt: 'by fingerprint',
  face: 'by face',
  otp: 'with a one-time code',
  pin: 'with a PIN',
  pwd: 'with a password',
});

/** @param {number} cents */
const euro = (cents) => `€${(cents / 100).toFixed(2)}`;

export class Shop {
  /** @type {Journey | null} */
  #journey = null;
  #round = 0; // grows with each step; a poll of an earlier round has nothing to say
  #quantity = 2;
  #email;
  #number = '';
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #tick;
  /** @type {() => void} */
  #measured = () => {};

  /**
   * @param {HTMLElement} root
   * @param {Options} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.#email = options.email;
    this.desk = find(root, '[data-shop=desk]');
    on(root, 'less', () => this.#stock(-1));
    on(root, 'more', () => this.#stock(+1));
    this.#stock(0);
    this.#basket();
  }

  /** Offers an address to sign in with. @param {string} email */
  suggest(email) {
    this.#email = email;
    const input = this.desk.querySelector('input[name=email]');
    if (input instanceof HTMLInputElement) input.value = email;
  }

  /** A number that is not the one shown, one of these if there are any. @param {string[]} among */
  anotherNumber(among) {
    const n = this.#number || '00';
    if (among.length) return among.find((other) => other !== n) ?? n;
    return n.slice(0, -1) + ((Number(n.at(-1)) + 1 + Math.floor(Math.random() * 8)) % 10);
  }

  /** Whether somebody here just asked for the phone and does nothing else. */
  get expects() {
    const at = document.activeElement;
    return this.#journey !== null && this.desk.contains(at) && !at?.closest('.ways');
  }

  /** The phone knows that it is approved. */
  heard() {
    this.#measured();
  }

  /** @param {number} by */
  #stock(by) {
    this.#quantity = Math.min(12, Math.max(1, this.#quantity + by));
    const n = String(this.#quantity);
    for (const name of ['count', 'quantity']) find(this.root, `[data-shop=${name}]`).textContent = n;
    fill(this.desk, { quantity: n, goods: euro(this.#quantity * PRICE), total: euro(this.#quantity * PRICE + DELIVERY) });
  }

  /** Puts a panel on the desk; whoever was in the old one is taken along. @param {HTMLElement} panel */
  #put(panel) {
    const inside = this.desk.contains(document.activeElement);
    clearInterval(this.#tick);
    this.desk.replaceChildren(panel);
    if (inside) find(panel, 'h3').focus();
  }

  /** @param {string} words */
  #say(words) {
    find(this.root, '[data-shop=status]').textContent = words;
  }

  /** @param {string} number */
  #show(number) {
    this.#number = number;
    this.options.showNumber(number);
  }

  /** @param {string | null} [say] */
  #basket(say = null) {
    this.#round++;
    this.#show('');
    find(this.root, '[data-shop=who]').textContent = 'Roasted on Tuesdays';
    const panel = copy('desk-basket', { email: this.#email, say });
    const input = find(panel, 'input', HTMLInputElement);
    panel.addEventListener('submit', (e) => {
      e.preventDefault();
      this.#email = input.value.trim();
      const problem = !this.#email ? 'Enter your e-mail address.' : input.validity.valid ? '' : 'That is not an e-mail address.';
      input.setAttribute('aria-invalid', String(Boolean(problem)));
      fill(panel, { problem });
      if (problem) input.focus();
      else this.#signIn(panel);
    });
    this.#put(panel);
    this.#stock(0);
  }

  /** @param {HTMLElement} panel */
  async #signIn(panel) {
    const button = find(panel, 'button.primary', HTMLButtonElement);
    if (button.ariaDisabled === 'true') return;
    button.ariaDisabled = 'true';
    button.textContent = 'Asking your phone…';
    const { base, client, key, watch } = this.options;
    const device = { device_type: 'desktop', device_platform: 'web', device_name: 'Northwind web shop' };
    await this.#move(async () => {
      let r = this.#journey?.last?.step === 'login_form' ? this.#journey.last : null;
      if (!r || !this.#journey) {
        this.#journey = new Journey({ base, client, key, watch, device });
        r = await this.#journey.start('web_login');
      }
      return r.step === 'login_form' ? this.#journey.escape('web_to_mobile', { email: this.#email }) : r;
    });
  }

  /**
   * Makes one move and shows where it led. A sign-in that succeeded meanwhile
   * stands.
   * @param {(j: Journey) => Promise<Reply>} move
   */
  async #move(move) {
    const mine = ++this.#round;
    try {
      const r = await move(/** @type {Journey} */ (this.#journey));
      if (mine === this.#round) this.#take(r);
    } catch (err) {
      if (!(err instanceof NetworkError)) throw err;
      if (mine === this.#round) this.#ended('No connection', 'The server does not answer. Check that it runs, then start again.');
    }
  }

  /** @param {Reply} r */
  #take(r) {
    if (r.state === 'success') return this.#hello(r.token);
    if (r.state === 'rejection') {
      const [title, text] = ENDS[r.reason] ?? ['Not signed in', r.message || 'The sign-in was refused.'];
      return this.#ended(title, text, !OVER.includes(r.reason));
    }
    if (r.step === WAITING) return r.data.devices ? this.#choose(r) : this.#wait(r);
    if (r.step === 'login_form') return this.#basket(r.problem?.message ?? 'Another way: sign in with another address, or ask the phone once more.');
    this.#ended('Not signed in', `This shop does not know the step “${r.step}”.`);
  }

  /** @param {Reply} r */
  #choose(r) {
    const panel = copy('desk-choose', { problem: r.problem?.message ?? '' });
    find(panel, 'fieldset').append(...devices(r.data.devices, 'shop-device'));
    panel.addEventListener('submit', (e) => {
      e.preventDefault();
      const code = new FormData(/** @type {HTMLFormElement} */ (panel)).get('shop-device');
      this.#move((j) => j.submit({ selected_device_code: code }));
    });
    on(panel, 'cancel', () => this.#move((j) => j.escape('cancel')));
    this.#put(panel);
    this.#say('Choose which of your phones to ask.');
  }

  /** @param {Reply} r */
  #wait(r) {
    this.#round++;
    const since = Date.now();
    const total = Math.max(1, r.data.expires_at - since);
    const number = String(r.data.number ?? '');
    const old = this.desk.querySelector('.waiting');
    const panel = old instanceof HTMLElement ? old : copy('desk-waiting');
    const tile = find(panel, 'ww-tile');
    tile.setAttribute('number', number);
    const left = r.data.resend_attempts_left ?? 0;
    const device = r.data.device_display_name ?? 'your phone';
    const ways = (/** @type {string} */ id) => r.escapes.some((e) => e.id === id);
    fill(panel, {
      device, do: number ? 'Enter this number there.' : 'Open the request there.',
      resend: `Send again (${left} left)`, another: ways('another_way') ? 'Another way' : null,
      note: r.problem?.message || (r.data.delivery === 'failed' ? 'The message did not get through. Open the app, or go another way.' : this.#mismatch()),
    });
    const resend = find(panel, '[data-act=resend]', HTMLButtonElement);
    resend.ariaDisabled = String(left === 0);
    if (panel !== old) {
      on(panel, 'resend', () => resend.ariaDisabled !== 'true' && this.#move((j) => j.resend()));
      on(panel, 'another', () => this.#move((j) => j.escape('another_way')));
      on(panel, 'cancel', () => this.#move((j) => j.escape('cancel')));
      this.#put(panel);
    }
    clearInterval(this.#tick);
    const draw = () => {
      const seconds = (r.data.expires_at - Date.now()) / 1000;
      tile.setAttribute('left', (seconds * 1000 / total).toFixed(3));
      fill(panel, { left: seconds > 0 ? `${clock(seconds)} left` : 'Time is up' });
      if (Date.now() - since > QUIET * 1000 && !r.problem && r.data.delivery !== 'failed') fill(panel, { note: this.#mismatch() ?? (left ? 'Nothing on the phone? Open the app, or send it again.' : 'Nothing on the phone? Open the app, or go another way.') });
    };
    draw();
    this.#tick = setInterval(draw, 1000);
    this.#show(number);
    this.#say(r.problem?.message ?? `Approve on ${device}.${number && ` The number is ${number.split('').join(' ')}.`}`);
    this.#poll(r.data.polling_interval ?? 3);
  }

  /** Why the phone beside the shop stays dark, if that is known. */
  #mismatch() {
    const phone = this.options.phoneEmail();
    if (!phone) return 'The phone here is not set up. Set it up, then start again.';
    return phone.toLowerCase() === this.#email.toLowerCase() ? null : `The phone here is set up for ${phone}.`;
  }

  /**
   * Asks for news until there is some. The server holds the question while there
   * is none; when it does not, the pause is the one it asked for.
   * @param {number} interval seconds
   */
  async #poll(interval) {
    const mine = this.#round;
    const j = /** @type {Journey} */ (this.#journey);
    for (let failed = 0; mine === this.#round;) {
      const since = Date.now();
      try {
        const shown = JSON.stringify(j.last?.data);
        const r = await j.submit();
        if (r.state === 'success' && j === this.#journey) return this.#take(r);
        if (mine !== this.#round) return;
        if (r.state !== 'pending' || r.step !== WAITING || JSON.stringify(r.data) !== shown) return this.#take(r);
        failed = 0;
      } catch (err) {
        if (!(err instanceof NetworkError)) throw err;
        if (mine !== this.#round) return;
        fill(this.desk, { note: 'The connection was lost. Trying again.' });
        failed++;
      }
      await pause(Math.max(0, interval * 1000 * Math.max(1, failed) - (Date.now() - since)));
    }
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {boolean} [no] somebody or something said no; else it just ended
   */
  #ended(title, text, no = true) {
    this.#round++;
    this.#journey = null;
    this.#show('');
    const panel = copy('desk-ended', { title, text });
    panel.classList.toggle('over', !no);
    on(panel, 'again', () => this.#basket());
    this.#put(panel);
    this.#say(`${title}. ${text}`);
  }

  /** @param {string} token */
  #hello(token) {
    this.#round++;
    this.#journey = null;
    this.#show('');
    const lead = this.options.lead();
    const { header, claims } = decode(token);
    const name = (this.#email.split(/[@.+_\d-]/)[0] || this.#email).replace(/^./, (c) => c.toUpperCase());
    const panel = copy('desk-hello', { name, email: this.#email, speed: '' });
    const how = find(panel, '[data-hello=how]');
    how.append(...Object.keys(AMR).filter((m) => claims.amr?.includes(m)).map(method));
    find(panel, '[data-hello=claims]').textContent = JSON.stringify({ header, claims }, null, 2);
    const details = find(panel, 'details', HTMLDetailsElement);
    details.addEventListener('toggle', async () => fill(panel, { checked: await check(token, this.options.base) }), { once: true });
    on(panel, 'again', () => { this.#basket(); this.#say('Signed out.'); });
    this.#measured = () => {
      const by = lead();
      if (by) fill(panel, { speed: `This page knew ${Math.abs(by) < 1 ? 'as soon as' : `${Math.round(Math.abs(by))} ms ${by > 0 ? 'before' : 'after'}`} the phone did.` });
    };
    fill(panel, { speed: 'The answer is on its way to the phone.' });
    this.#measured();
    find(this.root, '[data-shop=who]').textContent = this.#email;
    this.#put(panel);
    this.#say(`Hello, ${name}. You are signed in.`);
  }
}

/** @param {string} name */
function method(name) {
  const li = document.createElement('li');
  const code = document.createElement('code');
  code.textContent = name;
  li.append(AMR[name] ?? '', ' ', code);
  return li;
}

/**
 * Says whether the token is signed by the server's published key.
 * @param {string} token
 * @param {string} base
 */
async function check(token, base) {
  try {
    const r = await fetch(`${base}/.well-known/jwks.json`);
    return (await verify(token, await r.json()))
      ? 'The server’s published key signed this. Checked here, in the browser.'
      : 'The signature does not fit the server’s published keys.';
  } catch {
    return 'The server’s keys could not be fetched, so the signature is unchecked.';
  }
}

/**
 * Radio buttons for phones to choose from.
 * @param {{code: string, name: string}[]} list
 * @param {string} group
 */
export function devices(list, group) {
  return list.map((d, i) => {
    const label = document.createElement('label');
    const input = document.createElement('input');
    Object.assign(input, { type: 'radio', name: group, value: d.code, checked: i === 0 });
    label.append(input, d.name);
    return label;
  });
}
