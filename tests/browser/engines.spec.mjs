// Every page of ours in the other two engines: Firefox, and WebKit, which is
// Safari's. People sign in, a phone is set up and answers, the console is walked and a
// journey drawn; no page may complain, none scrolls sideways. Exit status 0 means that
// all of it held. What an engine has not is said by the test that would need it.
//
//   WATCHWORD_BIN=…   the binary to start, with the console built into it
//   ENGINE=NAME       firefox or webkit alone
//   SHOTS=DIR         keeps pictures there
//   ONLY=WORDS        runs the tests whose name has them
//   FIREFOX, WEBKIT   as in engines.mjs

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { decode } from '../../ui/lib/jwt.js';
import { modulesOf, picture, png } from '../qr/picture.mjs';
import { firefox, webkit } from './engines.mjs';
import { PIN, asks, backEnd, ends, invitation, server, somebody } from './phone.mjs';
import { freePort } from '../sdk/port.mjs';

const qrcode = createRequire(new URL('../node/package.json', import.meta.url))('qrcode-generator');
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'; // of RFC 6238: "12345678901234567890"
const ENTER = '\uE007'; // WebDriver, section 17.4.2
const CONTROL = '\uE009';
const folder = mkdtempSync(join(tmpdir(), 'watchword-engines-'));
const other = (n) => String(10 + ((Number(n) - 10 + 7) % 90));

/** Looks at what is shown, in the widths of phones: nothing scrolls sideways. */
async function look(page, name, { widths = [390, 320], dark = false } = {}) {
  for (const width of widths) {
    await page.resize(width, width === 320 ? 640 : width === 390 ? 844 : 800);
    const wide = await page.run(() => [document.documentElement, document.querySelector('main') ?? document.body].map((e) => e.scrollWidth - e.clientWidth));
    assert.ok(wide.every((n) => n <= 0), `${page.name}: ${name} scrolls sideways by ${wide} at ${width}`);
    if (process.env.SHOTS) await page.shot(process.env.SHOTS, `${name}-${width}`);
  }
  if (dark && process.env.SHOTS) {
    await page.dark(true);
    await page.shot(process.env.SHOTS, `${name}-dark`);
    await page.dark(false);
  }
}

/** The code of an authenticator app (RFC 6238), by Node's own HMAC. */
function codeAt(ms) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(ms / 30_000)));
  const h = createHmac('sha1', '12345678901234567890').update(counter).digest();
  return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** A phone as the command line has it. */
function commandPhone(w, email) {
  const state = join(folder, `${email}.json`);
  const run = (...args) => promisify(execFile)(process.env.WATCHWORD_BIN, ['phone', ...args, '--state', state]);
  return {
    register: () => run('register', '--server', w.base, '--client', 'demo-native', '--email', email, '--device', 'Pixel 9'),
    approve: async (number) => { await run('pending', '--wait', '10'); await run('approve', '--number', number); },
    deny: async () => { await run('pending', '--wait', '10'); await run('deny'); },
  };
}

async function named(page, name) {
  await page.type('input[name=username]', name);
  await page.click('.answer .primary');
  await page.title('How do you want to sign in?');
}

/** The code that is mailed to somebody who was mailed none before: mail goes out beside the page that announces it. */
async function mailed(w, address) {
  for (const end = Date.now() + 15_000; ; await new Promise((again) => { setTimeout(again, 50); })) {
    const { messages } = await (await fetch(`${w.base}/dev/inbox/messages?channel=mail&to=${encodeURIComponent(address)}`)).json();
    const code = messages.map((m) => m.data?.code).filter(Boolean).at(-1);
    if (code) return code;
    if (Date.now() > end) throw new Error(`no code was mailed to ${address}`);
  }
}

/** A picture of a QR code, as a file. */
function pictureOf(code, name, how) {
  const path = join(folder, name);
  writeFileSync(path, png(picture(code, { width: 900, height: 700, turn: 14, tilt: 15, towards: 40, noise: 6, ...how })));
  return path;
}

