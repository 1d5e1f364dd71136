// Firefox and WebKit, driven by one hand: W3C WebDriver, which Firefox speaks on a
// socket of its own (Marionette) and WebKit by its WebKitWebDriver. Only what a person
// can do is done: what is clicked is in sight, what is typed comes by keys.
//
//   FIREFOX=…  the browser; default firefox-esr
//   WEBKIT=…   the driver; default WebKitWebDriver

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../sdk/port.mjs';

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'; // the key of WebDriver's references (section 12.1)
const PATIENCE = 15_000; // ms that a page may take for anything
const here = dirname(fileURLToPath(import.meta.url));

/** Each command: what Marionette calls it, and its method and path in WebDriver. */
const COMMANDS = {
  goto: ['WebDriver:Navigate', 'POST', '/url'],
  back: ['WebDriver:Back', 'POST', '/back'],
  reload: ['WebDriver:Refresh', 'POST', '/refresh'],
  run: ['WebDriver:ExecuteScript', 'POST', '/execute/sync'],
  click: ['WebDriver:ElementClick', 'POST', '/element/:id/click'],
  type: ['WebDriver:ElementSendKeys', 'POST', '/element/:id/value'],
  actions: ['WebDriver:PerformActions', 'POST', '/actions'],
  shot: ['WebDriver:TakeScreenshot', 'GET', '/screenshot'],
  rect: ['WebDriver:SetWindowRect', 'POST', '/window/rect'],
  cookies: ['WebDriver:DeleteAllCookies', 'DELETE', '/cookie'],
  accept: ['WebDriver:AcceptAlert', 'POST', '/alert/accept'],
  plug: ['WebAuthn:AddVirtualAuthenticator', 'POST', '/webauthn/authenticator'],
  unplug: ['WebAuthn:RemoveVirtualAuthenticator', 'DELETE', '/webauthn/authenticator/:authenticatorId'],
};

/** What WebDriver said no to; `error` is its code. */
class No extends Error {
  constructor({ error, message }) {
    super(`${error}: ${message}`);
    this.error = error;
  }
}

const pause = (ms) => new Promise((again) => { setTimeout(again, ms); });

/** A page in one of the engines; elements are named by a selector, and by words in them if it takes words. */
export class Page {
  #command;
  #complaints;
  #resize;
  #dark;
  #authenticator = '';

  constructor(name, { command, complaints, resize, dark }) {
    this.name = name;
    this.#command = command;
    this.#complaints = complaints;
    this.#resize = resize;
    this.#dark = dark;
  }

  goto = (url) => this.#command('goto', { url });
  back = () => this.#command('back', {});
  reload = () => this.#command('reload', {});
  forgetCookies = () => this.#command('cookies', {});
  /** Calls a function in the page. */
  run = (fn, ...args) => this.#command('run', { script: `return (${fn}).apply(null, arguments)`, args });
  resize = (width, height) => this.#resize(this, width, height);
  /** Whether the system is dark. */
  dark = (yes) => this.#dark(this, yes);
  /** Gives the browser a new authenticator, which has no keys and says yes, in the place of the one before. */
  async authenticator() {
    if (this.#authenticator) await this.#command('unplug', { authenticatorId: this.#authenticator });
    this.#authenticator = await this.#command('plug', { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserConsenting: true, isUserVerified: true });
  }

  /** Waits until a function of the page is true, across pages; returns what it is. */
  async until(fn, ...args) {
    let last;
    for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(30)) {
      last = await this.run(fn, ...args).catch((err) => { if (err instanceof No) return err; throw err; }); // the page may be on its way
      if (last && !(last instanceof No)) return last;
    }
    const [at, text] = await this.run(() => [location.href, document.body?.innerText.slice(0, 600)]).catch(String);
    throw new Error(`${this.name} waits in vain for ${fn} ${JSON.stringify(args)} at ${at}: ${last instanceof No ? last.message : ''}\n${text}`);
  }

  /** The first element in sight that fits. */
  async find(selector, words = '') {
    return this.until((selector, words) => [...document.querySelectorAll(selector)].find((e) => e.checkVisibility() && e.textContent.includes(words)), selector, words);
  }

