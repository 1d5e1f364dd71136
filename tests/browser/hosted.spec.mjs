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
    await page.waitForFunction(() => document.activeElement.name === 'username'); // the field has the cursor
    assert.match(await page.getAttribute('input[name=username]', 'autocomplete'), /^username webauthn$/);
    await look(page, 'sign-in');
    await named(page, w.facts.user.email);
    await look(page, 'choose');
    await page.click('.reveal');
    assert.equal(await page.getAttribute('input[name=password]', 'type'), 'text');
    await page.fill('input[name=password]', 'not this one');
    await page.press('input[name=password]', 'Enter');
    await page.waitForSelector('#problem >> text=That did not match.');
    await page.waitForFunction(() => document.activeElement.name === 'password', null, { timeout: 5000 });
    assert.equal(await page.inputValue('input[name=password]'), '', 'a password is typed anew');
    await title(page, 'How do you want to sign in?');
    await look(page, 'wrong');
    await page.goBack();
    await page.waitForSelector('#problem >> text=That did not match.'); // where the run stands
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
    await page.waitForFunction(() => document.activeElement.getAttribute('aria-invalid') === 'true'); // the cursor is in the field
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
    await page.waitForFunction(() => /^(1:[0-4]|0:)/.test(document.querySelector('.left.tabular').textContent)); // it counts down
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

  async 'a passkey on the page that a back end sends its user to'(browser, w) {
    const { id, secret } = w.facts.clients.backend;
    const { access_token: bearer } = await fetch(`${w.base}/oidc/token`, { method: 'POST', headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` }, body: new URLSearchParams({ grant_type: 'client_credentials' }) }).then((r) => r.json());
    const call = async (path, body) => {
      const r = await fetch(`${w.base}/cis${path}`, { method: 'POST', headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
      assert.ok(r.ok, `${path}: ${r.status}`);
      return r.json();
    };
    const email = somebody();
    await call('/v1/users', { email, external_user_id: `ext ${email}` });
    const back = 'http://localhost:4711/callback';
    const entry = async () => {
      const { register_webauthn_cred_token: token } = await call('/v1/auth/webauthn/external/register/hosted/hint', { external_user_id: `ext ${email}`, webauthn_identifier: email, display_name: 'Ada Lovelace, with a name that is as long as a shown name can be', redirect_uri: back });
      return `${w.base}/cis/hosted/passkey/passkey-registration?register_webauthn_cred_token=${token}`;
    };
    const page = await visit(browser);
    await page.route(`${back}**`, (route) => route.fulfill({ contentType: 'text/html', body: '<h1>back</h1>' }));
    let stay = false; // on a page that leads on by itself, to look at it
    await page.route('**/hosted/passkey/*', async (route) => {
      if (!stay || route.request().method() !== 'POST') return route.fallback();
      const response = await route.fetch({ headers: { ...route.request().headers(), 'sec-fetch-site': 'same-origin' } }); // which gets lost
      return route.fulfill({ response, body: (await response.text()).replace(/<meta http-equiv="refresh"[^>]*>/, '') });
    });
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: false, automaticPresenceSimulation: true } });
    const address = await entry();
    await page.goto(address);
    await title(page, 'Add a passkey');
    assert.ok(!page.url().includes(address.split('.').pop()) && !(await page.content()).includes(address.split('.').pop()), 'the token stays');
    assert.match(await page.textContent('.who'), /Ada Lovelace/);
    assert.match(await page.textContent('.lead'), /Northwind/);
    await look(page, 'passkey-page');
    for (const [lang, words] of [['de', 'Passkey hinzufügen'], ['es', 'Añadir una llave de acceso'], ['fr', 'Ajouter une clé d’accès'], ['pt', 'Adicionar uma chave de acesso'], ['ja', 'パスキーを追加'], ['en', 'Add a passkey']]) {
      await page.goto(`${page.url().split('?')[0]}?lang=${lang}`);
      await title(page, words);
      await unscrolled(page, `passkey-page in ${lang}`);
      if (shots) await page.screenshot({ path: join(shots, `passkey-page-${lang}.png`), fullPage: true });
    }
    await page.click('[data-key-go]'); // not unlocked
    await page.waitForFunction(() => document.querySelector('[data-key-problem]').textContent !== '');
    assert.match(await page.textContent('[data-key-problem]'), /No passkey was made/);
    await look(page, 'passkey-page-refused');
    await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
    stay = true;
    await page.click('[data-key-go]');
    await title(page, 'The passkey was added');
    await look(page, 'passkey-page-done');
    await page.click('a.primary');
    await title(page, 'back');
    assert.equal(page.url(), back);
    await page.goto(await entry());
    await title(page, 'Add a passkey');
    await page.click('[data-key-go]'); // the device has one
    await page.waitForFunction(() => document.querySelector('[data-key-problem]').textContent !== '');
    assert.match(await page.textContent('[data-key-problem]'), /a passkey for you already/);
    await page.click('.minor button:has-text("Cancel")');
    await title(page, 'No passkey was added');
    await look(page, 'passkey-page-cancelled');
    await page.click('a.primary');
    await title(page, 'back');
    stay = false;
    await page.goto(await entry());
    await page.click('.minor button:has-text("Cancel")');
    await title(page, 'back'); // by itself
    assert.equal(page.url(), `${back}?error=access_denied`);
    assert.deepEqual(page.complaints, []);
    await page.goto(address);
    await title(page, 'This did not work');
    await look(page, 'passkey-page-used');
    assert.ok(page.complaints.every((c) => /410/.test(c)), page.complaints.join());
    page.complaints.length = 0;
    await leave(page);

    const old = await visit(browser);
    await old.addInitScript(() => { delete window.PublicKeyCredential; });
    await old.goto(await entry());
    await title(old, 'Add a passkey');
    const says = async (words) => {
      await old.waitForFunction((s) => document.querySelector('[data-key-problem][role=alert]')?.textContent.includes(s), words);
      assert.ok(!await old.isVisible('[data-key-go]'));
    };
    await says('does not support passkeys. Begin again in a current Chrome'); // there is no other way
    await look(old, 'passkey-page-unknown');
    await old.goto(`${w.base}/login/demo-web/passwordless_passkey`);
    await says('does not support passkeys. Use another way, or begin again in');
    await old.waitForSelector('details.way input[name=recovery_code]:visible'); // the other way is unfolded
    await look(old, 'passkey-first-unknown');
    await old.addInitScript(() => { Object.defineProperty(window, 'isSecureContext', { value: localStorage.getItem('plain') === null }); });
    await old.evaluate(() => localStorage.setItem('plain', ''));
    await old.reload();
    await says('only where the address begins with https.'); // the browser is not to blame
    await old.evaluate(() => localStorage.removeItem('plain'));
    await old.reload();
    await says('does not support passkeys.');
    await old.click('button:has-text("Create an account")');
    await old.fill('input[name=email]', somebody());
    await old.click('.answer .primary');
    await title(old, 'Add a passkey');
    await says('Use another way');
    await look(old, 'passkey-add-unknown');
    for (const [lang, words] of [['de', 'unterstützt keine Passkeys'], ['es', 'no admite llaves de acceso'], ['fr', 'ne prend pas en charge'], ['pt', 'não suporta chaves de acesso'], ['ja', '対応していません']]) {
      await old.goto(`${old.url().split('?')[0]}?lang=${lang}`);
      await says(words);
      await unscrolled(old, `no passkeys in ${lang}`);
    }
    await old.goto(`${old.url().split('?')[0]}?lang=en`);
    await old.click('.minor button:has-text("Another way")');
    await title(old, 'Not signed in');
    await old.goto(`${w.base}/login/demo-web/sign_in`); // of a page that asks for a name nothing is missing
    await old.waitForSelector('input[name=username]:focus');
    await old.evaluate(() => import('/login-assets/passkey.js').then(() => {})); // after the page's own use of it
    assert.equal(await old.textContent('[data-key-problem]'), '');
    await leave(old);
  },

  async 'a code and a link by mail'(browser, w) {
    const page = await visit(browser);
    const masked = w.facts.user.email.replace(/(?<=^.).*(?=@)/, '•••');
    await page.goto(`${w.base}/login/demo-web/sign_in`);
    await named(page, w.facts.user.email);
    await page.click('button:has-text("Code by e-mail")');
    await title(page, 'Check your mail');
    await page.waitForFunction((s) => document.querySelector('.lead')?.textContent === s, `If there is an account for ${masked}, we have sent it a code.`);
    await look(page, 'code');
    await page.fill('input[name=passcode]', '000000');
    await page.press('input[name=passcode]', 'Enter');
    await page.waitForSelector('[role=alert]');
    await look(page, 'code-wrong');
    await page.goto(`${w.base}/login/demo-web/magic_link_login`);
    await page.fill('input[name=email]', w.facts.user.email);
    await page.click('.answer .primary');
    await page.waitForSelector('[data-waiting]');
    await page.waitForFunction((s) => document.querySelector('.lead')?.textContent.startsWith(s), `If there is an account for ${masked}, we have sent it a link.`);
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
    const phone = await visit(browser, { viewport: NARROW });
    await phone.goto(await page.getAttribute('a:has-text("Open it on this phone")', 'href'));
    await phone.getByRole('button', { name: 'Set up this phone' }).click();
    for (const label of ['PIN', 'The same PIN again']) await phone.getByLabel(label, { exact: true }).fill('271828');
    await phone.getByRole('button', { name: 'Set the PIN' }).click();
    await title(page, 'Your account'); // by itself
    await page.getByText('The phone was added.').waitFor();
    await leave(phone);
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
