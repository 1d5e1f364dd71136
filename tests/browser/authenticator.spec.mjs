// Drives the phone app of `watchword dev` in a real browser with a virtual
// authenticator: it is set up, asked and looked after in every way there is. Exit
// status 0 means that all of it held.
//
//   WATCHWORD_BIN=…   the binary to start; without it, `go run ./cmd/watchword`
//   CHROMIUM=…        the browser; default /usr/bin/chromium
//   SHOTS=DIR         keep a picture of every screen there, 390 and 320 px wide, in
//                     light and dark
//   ONLY=words        only the scenarios whose name has them

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { decode, verify } from '../../ui/lib/jwt.js';
import { Journey } from '../../ui/lib/mosaic.js';
import { N, point } from '../../ui/lib/p256.js';
import { PHONE, PIN, SMALL, asks, choosePIN, ends, enterPIN, good, holding, invitation, launch, leave, phone, root, run, said, server, setUp, somebody } from './phone.mjs';

const other = (n) => String(10 + ((Number(n) - 10 + 7) % 90));

const scenarios = {
  async 'by a link, approved with the number by a hosted page'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    const link = await invitation(w, user);
    await page.goto(link);
    await page.waitForSelector('text=Set up this phone');
    assert.equal(new URL(page.url()).hash, '', 'the invitation has left the address');
    await good(page, 'invited');
    await page.click('text=Set up this phone');
    await said(page, 'This phone answers for Northwind Coffee now.');
    await good(page, 'home');
    const desk = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    await desk.goto(`${w.base}/login/demo-web/web_login`);
    await desk.fill('input[name=email]', user.email);
    await desk.click('form.answer button');
    const number = (await desk.waitForSelector('[data-number]')).getAttribute('data-number');
    await page.waitForSelector('.request');
    await page.waitForFunction(() => document.activeElement.id === 'number'); // the number has focus
    const text = await page.textContent('.request');
    for (const word of ['Northwind Coffee', 'this computer', 'Chrome on Linux', user.email]) assert.ok(text.includes(word), `the phone does not say ${word}`);
    const [no, yes] = await page.$$eval('.pair .button', (all) => all.map((e) => e.getBoundingClientRect()).map((r) => [r.width, r.height]));
    assert.deepEqual(no, yes, 'yes and no are equally large');
    await good(page, 'request');
    await page.click('.request button.primary');
    assert.match(await page.textContent('#number-problem'), /2 digits/, 'nothing is sent without a number');
    await page.fill('#number', await number);
    await page.click('.request button.primary');
    await said(page, 'Approved. You are signed in at Northwind Coffee.');
    await desk.waitForSelector('[data-number]', { state: 'detached' });
    assert.match(await desk.textContent('main'), /signed in|Signed in|done|Done/);
    await desk.context().close();
    await page.goto(link); // once is once
    await page.click('text=Set up this phone');
    await page.waitForSelector('text=This link was used or has run out');
    await leave(page);
  },

  async 'deny, not me, a wrong number'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    const hold = await holding(page);
    await setUp(page, w, user);
    let web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.waitForFunction(() => /^Northwind Coffee asks/.test(document.querySelector('#say').textContent));
    await page.click('.request button.no');
    await good(page, 'no');
    const go = hold();
    await page.click('text=It was me, deny it');
    await said(page, 'Denied. Nobody was signed in.');
    await page.evaluate(() => { document.querySelector('h1').dataset.old = ''; });
    go(); // and the page is drawn anew
    await page.waitForSelector('h1:not([data-old])');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1', 'the focus stays');
    assert.equal(await page.textContent('#say'), 'Denied. Nobody was signed in.');
    assert.equal((await ends(web)).reason, 'denied');

    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.fill('#number', other(web.number));
    await page.click('.request button.primary');
    await said(page, 'That did not match.');
    assert.equal((await ends(web)).reason, 'wrong_number');

    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.click('.request button.no');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog', { state: 'detached' });
    await page.click('.request button.no');
    await page.click('text=It was not me');
    await said(page, 'Reported.');
    assert.equal((await ends(web)).reason, 'not_me');

    await page.click('nav >> text=History');
    await page.waitForFunction(() => document.querySelectorAll('.how').length === 3);
    assert.deepEqual(await page.$$eval('.how', (all) => all.map((e) => e.className)), ['how not_me', 'how failed', 'how denied']);
    await leave(page);
  },

  async 'the owner is not there, and then is'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    const web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.owner(false);
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await page.waitForSelector('dialog >> text=Confirm that it is you');
    await page.owner(true);
    await page.click('dialog button.primary');
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success');
    await leave(page);
  },

  async 'a payment, and its receipt'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    const payee = 'Donaudampfschifffahrtselektrizitaetenhauptbetriebswerk Ltd';
    const web = await asks(w, user.email, 'transaction_push', { payee, amount: '1234567.89', currency: 'EUR' });
    await page.waitForSelector('.request');
    const deal = await page.$$eval('.deal dd', (all) => all.map((e) => [e.textContent, parseFloat(getComputedStyle(e).fontSize), e.scrollWidth <= e.clientWidth && getComputedStyle(e).textOverflow !== 'ellipsis']));
    assert.deepEqual(deal.map((d) => d[0]), ['1234567.89 EUR', payee], 'what counts comes first, and as it is signed');
    assert.ok(deal.every((d) => d[2]), 'nothing is cut');
    const largest = await page.$$eval('.request *', (all) => Math.max(...all.filter((e) => !e.matches('.deal *, input')).map((e) => parseFloat(getComputedStyle(e).fontSize))));
    assert.ok(deal[0][1] > largest && deal[1][1] > largest, 'amount and payee are the largest');
    await good(page, 'payment');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await said(page, 'Approved. The signed receipt is in the history.');
    const end = await ends(web);
    assert.equal(end.state, 'success');
    await page.click('nav >> text=History');
    await page.click('.list .card');
    await page.waitForSelector('text=The receipt holds');
    await good(page, 'receipt');
    const receipt = await page.evaluate(() => new Promise((resolve) => {
      const r = indexedDB.open('watchword');
      r.onsuccess = () => { const q = r.result.transaction('kept').objectStore('kept').getAll(); q.onsuccess = () => resolve(q.result.find((v) => v.receipt).receipt); };
    }));
    const keys = await (await fetch(`${w.base}/.well-known/jwks.json`)).json();
    assert.ok(await verify(receipt, keys), 'the receipt verifies');
    const { claims } = decode(receipt);
    assert.deepEqual(claims.approval_data, { payee, amount: '1234567.89', currency: 'EUR' });
    const statement = JSON.parse(claims.evidence.statement);
    assert.equal(statement.decision, 'approve');
    assert.equal(statement.number, web.number);
    assert.equal(statement.purpose, 'transaction');
    const theirs = decode(decode(end.token).claims.approval_receipt).claims;
    assert.equal(theirs.evidence.statement, claims.evidence.statement, 'the shop has the same statement');
    await leave(page);
  },

  async 'a PIN where the system knows nobody'(browser, w) {
    const page = await phone(browser, w, { finger: false, base: w.base });
    const user = await somebody(w);
    await page.goto(await invitation(w, user, page.base));
    await page.click('text=Set up this phone');
    await page.waitForSelector('dialog');
    await good(page, 'choose-pin');
    for (const [pin, words] of [['12', /6 digits/], ['111111', /guess/], ['456789', /guess/]]) {
      await choosePIN(page, pin);
      assert.match(await page.textContent('#f-pin-problem'), words);
    }
    await choosePIN(page, PIN);
    await said(page, 'This phone answers for Northwind Coffee now.');
    let web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await page.waitForSelector('dialog input[name=pin]');
    await good(page, 'enter-pin');
    await enterPIN(page, '909090');
    await page.waitForSelector('#f-pin-problem >> text=That did not match. Try again.');
    await enterPIN(page);
    await said(page, 'Approved.');
    const end = await ends(web);
    assert.ok(decode(end.token).claims.amr.includes('pin'), 'the token says PIN');
    // Another PIN, which the old one must confirm.
    await page.click('.list .card');
    await page.click('text=Change the PIN');
    await choosePIN(page, '806425');
    await enterPIN(page);
    await page.waitForSelector('#account-said >> text=Changed.');
    await page.click('nav >> text=Requests');
    web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await enterPIN(page, '806425');
    await said(page, 'Approved.');
    await ends(web);
    await leave(page);
  },

  async 'without a link, by mail'(browser, w) {
    const page = await phone(browser, w, { finger: false, base: w.base });
    const email = `mail.${Date.now()}@example.org`;
    await page.goto(`${w.base}/authenticator/`);
    await good(page, 'empty');
    await page.click('main button >> text=Add an account');
    await good(page, 'add');
    await page.fill('input[name=link]', 'https://elsewhere.example/authenticator/#client=a&invite=b');
    await page.click('text=Use this link');
    assert.match(await page.textContent('#f-link-problem'), /elsewhere\.example/);
    await page.click('text=Use an e-mail address');
    await page.fill('dialog input[name=email]', email);
    await page.click('dialog button.primary');
    await page.waitForSelector('dialog input[name=again]');
    await choosePIN(page, PIN);
    await said(page, 'This phone answers for Northwind Coffee now.');
    const web = await asks(w, email);
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await enterPIN(page);
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success');
    await leave(page);

    const known = `has.${email}`; // has something to prove with, so a code is mailed first
    await w.call('POST', '/v1/users', { email: known, credentials: { password: 'narrow-otter-over-4-rivers', force_replace: false } });
    const second = await phone(browser, w, { finger: false, base: w.base });
    await second.goto(`${w.base}/authenticator/#client=demo-native`);
    await second.click('text=Use an e-mail address');
    await second.fill('dialog input[name=email]', known);
    await second.click('dialog button.primary');
    await second.waitForSelector('dialog input[name=passcode]');
    await second.waitForSelector('dialog p:text-is("If there is an account for h•••@example.org, we have sent it a code.")');
    await good(second, 'add-code');
    await leave(second);
  },

  async 'codes: the RFC\'s, one of the account that the server takes, a challenge'(browser, w) {
    const page = await phone(browser, w);
    await page.goto(`${w.local}/authenticator/`);
    const made = await page.evaluate(async () => {
      const { answerAt, codeAt, parse } = await import('/authenticator/totp.js');
      const e = await parse('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
      const taken = [];
      for (const bad of ['', 'abc', 'otpauth://hotp/x?secret=GEZDGNBVGY3TQOJQ', 'otpauth://totp/x?secret=1', 'otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ&algorithm=md5']) await parse(bad).then(() => taken.push(bad), () => {});
      return [await codeAt(e, 59_000), await codeAt({ ...e, digits: 8 }, 1111111109_000), await answerAt(e, '123456', 59_000), taken];
    });
    const key = createHmac('sha256', 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ').update('123456').digest();
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(1n);
    const h = createHmac('sha1', key).update(step).digest();
    const answer = String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
    assert.deepEqual(made, ['287082', '07081804', answer, []], 'RFC 6238 appendix B, and the vendor\'s challenge');

    const user = await somebody(w);
    await setUp(page, w, user);
    await page.click('nav >> text=Codes');
    await good(page, 'codes-empty');
    await page.click('text=Add a code');
    await page.fill('input[name=secret]', 'no secret');
    await page.click('text=Keep it');
    assert.match(await page.textContent('#f-secret-problem'), /no key/);
    await page.fill('input[name=secret]', 'otpauth://totp/Harbour%20Bank:ada@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Harbour%20Bank&algorithm=SHA1&digits=6&period=30');
    await page.click('text=Keep it');
    await page.waitForSelector('.entry >> text=Harbour Bank');
    await page.waitForFunction(() => /^\d{3} \d{3}$/.test(document.querySelector('button.code')?.textContent ?? ''));
    await good(page, 'codes');
    await page.click('text=Sign a challenge');
    await page.fill('input[name=challenge]', '123456');
    await page.click('text=Make the code');
    await page.waitForFunction(() => /^\d{3} \d{3}$/.test(document.querySelector('output.code')?.textContent ?? ''));
    await good(page, 'challenge');
    await page.keyboard.press('Escape');
    await page.click('nav >> text=Settings');
    await page.click('.list .card');
    await page.click('text=Add an offline code');
    await page.waitForSelector('text=It is among your codes now');
    await page.click('nav >> text=Codes');
    const mine = page.locator('.entry', { hasText: 'no network' });
    await page.context().setOffline(true);
    await mine.locator('button.code').waitFor();
    await page.waitForFunction(() => document.querySelectorAll('button.code').length === 2 && [...document.querySelectorAll('button.code')].every((b) => b.textContent));
    const code = (await mine.locator('button.code').textContent()).replace(' ', '');
    await page.context().setOffline(false);
    const j = new Journey({ base: w.base, client: 'demo-web', key: null });
    await j.start('totp_login');
    const end = await j.escape('totp', { username: user.email, totp_code: code });
    assert.equal(end.state, 'success', JSON.stringify(end));
    await leave(page);
  },

  async 'offline: the shell opens, codes work, answers wait'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    await page.waitForFunction(() => navigator.serviceWorker.ready.then((r) => Boolean(r.active)));
    await page.reload();
    await page.context().setOffline(true);
    await page.reload();
    await page.waitForSelector('text=Nothing to approve');
    await page.waitForSelector('#offline >> text=No network');
    await good(page, 'offline');
    await page.context().setOffline(false);
    const web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.context().setOffline(true);
    await page.click('.request button.primary');
    await page.waitForSelector('#answer-problem >> text=The server cannot be reached');
    await page.context().setOffline(false);
    await page.click('.request button.primary');
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success');
    await leave(page);
  },

  async 'new keys, a lost phone, the end'(browser, w) {
    const user = await somebody(w);
    const lost = await phone(browser, w);
    await setUp(lost, w, user);
    const page = await phone(browser, w);
    await setUp(page, w, user);
    await page.click('.list .card');
    await page.waitForSelector('text=Your phones');
    await good(page, 'account');
    await page.click('text=Make new keys');
    await page.waitForSelector('#account-said >> text=New keys are in use');
    await page.click('.list button >> text=Remove');
    await page.click('dialog button.primary');
    await page.waitForSelector('#account-said >> text=It was removed');
    await lost.reload();
    await lost.waitForSelector('text=This phone was removed from the account.');
    await good(lost, 'gone');
    const web = await asks(w, user.email); // while its owner is busy elsewhere in the app
    await page.waitForSelector('nav .count');
    await page.click('nav >> text=Requests');
    await page.click('.card >> text=Sign-in');
    await page.waitForSelector('.request');
    await page.fill('#number', web.number);
    await page.click('.request button.primary');
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success', 'the new key answers');
    await page.click('.list .card');
    await page.click('text=Remove this account from the phone');
    await page.click('dialog button.no');
    await said(page, 'The account was removed from this phone.');
    await leave(page);
    await leave(lost);
  },

  async 'several accounts, six languages, dark, 320 px, calm'(browser, w) {
    for (const [viewport, colorScheme, locale] of [[SMALL, 'dark', 'de-DE'], [SMALL, 'light', 'ja-JP'], [SMALL, 'dark', 'fr-FR'], [SMALL, 'light', 'pt-PT'], [SMALL, 'light', 'es-ES']]) {
      const words = JSON.parse(readFileSync(join(root, `ui/authenticator/lang/${locale.slice(0, 2)}.json`), 'utf8'));
      const page = await phone(browser, w, { viewport, colorScheme, locale, reducedMotion: 'reduce' });
      const users = [await somebody(w), await somebody(w)];
      for (const user of users) {
        await page.goto(await invitation(w, user));
        await page.click(`text=${words['add.go']}`);
        await said(page, words['add.done'].replace('{app}', 'Northwind Coffee'));
      }
      assert.equal(await page.$$eval('.list .card', (all) => all.length), 2);
      assert.equal(await page.getAttribute('html', 'lang'), locale.slice(0, 2));
      const kind = `${locale.slice(0, 2)}`;
      await good(page, `home-${kind}`);
      const web = await asks(w, users[1].email, 'transaction_push', { payee: 'ACME Coffee Roasters', amount: '1250.00', currency: 'EUR' });
      await page.waitForSelector('.request');
      await good(page, `payment-${kind}`);
      await page.fill('#number', web.number);
      await page.click('.request button.primary');
      await said(page, words['done.paid']);
      for (const tab of ['codes', 'past', 'settings']) {
        await page.click(`nav >> text=${words[`tab.${tab}`]}`);
        if (tab !== 'codes') await page.waitForSelector('.list .card'); // read from the browser's storage
        await good(page, `${tab}-${kind}`);
      }
      await page.click('.list .card');
      await page.waitForSelector(`text=${words['account.phones']}`);
      await good(page, `account-${kind}`);
      await leave(page);
    }
  },

  async 'on an iPhone the app comes first; where the browser installs it, a button does'(browser, w) {
    const user = await somebody(w);
    const link = await invitation(w, user);
    const apple = await phone(browser, w, { userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1' });
    await apple.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: w.local });
    await apple.goto(link);
    await apple.waitForSelector('text=On an iPhone, put the app on the home screen first');
    await good(apple, 'invited-iphone');
    await apple.click('button >> text=Copy the link');
    await apple.waitForSelector('button >> text=Copied.');
    assert.equal(await apple.evaluate(() => navigator.clipboard.readText()), link, 'the link is good in the installed app');
    await leave(apple);

    const page = await phone(browser, w);
    await page.goto(`${w.local}/authenticator/`);
    await page.click('nav >> text=Settings');
    assert.ok(!await page.isVisible('button >> text=Install'));
    await page.evaluate(() => {
      const e = new Event('beforeinstallprompt', { cancelable: true });
      e.prompt = () => { window.prompted = e.defaultPrevented; };
      dispatchEvent(e);
    });
    await page.click('button >> text=Install');
    assert.equal(await page.evaluate(() => window.prompted), true);
    assert.ok(!await page.isVisible('button >> text=Install'), 'it is asked once');
    await leave(page);
  },

  async 'by keyboard alone'(browser, w) {
    const page = await phone(browser, w);
    const user = await somebody(w);
    await setUp(page, w, user);
    const web = await asks(w, user.email);
    await page.waitForSelector('.request');
    await page.waitForFunction(() => document.activeElement.id === 'number');
    await page.keyboard.type(web.number);
    await page.keyboard.press('Enter');
    await said(page, 'Approved.');
    assert.equal((await ends(web)).state, 'success');
    await leave(page);
  },

  async 'small, whole, and in every language the same'(_, w) {
    const folder = join(root, 'ui/authenticator');
    const catalogues = readdirSync(join(folder, 'lang')).map((f) => [f, JSON.parse(readFileSync(join(folder, 'lang', f), 'utf8'))]);
    const [, english] = catalogues.find(([f]) => f === 'en.json');
    for (const [f, c] of catalogues) {
      assert.deepEqual(Object.keys(c), Object.keys(english), f);
      for (const [k, text] of Object.entries(c)) assert.deepEqual((text.match(/\{\w+\}/g) ?? []).sort(), (english[k].match(/\{\w+\}/g) ?? []).sort(), `${f} ${k}`);
    }
    const worker = await (await fetch(`${w.base}/authenticator/sw.js`)).text();
    const { files, reader } = JSON.parse(worker.slice(worker.indexOf('{'), worker.indexOf(';\n')));
    const weigh = async (f) => {
      const r = await fetch(w.base + f);
      assert.equal(r.status, 200, f);
      return gzipSync(Buffer.from(await r.arrayBuffer()), { level: 9 }).length;
    };
    const sum = async (list) => { let n = 0; for (const f of list) n += await weigh(f); return n; };
    // What is there before the app is drawn: its modules as they name each other, and what the page names.
    const first = new Set(files.filter((f) => /\.(css|svg|webmanifest)$|en\.json$|\/$/.test(f)).concat('/authenticator/sw.js'));
    for (const all = ['/authenticator/app.js']; all.length > 0;) {
      const f = all.pop();
      if (first.has(f)) continue;
      first.add(f);
      for (const [, to] of (await (await fetch(w.base + f)).text()).matchAll(/^(?:import|export).*?['"](\.?\/[^'"]+)['"];?$/gm)) all.push(new URL(to, w.base + f).pathname);
    }
    for (const f of first) assert.ok(files.includes(f) || f.endsWith('sw.js'), `${f} is not kept for when there is no network`);
    const [app, kept, seeing] = [await sum(first), await sum(files.filter((f) => !f.endsWith('.png'))), await sum(reader)];
    assert.ok(app < 40_000 && kept < 46_000, `the app is ${app} bytes, and ${kept} in all`);
    assert.ok(!files.some((f) => f.includes('/qr/')) && reader.length === 2 && seeing < 8_000, `what reads QR codes is ${seeing} bytes`);
    const r = await fetch(`${w.base}/authenticator/manifest.webmanifest`);
    const manifest = await r.json();
    assert.ok(manifest.theme_color && ['192x192', '512x512'].every((s) => manifest.icons.some((i) => i.sizes === s && i.type === 'image/png')));
    for (const i of manifest.icons) assert.equal((await fetch(`${w.base}/authenticator/${i.src}`)).headers.get('content-type'), 'image/png');
    assert.equal(Buffer.from(point(N - 1n).x).toString('hex'), '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296', 'SEC 2: -G');
    return `${app} bytes, ${kept} with what comes later, and ${seeing} more where the browser cannot read QR codes`;
  },
};

await run('authenticator', scenarios, await server(), await launch());
