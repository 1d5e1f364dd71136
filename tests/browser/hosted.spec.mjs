// Walks every state of the hosted pages of `watchword dev` in a real browser, in
// light and dark, wide and narrow: nothing breaks the pages' policy, axe finds
// nothing, nothing scrolls sideways, every target is 44 px high, and what a
// person came for happens. Exit status 0 means that all of it held.
//
//   WATCHWORD_BIN=…   the binary to start; without it, `go run ./cmd/watchword`
//   CHROMIUM=…        the browser; default /usr/bin/chromium
//   SHOTS=DIR         keeps a picture of every state
//   ONLY=WORD         runs the scenarios whose name has it

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NARROW, accessible, authenticator, data, first, leave, look, play, program, root, shots, title, unscrolled, visit } from './pages.mjs';

let people = 0;
const somebody = () => `p${++people}.${Date.now()}@example.org`;

/** A phone as the command line has it. */
function phone(base, email) {
  const state = join(data, `phone-${people}-${Date.now()}.json`);
  const run = (...args) => promisify(execFile)(program, [...first, 'phone', ...args, '--state', state], { cwd: root });
  return {
    register: () => run('register', '--server', base, '--client', 'demo-native', '--email', email, '--device', 'Pixel 9'),
    async request() {
      for (let i = 0; i < 100; i++) {
        const [r] = JSON.parse((await run('pending', '--json')).stdout);
        if (r) return r.id;
      }
      throw new Error('nothing is pending');
    },
    approve: (number) => run('approve', '--number', number),
    deny: () => run('deny'),
  };
}

/** The code of an authenticator app (RFC 6238). */
function code(secret) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replaceAll('=', '')].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const h = createHmac('sha1', key).update(counter).digest();
  return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

async function named(page, name) {
  await page.fill('input[name=username]', name);
  await page.click('.answer .primary');
  await title(page, 'How do you want to sign in?');
}

/** Signs the demo user in at the account page. */
async function atHome(page, w) {
  await page.goto(`${w.base}/account/demo-web`);
  await named(page, w.facts.user.email);
  await page.fill('input[name=password]', w.facts.user.password);
  await page.press('input[name=password]', 'Enter');
  await title(page, 'Your account');
}