  async #with(act, selector, words) {
    for (const end = Date.now() + PATIENCE; ;) {
      const e = await this.find(selector, words);
      try {
        return await act(e[ELEMENT]);
      } catch (err) {
        if (Date.now() > end || !/stale element|click intercepted|not interactable/.test(err.error)) throw err; // it moves, or was drawn anew
        await pause(30);
      }
    }
  }

  click = (selector, words) => this.#with((id) => this.#command('click', { id }), selector, words);
  type = (selector, text, words) => this.#with((id) => this.#command('type', { id, text }), selector, words);
  /** Types in the place of what a field holds. */
  async fill(selector, text) {
    const e = await this.find(selector);
    await this.run((e) => { e.focus(); e.select(); }, e);
    await this.type(selector, text);
  }

  /** Chooses what a select offers by these words. */
  async choose(selector, words) {
    const e = await this.until((s, words) => [...document.querySelectorAll(`${s} option`)].find((o) => o.textContent === words), selector, words);
    await this.#command('click', { id: e[ELEMENT] });
  }

  /** Gives a file to a field that nobody sees. */
  async file(selector, path) {
    const e = await this.until((s) => document.querySelector(s), selector);
    await this.#command('type', { id: e[ELEMENT], text: path });
  }

  gone = (selector) => this.until((s) => ![...document.querySelectorAll(s)].some((e) => e.checkVisibility()), selector);
  text = async (selector) => this.run((e) => e.textContent, await this.find(selector));
  title = (words) => this.until((t) => document.querySelector('h1')?.textContent === t, words);

  /** Presses a key. */
  press = (key) => this.#command('actions', { actions: [{ type: 'key', id: 'keys', actions: [{ type: 'keyDown', value: key }, { type: 'keyUp', value: key }] }] });
  /** Presses a key while another is held. */
  chord = (held, key) => this.#command('actions', { actions: [{ type: 'key', id: 'keys', actions: [{ type: 'keyDown', value: held }, { type: 'keyDown', value: key }, { type: 'keyUp', value: key }, { type: 'keyUp', value: held }] }] });
  /** Drags by mouse, from one point of the page to another. */
  drag = ([x, y], [to, down]) => this.#command('actions', { actions: [{ type: 'pointer', id: 'mouse', parameters: { pointerType: 'mouse' }, actions: [
    { type: 'pointerMove', duration: 0, x, y }, { type: 'pointerDown', button: 0 },
    ...[0.1, 0.4, 0.7, 1].map((f) => ({ type: 'pointerMove', duration: 30, x: Math.round(x + (to - x) * f), y: Math.round(y + (down - y) * f) })),
    { type: 'pointerUp', button: 0 },
  ] }] });

  /** Keeps a picture, once what moves has moved. */
  async shot(folder, name) {
    await this.run(() => Promise.all(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished.catch(() => {}))).then(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); })));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${this.name}-${name}.png`), Buffer.from(await this.#command('shot', { full: false }), 'base64'));
  }

  /** What the page complained of since this was asked last: errors, refusals of its policy, rejected promises. */
  complaints = () => this.#complaints(this);

  async quiet(where) {
    assert.deepEqual(await this.complaints(), [], `${this.name}: ${where}`);
  }
}

/** Starts a program in a group of its own; `out` is what it said. */
function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
  const said = { out: '' };
  const heard = new Set();
  for (const s of child.stdio.slice(1)) s.on('data', (b) => { said.out += b; for (const h of heard) h(); });
  const over = new Promise((resolve) => { child.on('error', (err) => { said.out += err; resolve(); }); child.on('exit', resolve); });
  const stop = async () => {
    try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it is gone */ }
    await over;
  };
  /** Waits until it says so. */
  const says = (what) => new Promise((resolve, reject) => {
    const look = () => { const m = said.out.match(what); if (m) { heard.delete(look); resolve(m); } };
    heard.add(look);
    look();
    over.then(() => reject(new Error(`${command} ended:\n${said.out}`)));
    setTimeout(() => reject(new Error(`${command} does not say ${what}:\n${said.out}`)), PATIENCE).unref();
  });
  return { stop, says, said };
}

const FIREFOX = {
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.update.disabledForTesting': true,
  'app.normandy.enabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'browser.safebrowsing.downloads.remote.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'dom.disable_open_during_load': false,
  'intl.accept_languages': 'en-GB, en',
  'marionette.port': 0,
  'security.webauth.webauthn_enable_softtoken': true,
  'security.webauth.webauthn_enable_usbtoken': false,
  'devtools.console.stdout.chrome': false,
  'devtools.console.stdout.content': true,
  'ui.systemUsesDarkTheme': 0,
  'media.navigator.streams.fake': true,
};

/** Firefox. */
export async function firefox() {
  const profile = mkdtempSync(join(tmpdir(), 'watchword-firefox-'));
  writeFileSync(join(profile, 'user.js'), Object.entries(FIREFOX).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(''));
  const child = start(process.env.FIREFOX ?? 'firefox-esr', ['--headless', '--marionette', '--remote-allow-system-access', '--no-remote', '--profile', profile], { HOME: profile });
  const stop = async () => { await child.stop(); rmSync(profile, { recursive: true, force: true, maxRetries: 5 }); };
  try {
    const send = await marionette(Number((await child.says(/Listening on port (\d+)/))[1]));
    await send('WebDriver:NewSession', { capabilities: { alwaysMatch: { unhandledPromptBehavior: 'accept' } } });
    const chrome = async (fn, ...args) => {
      await send('Marionette:SetContext', { value: 'chrome' });
      try {
        return (await send('WebDriver:ExecuteScript', { script: `return (${fn}).apply(null, arguments)`, args })).value;
      } finally {
        await send('Marionette:SetContext', { value: 'content' });
      }
    };
    await chrome(watchConsole);
    let read = 0;
    const page = new Page('firefox', {
      command: async (name, params) => {
        const r = await send(COMMANDS[name][0], name === 'run' ? { ...params, sandbox: null } : params);
        return r && typeof r === 'object' && 'value' in r ? r.value : r;
      },
      complaints: async () => {
        const fresh = child.said.out.slice(read);
        read = child.said.out.length;
        return [...await chrome(() => window.watchwordSaid.splice(0)), ...fresh.split('\n').filter((l) => /^console\.(error|warn|assert): (?!\w+: $)/.test(l))];
      },
      resize: async (on, width, height) => {
        await chrome((width, height) => { // a window is never narrower than 450 px, what is in it may be
          const b = gBrowser.selectedBrowser;
          Object.assign(b.style, { width: `${width}px`, height: `${height}px`, minWidth: `${width}px`, maxWidth: `${width}px`, minHeight: `${height}px`, maxHeight: `${height}px` });
        }, width, height);
        await on.until((w, h) => innerWidth === w && innerHeight === h, width, height);
      },
      dark: async (on, yes) => {
        await chrome((yes) => Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', yes ? 0 : 1), yes);
        await on.until((yes) => matchMedia('(prefers-color-scheme: dark)').matches === yes, yes);
      },
    });
    page.stop = stop;
    return page;
  } catch (err) {
    await stop();
    throw err;
  }
}

/** In Firefox itself: keeps what pages complain of. Its own troubles are not ours. */
function watchConsole() {
  const said = window.watchwordSaid = [];
  Services.console.registerListener({ observe(m) {
    if (m instanceof Ci.nsIScriptError && /^https?:/.test(m.sourceName) && !/^(CSS|Layout)/.test(m.category)) said.push(`${m.category}: ${m.errorMessage} ${m.sourceName}:${m.lineNumber}`);
  } });
}

/** A connection to Marionette: each message is its length, a colon, and [0, id, command, parameters] or [1, id, error, result]. */
async function marionette(port) {
  const socket = connect(port, '127.0.0.1');
  const waiting = new Map();
  let buffer = Buffer.alloc(0);
  let hello;
  const greeted = new Promise((resolve) => { hello = resolve; });
  socket.on('data', (b) => {
    buffer = Buffer.concat([buffer, b]);
    for (;;) {
      const colon = buffer.indexOf(':');
      const end = colon + 1 + Number(buffer.subarray(0, Math.max(0, colon)));
      if (colon < 0 || buffer.length < end) return;
      const m = JSON.parse(buffer.subarray(colon + 1, end));
      buffer = buffer.subarray(end);
      if (!Array.isArray(m)) { hello(); continue; }
      const { resolve, reject } = waiting.get(m[1]);
      waiting.delete(m[1]);
      if (m[2]) reject(new No(m[2]));
      else resolve(m[3]);
    }
  });
  const gone = (err) => { for (const { reject } of waiting.values()) reject(err ?? new Error('Firefox is gone')); };
  socket.on('error', gone);
  socket.on('close', () => gone());
  await greeted;
  let id = 0;
  return (command, params) => new Promise((resolve, reject) => {
    waiting.set(++id, { resolve, reject });
    const text = JSON.stringify([0, id, command, params]);
    socket.write(`${Buffer.byteLength(text)}:${text}`);
  });
}

/** WebKit: the engine of Safari, as GTK has it, on a screen that nobody sees. */
export async function webkit() {
  const folder = mkdtempSync(join(tmpdir(), 'watchword-webkit-'));
  const screen = start('Xvfb', ['-displayfd', '3', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp']);
  const parts = [screen];
  const stop = async () => { for (const p of parts.reverse()) await p.stop(); rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); };
  try {
    const display = `:${(await screen.says(/^(\d+)\n/m))[1]}`;
    const at = await freePort();
    const driver = start(process.env.WEBKIT ?? 'WebKitWebDriver', [`--port=${at}`], { DISPLAY: display, NO_AT_BRIDGE: '1', LIBGL_ALWAYS_SOFTWARE: '1' });
    parts.push(driver);
    await listening(at);
    const ask = async (method, path, body) => {
      const r = await fetch(`http://127.0.0.1:${at}${path}`, { method, body: method === 'POST' ? JSON.stringify(body) : undefined });
      const { value } = await r.json();
      if (!r.ok) throw new No(value);
      return value;
    };
    const { sessionId } = await ask('POST', '/session', { capabilities: { alwaysMatch: { unhandledPromptBehavior: 'accept', 'webkitgtk:browserOptions': { binary: '/usr/bin/python3', args: [join(here, 'webkit.py'), folder] } } } });
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    let read = 0;
    const page = new Page('webkit', {
      command: (name, { id, ...params }) => ask(COMMANDS[name][1], `/session/${sessionId}${COMMANDS[name][2].replace(':id', id)}`, params),
      complaints: async () => {
        const text = readFileSync(join(folder, 'console'), 'utf8');
        const fresh = text.slice(read);
        read = text.length;
        return fresh.split('\n').filter((l) => /CONSOLE (\w+ )?(ERROR|WARN)/.test(l) 
          && !/directive 'manifest-src'/.test(l) // GTK's build installs no apps
          && !/Fetch API cannot load http:\/\/localhost:\S+ due to access control checks/.test(l) // so it calls what was under way when a page was left; all of ours is of one origin
          && !/preloaded using link preload but not used within a few seconds/.test(l)); // nor is a busy machine the page's fault
      },
      resize: async (on, width, height) => {
        await ask('POST', `/session/${sessionId}/window/rect`, { width, height });
        await on.until((w, h) => innerWidth === w && innerHeight === h, width, height);
      },
      dark: async (on, yes) => {
        process.kill(pid, yes ? 'SIGUSR1' : 'SIGUSR2');
        await on.until((yes) => matchMedia('(prefers-color-scheme: dark)').matches === yes, yes);
      },
    });
    page.stop = stop;
    return page;
  } catch (err) {
    await stop();
    throw err;
  }
}

/** Waits until something listens there. */
async function listening(at) {
  for (const end = Date.now() + PATIENCE; ; await pause(20)) {
    const there = await new Promise((resolve) => {
      const s = connect(at, '127.0.0.1', () => { s.destroy(); resolve(true); });
      s.on('error', () => resolve(false));
    });
    if (there) return;
    if (Date.now() > end) throw new Error('the driver of WebKit does not listen');
  }
}