/** The code of a text by another encoder than ours. */
function codeOf(text) {
  const q = qrcode(0, 'M');
  q.addData(text, 'Byte');
  q.make();
  const n = q.getModuleCount();
  return { n, dark: Uint8Array.from({ length: n * n }, (_, i) => (q.isDark(Math.floor(i / n), i % n) ? 1 : 0)) };
}

/** A dialog is as high as what is in it: WebKit stretches one that is a grid. */
async function compact(page, selector) {
  const [high, needed] = await page.run((s) => {
    const d = document.querySelector(s);
    const high = d.offsetHeight;
    d.style.cssText = 'display: block; height: auto; bottom: auto';
    const needed = d.offsetHeight + 20 * d.childElementCount; // and the gaps, which a block has not
    d.style.cssText = '';
    return [high, needed];
  }, selector);
  assert.ok(high <= needed, `${page.name}: ${selector} is ${high} px high, ${needed} are enough`);
}

/** The field that is called so. */
const field = (page, words) => page.until((words) => {
  const l = [...document.querySelectorAll('label')].find((e) => e.checkVisibility() && e.control && e.textContent.trim().startsWith(words));
  const e = l?.control ?? [...document.querySelectorAll('[aria-label]')].find((e) => e.checkVisibility() && e.getAttribute('aria-label').startsWith(words) && e.matches('input, select, textarea'));
  if (!e) return null;
  e.id ||= `field-${Math.random()}`;
  return `[id="${e.id}"]`;
}, words);

async function fill(page, words, text) {
  const at = await field(page, words);
  await page.fill(at, text);
}

/** Opens the console by the link that the server printed, which is good once. */
async function enter(page, w) {
  if (w.entered) return;
  w.entered = true;
  await page.goto(w.console);
  await page.find('a', 'Journeys');
  assert.equal(await page.run(() => location.href), `${w.base}/console`, 'the link has left the address');
}

/** Goes to a place of the console: by a link or a tab where one leads there, as people do. */
async function visit(page, w, path) {
  const way = `a[href="/console${path}"], [role=tab][id$="-trigger-${path.split('/').at(-1)}"]`;
  if (await page.run((s) => document.querySelector(s)?.checkVisibility() ?? false, way)) await page.click(way);
  else await page.goto(`${w.base}/console${path}`);
  await page.until((at) => location.pathname.replace(/\/$/, '') === at.replace(/\/$/, ''), `/console${path}`);
  await settled(page);
}

/** Forgets the cookies of our site, of which a page has to be shown for it. */
async function forget(page, w) {
  if (!(await page.run(() => location.href)).startsWith(w.base)) await page.goto(`${w.base}/login/demo-web/web_login`);
  await page.forgetCookies();
}

const settled = (page) => page.until(() => new Promise((drawn) => { requestAnimationFrame(() => drawn(!document.querySelector('.loading') && document.querySelector('h1'))); }));
const stored = (page) => page.find('.saving', 'Saved');

const said = (page, words) => page.find('.note', words);

async function choosePIN(page) {
  await page.type('dialog input[name=pin]', PIN);
  await page.type('dialog input[name=again]', PIN);
  await page.click('dialog button.primary');
}