const scenarios = {
  async 'sign in: name, ways, password, wrong and right; Back shows what is'(browser, w) {
    const page = await visit(browser);
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    assert.equal(await page.evaluate(() => document.activeElement.name), 'username', 'the field has the cursor');
    assert.match(await page.getAttribute('input[name=username]', 'autocomplete'), /^username webauthn$/);
    await look(page, 'sign-in');
    await named(page, w.facts.user.email);
    await look(page, 'choose');
    await page.click('.reveal');
    assert.equal(await page.getAttribute('input[name=password]', 'type'), 'text');
    await page.fill('input[name=password]', 'not this one');
    await page.press('input[name=password]', 'Enter');
    await title(page, 'That did not match');
    await look(page, 'wrong');
    await page.goBack();
    await title(page, 'That did not match'); // where the run stands
    await page.click('.primary');
    await title(page, 'How do you want to sign in?');
    await page.fill('input[name=password]', w.facts.user.password);
    await page.press('input[name=password]', 'Enter');
    await title(page, 'You are signed in');
    await look(page, 'done');
    await page.goBack();
    await title(page, 'You are signed in');
    await leave(page);
  },

  async 'a field that was left empty is said and shown'(browser, w) {
    const page = await visit(browser);
    await page.goto(`${w.base}/login/demo-web/totp_registration`);
    await look(page, 'form');
    await page.evaluate(() => { document.querySelector('form').noValidate = true; });
    await page.click('.answer .primary');
    await page.waitForSelector('[role=alert]');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-invalid')), 'true', 'the cursor is in the field');
    assert.match(await page.getAttribute('[aria-invalid]', 'aria-describedby'), /problem/);
    await look(page, 'refused');
    await page.click('text=Cancel').catch(() => {});
    await leave(page);
  },

  async 'number matching: approved, denied, cancelled'(browser, w) {
    const email = somebody();
    const p = phone(w.base, email);
    await p.register();
    const page = await visit(browser);
    const begin = async () => {
      await page.goto(`${w.base}/login/demo-web/web_login`);
      await page.fill('input[name=email]', email);
      await page.click('.answer .primary');
      await page.waitForSelector('[data-waiting]');
      return page.getAttribute('[data-number]', 'data-number');
    };
    const number = await begin();
    assert.ok((await page.title()).startsWith(`${number} · `), 'the tab shows the number');
    assert.match(await page.textContent('.wait'), /Pixel 9/);
    assert.match(await page.textContent('.minor'), /Send again \(\d left\)/);
    await look(page, 'wait');
    await page.focus('.minor button');
    await p.request();
    await page.waitForFunction(() => /^1:[0-4]/.test(document.querySelector('.left.tabular').textContent)); // it counts down
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim().slice(0, 10)), 'Send again', 'the focus stays');
    await p.approve(number);
    await title(page, 'You are signed in');
    await begin();
    await p.request();
    await p.deny();
    await title(page, 'Not signed in');
    await look(page, 'denied');
    await page.click('text=Start again');
    await page.waitForSelector('input[name=email]');
    await begin();
    await page.click('.minor button:has-text("Cancel")');
    await title(page, 'Not signed in');
    await leave(page);
  },

  async 'an authenticator app: QR, secret, signing in'(browser, w) {
    const email = somebody();
    const page = await visit(browser);
    await page.goto(`${w.base}/login/demo-web/totp_registration`);
    await page.fill('input[name=email]', email);
    await page.click('.answer .primary');
    await title(page, 'Set up your authenticator app');
    await look(page, 'totp');
    await page.click('summary:has-text("Cannot scan?")');
    const secret = await page.textContent('.secret');
    await page.click('.answer .primary');
    await page.waitForSelector('.verdict.yes');
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    await named(page, email);
    const field = page.locator('input[name=totp_code]');
    if (!await field.isVisible()) await page.click('summary:has-text("Authenticator app")');
    assert.equal(await field.getAttribute('autocomplete'), 'one-time-code');
    const c = code(secret);
    await field.fill(`${c.slice(0, 3)} ${c.slice(3)}`); // as it is shown
    await field.press('Enter');
    await title(page, 'You are signed in');
    await leave(page);
  },

  async 'a passkey: made, used, and offered in the field of the name'(browser, w) {
    const page = await visit(browser);
    await authenticator(page);
    await page.goto(`${w.base}/login/demo-web/passwordless_passkey`);
    await page.waitForSelector('[data-key-go]:visible');
    await look(page, 'passkey-first');
    await page.click('button:has-text("Create an account")');
    await page.fill('input[name=email]', somebody());
    await page.click('.answer .primary');
    await title(page, 'Add a passkey');
    await look(page, 'passkey-add');
    await page.click('[data-key-go]');
    await page.waitForSelector('.verdict.yes');
    await page.goto(`${w.base}/login/demo-web/passwordless_passkey`);
    await page.waitForSelector('[data-key-go]:visible').then((b) => b.click({ noWaitAfter: true })).catch(() => {}); // or it was offered before
    await title(page, 'You are signed in');
    await page.goto(`${w.base}/login/demo-web/sign_in`); // the virtual authenticator takes what is offered
    await title(page, 'You are signed in');
    await leave(page);
  },

  async 'a code and a link by mail'(browser, w) {
    const page = await visit(browser);
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    await named(page, w.facts.user.email);
    await page.click('button:has-text("Code by e-mail")');
    await title(page, 'Check your mail');
    await look(page, 'code');
    await page.fill('input[name=passcode]', '000000');
    await page.press('input[name=passcode]', 'Enter');
    await page.waitForSelector('[role=alert]');
    await look(page, 'code-wrong');
    await page.goto(`${w.base}/login/demo-web/magic_link_login`);
    await page.fill('input[name=email]', w.facts.user.email);
    await page.click('.answer .primary');
    await page.waitForSelector('[data-waiting]');
    await look(page, 'link');
    await leave(page);
  },

  async 'the account: everything there, added, removed'(browser, w) {
    const page = await visit(browser);
    await authenticator(page);
    await atHome(page, w);
    await look(page, 'account');
    await page.click('a:has-text("Add a passkey")');
    await title(page, 'Add a passkey');
    await page.click('[data-key-go]');
    await page.waitForSelector('.said');
    assert.match(await page.textContent('.said'), /added/);
    await look(page, 'account-said');
    await page.click('a:has-text("Make recovery codes")'); // now there are two factors
    await title(page, 'Confirm that it is you').catch(() => {});
    await page.context().clearCookies();
    await page.goto(`${w.base}/account/demo-web`);
    await page.waitForFunction(() => ['Your account', 'Sign in'].includes(document.querySelector('h1')?.textContent ?? ''));
    await title(page, 'Your account'); // by the passkey that is offered
    await page.click('a:has-text("Make recovery codes")');
    await page.click('.answer .primary');
    await title(page, 'Your recovery codes');
    await look(page, 'codes');
    const [file] = await Promise.all([page.waitForEvent('download'), page.click('[data-download]')]);
    assert.equal(readFileSync(await file.path(), 'utf8').match(/\S+/g).length > 8, true);
    await page.click('text=Back to your account');
    await page.click('a:has-text("Add a phone")');
    await page.click('.answer .primary');
    await page.waitForSelector('.qr svg');
    await look(page, 'phone');
    for (const [act, state] of [['password', 'account-password'], ['delete', 'account-delete'], ['data', 'account-data'], ['others', 'account-others'], ['totp', 'account-totp']]) {
      await page.goto(`${w.base}/account/demo-web/${act}`);
      await page.waitForSelector('.answer');
      await look(page, state);
    }
    await page.goto(`${w.base}/account/demo-web`);
    await page.selectOption('#language-choice', 'de');
    await page.click('button:has-text("Save")');
    await title(page, 'Ihr Konto');
    if (shots) await page.screenshot({ path: join(shots, 'account-de.png'), fullPage: true });
    await leave(page);
  },

  async 'six languages, by the browser and by choice'(browser, w) {
    for (const [locale, words] of [['de-DE', 'Anmelden'], ['es-ES', 'Iniciar sesión'], ['fr-FR', 'Se connecter'], ['pt-BR', 'Iniciar sessão'], ['ja-JP', 'ログイン'], ['nl-NL', 'Sign in']]) {
      const page = await visit(browser, { locale, viewport: NARROW });
      await page.goto(`${w.base}/login/demo-web/sign_in`);
      await title(page, words);
      assert.equal(await page.getAttribute('html', 'lang'), locale === 'nl-NL' ? 'en' : locale.slice(0, 2));
      await unscrolled(page, locale);
      await accessible(page, locale);
      if (locale === 'de-DE') {
        await page.click('.tongues summary');
        await page.click('a[hreflang=ja]');
        await title(page, 'ログイン');
        await page.goto(`${w.base}/login/demo-web/web_login`);
        assert.equal(await page.getAttribute('html', 'lang'), 'ja', 'the choice stays');
      }
      await leave(page);
    }
  },

  async 'without JavaScript'(browser, w) {
    const page = await visit(browser, { javaScriptEnabled: false });
    await page.goto(`${w.base}/login/demo-web/web_login`);
    await page.fill('input[name=email]', somebody());
    await page.click('.answer .primary');
    assert.ok(await page.locator('[data-number]').getAttribute('data-number'));
    assert.ok(await page.locator('.late').isVisible(), 'the hint needs no script');
    await page.click('.minor button:has-text("Cancel")');
    assert.equal(await page.locator('h1').textContent(), 'Not signed in');
    await leave(page);
  },
};

await play(scenarios);