const tests = {
  async 'signing in: a wrong password and the right one, a code by mail'(page, w) {
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    await page.until(() => document.activeElement.name === 'username'); // the field has the cursor
    await look(page, 'sign-in', { widths: [1280, 390, 320], dark: true });
    await named(page, w.user.email);
    await look(page, 'choose');
    await page.click('.reveal');
    assert.equal(await page.run(() => document.querySelector('input[name=password]').type), 'text');
    await page.type('input[name=password]', `not this one${ENTER}`);
    await page.find('#problem', 'That did not match.');
    await page.until(() => document.activeElement.name === 'password');
    await look(page, 'wrong');
    await page.back();
    await page.find('#problem', 'That did not match.'); // where the run stands
    await page.title('How do you want to sign in?');
    await page.type('input[name=password]', w.user.password + ENTER);
    await page.title('You are signed in');
    await look(page, 'done');
    await forget(page, w);
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    await named(page, w.user.email);
    await page.click('button', 'Code by e-mail');
    await page.title('Check your mail');
    await look(page, 'mail');
    await page.type('input[name=passcode]', await mailed(w, w.user.email) + ENTER);
    await page.title('You are signed in');
  },

  async 'waiting for a phone that approves, and denies'(page, w) {
    const email = `waits.${Date.now()}@example.org`;
    const phone = commandPhone(w, email);
    await phone.register();
    const begin = async () => {
      await forget(page, w);
      await page.goto(`${w.base}/login/demo-web/web_login`);
      await page.type('input[name=email]', email);
      await page.click('.answer .primary');
      return page.until(() => document.querySelector('[data-waiting] [data-number]')?.dataset.number);
    };
    const number = await begin();
    await look(page, 'wait', { dark: true });
    await page.until(() => !/^(2:00|1:59)/.test(document.querySelector('.left.tabular').textContent)); // it counts down
    await phone.approve(number);
    await page.title('You are signed in');
    await begin();
    await phone.deny();
    await page.title('Not signed in');
    await look(page, 'denied');
  },

  async 'the account, another language, signing out'(page, w) {
    await forget(page, w);
    await page.goto(`${w.base}/account/demo-web`);
    await named(page, w.user.email);
    await page.type('input[name=password]', w.user.password + ENTER);
    await page.title('Your account');
    assert.doesNotMatch(await page.text('main'), /Invalid Date|undefined/);
    const when = await page.text('#activity ~ .items time');
    assert.match(when, /20\d\d.*\d\d?:\d\d/, `times are in the reader's way: ${when}`);
    await look(page, 'account', { widths: [1280, 390, 320], dark: true });
    await page.click('.tongues summary');
    await page.click('a[hreflang=de]');
    await page.title('Ihr Konto');
    await look(page, 'account-de');
    await page.click('.tongues summary');
    await page.click('a[hreflang=en]');
    await page.title('Your account');
    await page.click('a[href^="/session/end_session"]');
    await page.title('Sign out?');
    await page.click('.answer .primary');
    await page.gone('.answer .primary');
    await look(page, 'signed-out');
    await page.goto(`${w.base}/account/demo-web`);
    await page.title('Sign in');
  },

  async 'the phone: a link in a picture, a PIN; a number, a wrong one, denied, not me'(page, w) {
    const user = await somebody(w);
    await page.resize(390, 844);
    await page.goto(`${w.base}/authenticator/`);
    await page.find('main button.primary', 'Add an account');
    await look(page, 'phone-empty');
    await page.click('main button.primary', 'Add an account');
    await look(page, 'phone-add');
    await page.click('button', 'Scan a QR code');
    const { qr } = await w.call('POST', `/v1/users/${user.id}/phones/invitations`, {});
    await page.file('dialog input[type=file]', pictureOf(codeOf('https://example.org/menu'), 'menu.png'));
    await page.find('dialog .problem', 'That is not a Watchword code.');
    await compact(page, 'dialog');
    await look(page, 'phone-scan');
    await page.file('dialog input[type=file]', pictureOf(modulesOf(qr), 'link.png', { module: 6 }));
    await page.click('button', 'Set up this phone');
    await page.find('dialog input[name=again]');
    await compact(page, 'dialog');
    await look(page, 'phone-pin', { dark: true });
    await choosePIN(page);
    await said(page, 'This phone answers for Northwind Coffee now.');
    await look(page, 'phone-home', { dark: true });
    const keys = await page.run(() => new Promise((resolve) => {
      const r = indexedDB.open('watchword');
      r.onsuccess = () => { const q = r.result.transaction('kept').objectStore('kept').getAll(); q.onsuccess = () => { r.result.close(); resolve(q.result.filter((v) => v.pair).map((v) => v.pair.privateKey.extractable)); }; };
    }));
    assert.deepEqual(keys, [false], 'the key cannot leave');

    let web = await asks(w, user.email);
    await page.find('.request');
    await page.until(() => document.activeElement.id === 'number');
    await look(page, 'phone-request', { dark: true });
    await page.type('#number', web.number + ENTER);
    await page.find('dialog input[name=pin]');
    await page.type('dialog input[name=pin]', `909090${ENTER}`);
    await page.find('#f-pin-problem', 'That did not match. Try again.');
    await page.type('dialog input[name=pin]', PIN + ENTER);
    await said(page, 'Approved. You are signed in at Northwind Coffee.');
    const end = await ends(web);
    assert.equal(end.state, 'success');
    assert.ok(decode(end.token).claims.amr.includes('pin'));

    web = await asks(w, user.email);
    await page.find('.request');
    await page.type('#number', other(web.number) + ENTER);
    await said(page, 'That did not match.');
    assert.equal((await ends(web)).reason, 'wrong_number');
    for (const [words, reason, note] of [['It was me, deny it', 'denied', 'Denied.'], ['It was not me', 'not_me', 'Reported.']]) {
      web = await asks(w, user.email);
      await page.click('.request button.no');
      await page.click('dialog button', words);
      await said(page, note);
      assert.equal((await ends(web)).reason, reason);
    }
    await page.reload();
    await page.find('.list .card', user.email);
    await page.click('nav button', 'History');
    await page.until(() => document.querySelectorAll('.how').length === 4);
    await look(page, 'phone-history');
    await page.click('nav button', 'Settings');
    await page.find('.list .card', user.email);
    await look(page, 'phone-settings');
    await page.click('.list .card', user.email);
    await page.find('h2', 'Your phones');
    await look(page, 'phone-account');
  },

  async 'the phone: codes, and a payment'(page, w) {
    await page.resize(390, 844);
    await page.goto(`${w.base}/authenticator/`);
    await page.click('nav button', 'Codes');
    await page.click('button', 'Add a code');
    await page.click('dialog button', 'Scan a QR code');
    const before = Date.now();
    await page.file('dialog input[type=file]', pictureOf(codeOf(`otpauth://totp/Harbour%20Bank:ada@example.org?secret=${SECRET}&issuer=Harbour%20Bank`), 'code.png'));
    await page.find('.entry', 'Harbour Bank');
    const code = await page.until(() => document.querySelector('button.code')?.textContent.match(/^\d{3} \d{3}$/)?.[0].replace(' ', ''));
    const now = Date.now();
    assert.ok(Array.from({ length: Math.ceil((now - before) / 30_000) + 1 }, (_, n) => codeAt(Math.min(now, before + n * 30_000))).includes(code), `${code} is not the code of ${before}`);
    await look(page, 'phone-codes', { dark: true });

    const user = await somebody(w);
    await page.goto(await invitation(w, user, w.base));
    assert.equal(await page.run(() => location.hash), '', 'the invitation has left the address');
    await page.click('button', 'Set up this phone');
    await choosePIN(page);
    await said(page, 'This phone answers for Northwind Coffee now.');
    const web = await asks(w, user.email, 'transaction_push', { payee: 'Donaudampfschifffahrtselektrizitaetenhauptbetriebswerk Ltd', amount: '1234567.89', currency: 'EUR' });
    await page.find('.request');
    await look(page, 'phone-payment', { dark: true });
    await page.type('#number', web.number);
    await page.click('.request button.primary');
    await page.type('dialog input[name=pin]', PIN + ENTER);
    await said(page, 'Approved. The signed receipt is in the history.');
    assert.equal((await ends(web)).state, 'success');
    await page.click('nav button', 'History');
    await page.click('.list .card');
    await page.find('dialog', 'The receipt holds');
    await look(page, 'phone-receipt');
  },

  async 'the playground: set up, matched, denied'(page, w) {
    await page.resize(1280, 800);
    await page.goto(`${w.base}/playground/`);
    const email = `play.${Date.now()}@example.org`;
    await page.fill('#phone-email', email);
    await page.click('.setup button');
    await page.find('.idle');
    const begin = async () => {
      await page.click('#shop form button.primary');
      return page.until(() => document.querySelector('.waiting ww-tile')?.getAttribute('number'));
    };
    const number = await begin();
    await page.find('.request');
    await look(page, 'playground', { widths: [1280, 390, 320] });
    await page.resize(1280, 800);
    await page.type('#phone-number', number);
    await page.click('.request button.primary');
    await page.find('.hello');
    await page.find('.done.yes');
    await page.click('.proven summary');
    await page.until(() => document.querySelector('.checked').textContent.includes('key signed this'));
    await look(page, 'playground-hello', { widths: [1280], dark: true });
    await page.click('.hello > .button');
    await begin();
    await page.click('.request [data-act=no]');
    await page.click('[data-act=deny]');
    await page.find('.ended');
    await page.reload();
    await page.find('.idle');
  },

  async 'the console: its link opens it, and every place'(page, w) {
    await page.resize(1280, 800);
    await enter(page, w);
    const user = await page.until(async () => (await (await fetch('/admin/v1/users?q=ada')).json()).items[0].id);
    const places = ['/', '/apps', '/apps/demo', '/apps/demo/methods', '/apps/demo/channels', '/apps/demo/branding', '/methods', '/journeys', '/journeys/web_login', '/journeys/web_login/try', '/journeys/web_login/runs', '/journeys/web_login/versions', '/journeys/web_login/code',
      '/users', ...['authenticators', 'help', 'devices', 'sessions', 'timeline'].map((t) => `/users/${user}/${t}`), '/audit', ...['administrators', 'passkeys', 'providers', 'webhooks', 'keys', 'settings'].map((t) => `/operate/${t}`)];
    for (const path of places) {
      await visit(page, w, path);
      await look(page, `console${path.replace(user, 'ada').replaceAll('/', '-')}`, { widths: [390, 1280] });
      assert.doesNotMatch(await page.text('body'), /Invalid Date|NaN|\[object/, path);
      await page.quiet(path);
    }
    await page.resize(1280, 800);
    await page.goto(`${w.base}/console/journeys/web_login`);
    await settled(page);
    await page.find('.react-flow__node');
    const ink = () => page.run(() => getComputedStyle(document.querySelector('.brand > :first-child')).backgroundColor);
    assert.equal(await ink(), 'rgb(20, 23, 31)');
    await page.dark(true);
    assert.equal(await ink(), 'rgb(238, 240, 244)', 'the mark is light on dark');
    if (process.env.SHOTS) await page.shot(process.env.SHOTS, 'console-dark');
    await page.dark(false);
  },

  async 'the console: a journey is drawn, published and run'(page, w) {
    await page.resize(1280, 800);
    await enter(page, w);
    await page.goto(`${w.base}/console/journeys`);
    await page.click('button', 'New journey');
    await page.find('.dialog');
    await compact(page, '.dialog');
    await look(page, 'console-dialog', { widths: [390, 1280] });
    await fill(page, 'Name', `By hand${ENTER}`);
    await page.find('body', 'No problems');
    await page.click('button', 'Outline');
    await page.press('n');
    await page.type('[role=dialog] input', 'display information');
    await page.find('[role=dialog] *', 'Display information');
    await page.press(ENTER);
    await page.find('[role=treeitem]', 'Display information');
    await fill(page, 'Text', 'Hello from the outline');
    await page.choose(await field(page, 'success leads to'), 'Complete journey (done)');
    await page.click('button', 'Begin here');
    await stored(page);
    await page.find('body', 'No problems');
    await page.click('button', 'Canvas');
    const places = () => page.run(() => [...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform).join());
    await page.find('.react-flow__edge-path');
    const before = await places();
    const [x, y] = await page.until(() => { const r = document.querySelector('.react-flow__node .jhead')?.getBoundingClientRect(); return r && [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)]; });
    await page.drag([x, y], [x + 60, y + 40]);
    await page.until((before) => [...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform).join() !== before, before); // a step is moved by mouse
    await stored(page);
    await look(page, 'console-drawn', { widths: [1280] });
    await page.chord(CONTROL, 'z');
    await page.until((before) => [...document.querySelectorAll('.react-flow__node')].map((n) => n.style.transform).join() === before, before);
    await stored(page);
    await page.click('button', 'Publish');
    await fill(page, 'What changed', 'first');
    await page.click('[role=dialog] button', 'Publish');
    await page.find('body', 'Version 1');
    await page.quiet('the editor');
    await page.goto(`${w.base}/login/demo-web/by_hand`);
    await page.find('main', 'Hello from the outline');
  },

  async 'passkeys: an account, the phone, the console'(page, w) {
    await page.resize(390, 844);
    await page.goto(`${w.base}/login/demo-web/passwordless_passkey`);
    const able = await page.run(() => 'PublicKeyCredential' in window);
    if (able) await page.authenticator();
    await page.click('button', 'Create an account');
    await page.type('input[name=email]', `key.${Date.now()}@example.org`);
    await page.click('.answer .primary');
    await page.title('Add a passkey');
    if (!able) {
      await page.find('[data-key-problem]', 'This browser does not support passkeys. Use another way, or begin again in a current Chrome, Edge, Firefox or Safari.');
      return 'GTK\'s WebKit has none, and the page says so';
    }
    await page.click('[data-key-go]');
    await page.find('.verdict.yes');
    await page.goto(`${w.base}/login/demo-web/passwordless_passkey`);
    await page.click('[data-key-go]');
    await page.title('You are signed in');

    await page.authenticator(); // one with several keys would ask which
    await page.resize(1280, 800);
    await enter(page, w);
    await page.goto(`${w.base}/console/operate/passkeys`);
    await page.click('button', 'Add a passkey');
    await page.find('td', 'Passkey');
    await page.run(async () => { await fetch('/admin/v1/session', { method: 'DELETE' }); });
    await page.goto(`${w.base}/console/`);
    await page.click('button', 'Sign in with a passkey');
    await page.find('a', 'Journeys');

    await page.resize(390, 844);
    await page.goto(await invitation(w, await somebody(w), w.base));
    await page.click('button', 'Set up this phone');
    await page.find('dialog h2', 'The system did not confirm you'); // Firefox's virtual authenticator is no platform's
    await page.click('dialog button', 'Choose a PIN');
    await page.find('dialog input[name=again]');
    await choosePIN(page);
    await said(page, 'This phone answers for Northwind Coffee now.');
    return undefined;
  },

  async 'the phone opens without a server'(page, w) {
    await page.resize(390, 844);
    await page.goto(`${w.base}/authenticator/`);
    await page.until(() => navigator.serviceWorker.controller?.state === 'activated');
    await w.stop();
    w.stop = async () => {};
    await page.goto(`${w.base}/authenticator/`);
    await page.find('#offline', 'No network');
    await page.click('nav button', 'Codes');
    await page.until(() => /^\d{3} \d{3}$/.test(document.querySelector('button.code')?.textContent ?? ''));
    await look(page, 'phone-offline');
    await page.complaints(); // the browser says that nothing answers
  },
};

let failed = 0;
for (const engine of [firefox, webkit]) {
  if (process.env.ENGINE && process.env.ENGINE !== engine.name) continue;
  const begun = Date.now();
  const at = await freePort();
  const w = await server({ flags: ['--listen', `127.0.0.1:${at}`, '--url', `http://localhost:${at}`] });
  w.call = await backEnd(w);
  let page;
  try {
    page = await engine();
    for (const [name, test] of Object.entries(tests)) {
      if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
      const since = Date.now();
      try {
        const remark = await test(page, w);
        await page.quiet(name);
        console.log(`ok   ${engine.name}: ${name} (${Date.now() - since} ms)${remark ? `: ${remark}` : ''}`);
      } catch (e) {
        failed++;
        console.log(`FAIL ${engine.name}: ${name}\n${e.stack}`, await page.complaints());
        if (process.env.SHOTS) await page.shot(process.env.SHOTS, `FAIL-${failed}`).catch(() => {});
      }
    }
  } finally {
    await page?.stop();
    await w.stop();
  }
  console.log(`     ${engine.name}: ${Date.now() - begun} ms`);
}
rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
