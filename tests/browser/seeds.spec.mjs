// Login with push, as an operator sets it up who has nothing but the console: from
// the first link of `watchword serve` to an approved sign-in. Its three journeys are
// drawn by mouse and once more by keys alone; a phone is set up and asked by what was
// drawn; versions, locks and unlocking act. Exit status 0 means that all of it held.
//
//   WATCHWORD_BIN=…   the binary to start, with the console built into it
//   SHOTS=DIR         keeps pictures there, those of docs/tour.md among them

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { decode, verify } from '../../ui/lib/jwt.js';
import { slow } from './late.mjs';
import { inView } from './still.mjs';
import { launch } from '../sdk/chromium.mjs';
import { freePort } from '../sdk/port.mjs';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const bin = process.env.WATCHWORD_BIN;
const shots = process.env.SHOTS;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

/** A server as in production, with nothing in it, and the link that it prints. */
async function server() {
  const data = mkdtempSync(join(tmpdir(), 'watchword-seeds-'));
  execFileSync(bin, ['keys', 'generate', '--out', join(data, 'master.key')], { stdio: 'ignore' });
  const port = await freePort();
  const base = `http://localhost:${port}`; // browsers give no passkey to an IP address
  const child = spawn(bin, ['serve', '--listen', `127.0.0.1:${port}`, '--url', base, '--data', data, '--linger', '0s'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, log] = ['', ''];
  child.stderr.on('data', (b) => { log += b; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (b) => { said += b; if (said.includes('ready on')) resolve(); });
    child.on('exit', () => reject(new Error(`the server does not serve:\n${said}${log}`)));
  });
  const stop = async () => {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => { child.on('exit', resolve); });
    child.kill('SIGTERM');
    await gone;
    rmSync(data, { recursive: true, force: true });
  };
  return { base, link: said.match(/https?:\/\/\S+#invite=\S+/)[0], stop };
}

/** Where the bank's page is: what a browser brings back to it. */
async function bank() {
  const back = [];
  let told = () => {};
  const s = createServer((req, res) => {
    const u = new URL(req.url, 'http://127.0.0.1');
    if (u.pathname === '/callback') { back.push(u.searchParams); told(); }
    res.setHeader('content-type', 'text/html');
    res.end('<!doctype html><title>Harbour Bank</title><h1>Welcome back</h1>');
  });
  await new Promise((resolve) => { s.listen(0, '127.0.0.1', resolve); });
  /** The next one that comes. */
  const next = async () => { if (back.length === 0) await new Promise((resolve) => { told = resolve; }); return back.shift(); };
  return { callback: `http://127.0.0.1:${s.address().port}/callback`, next, stop: () => s.close() };
}

const w = await server();
const shop = await bank();
const sdk = await launch(); // pages of another origin, with the vendor's own SDK
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** A browser of its own, whose system knows its owner if `finger` says so. It may not complain about anything. */
async function person({ finger = false, ...options } = {}) {
  const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB', ...options });
  await slow(context);
  await context.addInitScript(() => { document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)); });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.complaints = [];
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) page.complaints.push(m.text()); });
  page.on('pageerror', (e) => page.complaints.push(String(e.stack)));
  page.on('dialog', (d) => { page.complaints.push(`dialog: ${d.message()}`); void d.dismiss(); });
  if (!finger) return page;
  page.cdp = await context.newCDPSession(page);
  await page.cdp.send('WebAuthn.enable');
  page.authenticator = await page.cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  page.owner = (there) => page.cdp.send('WebAuthn.setUserVerified', { ...page.authenticator, isUserVerified: there });
  return page;
}

const page = await person({ finger: true, viewport: WIDE }); // the operator
const everybody = [page];
const press = (name) => page.getByRole('button', { name, exact: true }).click();
const place = (name) => page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name, exact: true }).click();
const tab = (name) => page.getByRole('tab', { name, exact: true }).click();
const dialog = () => page.getByRole('dialog');
const gone = () => dialog().waitFor({ state: 'detached' });
const saved = () => page.locator('.saving', { hasText: /^Saved$/ }).waitFor();
const flawless = () => page.getByRole('button', { name: '✓ No problems' }).waitFor();
const middle = async (of) => { const { x, y, width, height } = await of.boundingBox(); return { x: x + width / 2, y: y + height / 2 }; };
const fill = async (label, text) => { await dialog().getByLabel(label).first().fill(text); };

/** A picture of a page, or of a part of it. */
async function shot(name, of = page) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await of.screenshot({ path: join(shots, `${name}.png`) });
}

async function accessible(of, where) {
  await of.evaluate(axe);
  const { violations } = await of.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  assert.deepEqual(violations.map((v) => `${where}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`), []);
}

let failed = 0;
/** Each goes on where the one before it ended, so the first that fails is the last that is tried. */
async function test(name, fn) {
  if (failed) return;
  const begun = performance.now();
  try {
    await Promise.race([fn(), new Promise((_, no) => { setTimeout(() => no(new Error('took longer than two minutes')), 120_000).unref(); })]);
    for (const p of everybody) { const said = p.complaints.splice(0); assert.deepEqual(said, [], 'a page complained'); }
    console.log(`ok   seeds: ${name} (${Math.round(performance.now() - begun)} ms)`);
  } catch (e) {
    failed++;
    console.log(`FAIL seeds: ${name}\n${e.stack}`);
    for (const [i, p] of everybody.entries()) { console.log(p.url(), p.complaints.splice(0)); await shot(`FAIL_${name.replace(/\W+/g, '_')}_${i}`, p).catch(() => {}); }
  }
}

// --- the journeys, as the seed tells them ---

// Each step by the name that it has there, with what is set of it; each way by the
// two steps that it joins. `a > b` means that a's outcome leads to b.
const EMAIL = { expr: 'form.email' };
const JOURNEYS = {
  registration: {
    name: 'Mobile app registration', kind: 'A page or app runs it',
    steps: [
      ['Get information from client', { 'Form id': 'account', Title: 'Set up this phone', Fields: [{ Name: 'email', Label: 'E-mail address', Type: 'E-mail address', Required: true }] }],
      ['Create user', { 'E-mail address': EMAIL }],
      ['Register mobile biometrics', { User: EMAIL }],
      ['Register device', { User: EMAIL }],
      ['Reject access', {}],
    ],
    ways: [
      ['get_information', 'success', 'create_user'], ['create_user', 'success', 'biometric_register'], ['create_user', 'exists', 'biometric_register'], ['create_user', 'failure', 'reject'],
      ['biometric_register', 'success', 'device_register'], ['biometric_register', 'failure', 'reject'], ['device_register', 'success', 'done'], ['device_register', 'failure', 'reject'],
    ],
  },
  approve: {
    name: 'Mobile approve', kind: 'A phone runs it to approve',
    steps: [
      ['Mobile biometrics authentication', { User: { expr: '@policy.getMobileApproveParameters().external_user_id' } }],
      ['Reject access', {}],
    ],
    ways: [['biometric_authenticate', 'success', 'done'], ['biometric_authenticate', 'failure', 'reject']],
  },
  login: {
    name: 'Web login', kind: 'A page or app runs it',
    steps: [
      ['Login form', { Title: 'Sign in', Methods: ['Approve on your phone web_to_mobile'] }],
      ['Web to mobile authentication', { User: { expr: 'login.email' }, 'Mobile journey': 'Mobile approve' }],
      ['Reject access', {}],
    ],
    ways: [
      ['login_form', 'web_to_mobile', 'push_authenticate'], ['push_authenticate', 'success', 'done'], ['push_authenticate', 'failure', 'reject'], ['push_authenticate', 'cancel', 'reject'], ['push_authenticate', 'no_devices', 'reject'],
    ],
  },
};

/** The two of "Login with TOTP": whoever is in the directory sets an app up, and signs in by its codes. */
const TOTP = {
  registration: {
    name: 'TOTP registration', kind: 'A page or app runs it',
    steps: [
      ['Get information from client', { 'Form id': 'account', Title: 'Set up an authenticator app', Fields: [{ Name: 'email', Label: 'E-mail address', Type: 'E-mail address', Required: true }, { Name: 'label', Label: 'What you call it', Required: true }] }],
      ['Register TOTP', { User: EMAIL, Label: { expr: 'form.label' } }],
      ['Reject access', {}],
    ],
    ways: [['get_information', 'success', 'totp_register'], ['totp_register', 'success', 'done'], ['totp_register', 'failure', 'reject']],
  },
  login: {
    name: 'TOTP login', kind: 'A page or app runs it',
    steps: [
      ['Login form', { Title: 'Sign in', Methods: ['Authenticator app totp'] }],
      ['TOTP authentication', { User: { expr: 'login.username' }, Code: { expr: 'login.totp_code' } }],
      ['Reject access', {}],
    ],
    ways: [['login_form', 'totp', 'totp_authenticate'], ['totp_authenticate', 'success', 'done'], ['totp_authenticate', 'failure', 'reject']],
  },
};

/** What a step is called, by the id that the editor gives it. */
const TITLES = {
  done: 'Complete journey', reject: 'Reject access', get_information: 'Get information from client', create_user: 'Create user', biometric_register: 'Register mobile biometrics', device_register: 'Register device',
  biometric_authenticate: 'Mobile biometrics authentication', login_form: 'Login form', push_authenticate: 'Web to mobile authentication',
};

const step = (id) => page.locator(`.react-flow__node[data-id="${id}"]`);
const drawer = page.getByRole('region', { name: 'Step', exact: true });

/** Begins a journey with nothing but its end. */
async function begin(name, kind) {
  await place('Journeys');
  await press('New journey');
  await fill('Name', name);
  await dialog().getByLabel('Kind').selectOption(kind);
  await dialog().getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.getByRole('toolbar', { name: 'Editor' }).waitFor();
}

async function publish(note, version) {
  await saved();
  await flawless();
  await press('Publish');
  await fill('What changed', note);
  await dialog().getByRole('button', { name: 'Publish', exact: true }).click();
  await gone();
  await page.locator('.head').getByText(`Version ${version}`, { exact: false }).waitFor();
}

/** What the export of the journey that is open says, with steps called by how one comes to them. */
async function exported() {
  await page.getByRole('link', { name: 'Code', exact: true }).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export JSON' }).click()]);
  const g = JSON.parse(readFileSync(await file.path(), 'utf8'));
  await page.getByRole('link', { name: 'Draw', exact: true }).click();
  const names = new Map([[g.start, 'start']]);
  for (const [id, name] of names) for (const [outcome, to] of Object.entries(g.nodes[id].next ?? {}).sort()) if (!names.has(to)) names.set(to, `${name}/${outcome}`);
  const nodes = Object.entries(g.nodes).map(([id, { at: _, next, ...n }]) => [names.get(id), { ...n, next: Object.fromEntries(Object.entries(next ?? {}).map(([o, to]) => [o, names.get(to)]).sort()) }]);
  return { kind: g.kind, nodes: Object.fromEntries(nodes.sort()) };
}

// --- by mouse ---

const row = (label, within = drawer) => within.locator('.fieldrow').filter({ has: page.locator('.fieldlabel label', { hasText: new RegExp(`^${label}( \\*)?$`) }) }).last();

/** Sets one thing of the step that is open: it is pointed at, and typed only what is text. */
async function setByMouse(label, value, within = drawer) {
  const at = row(label, within);
  if (Array.isArray(value) && typeof value[0] === 'object') {
    const rows = at.locator('.rows').first();
    for (const [i, one] of value.entries()) {
      await rows.locator('> .btn').click();
      for (const [k, v] of Object.entries(one)) await setByMouse(k, v, rows.locator('> .row').nth(i));
    }
  } else if (Array.isArray(value)) {
    for (const v of value) await at.getByLabel(v).click();
  } else if (typeof value === 'object') {
    await at.getByRole('button', { name: 'Use an expression' }).click();
    await at.getByRole('textbox').click();
    await page.keyboard.type(value.expr);
  } else if (value === true) {
    await at.getByRole('checkbox').click();
  } else if (await at.getByRole('combobox').count() > 0) {
    await at.getByRole('combobox').selectOption({ label: value });
  } else {
    await at.getByRole('textbox').click();
    await page.keyboard.type(value);
  }
}

const edge = (from, outcome) => page.locator(`.react-flow__edge[data-id^="${from}"][data-id$="${outcome}"]`);

async function lead(from, outcome, to) {
  const [a, b] = [await middle(step(from).locator(`.react-flow__handle.source[data-handleid="${outcome}"]`)), await middle(step(to).locator('.react-flow__handle.target'))];
  await page.mouse.move(a.x, a.y);
  await page.mouse.down();
  await page.mouse.move((a.x + b.x) / 2, (a.y + b.y) / 2, { steps: 4 });
  await page.mouse.move(b.x, b.y, { steps: 4 });
  await page.mouse.up();
  await edge(from, outcome).waitFor({ state: 'attached' });
}

/** Shows the palette if it is folded: the canvas begins further to the right then. */
async function unfold() {
  if (!await page.locator('.rail').isVisible()) return;
  await page.locator('.rail').getByRole('button', { name: 'Show the steps' }).click();
  await page.locator('.rail').waitFor({ state: 'detached' });
}

/** Takes a step out of the palette and lets it go at a place of the canvas. */
async function drop(title, at = { x: 140, y: 330 }) {
  await unfold();
  await page.locator('.palette').getByRole('button', { name: new RegExp(`^${title}`) }).dragTo(page.locator('.canvas'), { targetPosition: at });
  await drawer.getByRole('heading', { level: 2, name: title, exact: true }).waitFor();
}

async function drawByMouse({ name, kind, steps, ways }) {
  await begin(name, kind);
  for (const [title, settings] of steps) {
    await drop(title);
    for (const [label, value] of Object.entries(settings)) await setByMouse(label, value);
    if (title === steps[0][0]) await press('Begin here');
    await inView(page);
  }
  await press('Arrange');
  await inView(page);
  for (const way of ways) await lead(...way);
  await press('Arrange');
  await inView(page);
}

// --- by keys ---

/** Presses Tab, or Shift Tab, until what has the focus is called that, or is of that role. */
async function tabTo(what, key = 'Tab') {
  for (let i = 0; i < 150; i++) {
    await page.keyboard.press(key);
    const here = await page.evaluate((what) => { const e = document.activeElement; return e.getAttribute('role') === what || [e.getAttribute('aria-label'), e.labels?.[0]?.firstChild?.textContent, e.labels?.[0]?.textContent, e.textContent].some((s) => s?.trim() === what); }, what);
    if (here) return;
  }
  throw new Error(`${key} does not lead to ${what}`);
}

const focused = (fn) => page.evaluate(fn);

/** Chooses in a list that has the focus by going down. */
async function choose(label) {
  const labels = await focused(() => [...document.activeElement.options].map((o) => o.textContent));
  const at = labels.findIndex((l) => l === label || l.startsWith(`${label} (`));
  assert.ok(at >= 0, `${label} is not among ${labels.join(', ')}`);
  await page.keyboard.press('Home');
  for (let i = 0; i < at; i++) await page.keyboard.press('ArrowDown');
  assert.equal(await focused(() => document.activeElement.selectedIndex), at);
}

async function setByKeys(label, value) {
  if (Array.isArray(value) && typeof value[0] === 'object') {
    for (const one of value) {
      await tabTo('Add');
      await page.keyboard.press('Enter');
      await tabTo('Name', 'Shift+Tab');
      await page.keyboard.type(one.Name);
      for (const [k, v] of Object.entries(one).slice(1)) await setByKeys(k, v);
    }
    return;
  }
  await tabTo(Array.isArray(value) ? value[0] : label);
  if (Array.isArray(value) || value === true) return page.keyboard.press('Space');
  if (await focused(() => document.activeElement.tagName === 'SELECT')) return choose(value);
  if (typeof value !== 'object') return page.keyboard.type(value);
  await tabTo('Use an expression');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.tagName === 'TEXTAREA');
  return page.keyboard.type(value.expr);
}

/** Goes to a step of the outline. */
async function stand(title) {
  await tabTo('treeitem', 'Shift+Tab');
  const titles = await page.getByRole('treeitem').evaluateAll((list) => list.map((e) => [e.textContent, e.textContent.includes('(above)')]));
  const at = titles.findIndex(([text, again]) => text.includes(title) && !again);
  assert.ok(at >= 0, `${title} is not among ${titles.join(', ')}`);
  await page.keyboard.press('Home');
  for (let i = 0; i < at; i++) await page.keyboard.press('ArrowDown');
  await drawer.getByRole('heading', { level: 2, name: title, exact: true }).waitFor();
}

async function drawByKeys({ kind, steps, ways }, name) {
  await tabTo('Journeys', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Journeys' }).waitFor();
  await tabTo('New journey');
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  await tabTo('Name');
  await page.keyboard.type(name);
  await tabTo('Kind');
  await choose(kind);
  await tabTo('Create');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await tabTo('Outline');
  await page.keyboard.press('Enter');
  let n = 1;
  for (const [title, settings] of steps) {
    await tabTo('treeitem', n === 1 ? 'Tab' : 'Shift+Tab');
    await page.keyboard.press('n');
    await dialog().waitFor();
    await page.keyboard.type(title);
    await page.keyboard.press('Enter');
    await gone();
    await page.waitForFunction((n) => [...document.querySelectorAll('[role=treeitem]')].filter((e) => !e.textContent.includes('(above)')).length === n, ++n);
    if (title === steps[0][0]) {
      await tabTo('Begin here');
      await page.keyboard.press('Enter');
      await tabTo('treeitem', 'Shift+Tab');
    }
    for (const [label, value] of Object.entries(settings)) await setByKeys(label, value);
  }
  for (const [from, outcome, to] of ways) {
    await stand(TITLES[from]);
    await page.getByLabel(`${outcome} leads to`, { exact: true }).waitFor(); // some ways come of settings: the server says so
    await tabTo(`${outcome} leads to`);
    await choose(TITLES[to]);
  }
  await saved();
  await flawless();
  await tabTo('Publish');
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  await page.keyboard.type('drawn by keys');
  await page.keyboard.press('Enter');
  await gone();
  await page.locator('.head').getByText('Version 1', { exact: false }).waitFor();
}

// --- the phone, and the page that asks ---

/** Sets a phone up without a link, as which the console says for a client. */
async function register(phone, address, email, app) {
  await phone.goto(address);
  await phone.click('text=Use an e-mail address');
  await phone.waitForSelector('dialog >> text=Set up this phone');
  await shot('phone_registers', phone);
  await phone.fill('dialog input[name=email]', email);
  await phone.click('dialog button.primary');
  await phone.waitForSelector(`.note >> text=This phone answers for ${app} now.`);
}

const note = (phone, words) => phone.waitForSelector(`.note >> text=${words}`);

/** A browser elsewhere that wants to sign in; returns its page, where it shows a number. */
async function asks(address, email) {
  const desk = await person({ viewport: WIDE });
  everybody.push(desk);
  await desk.goto(address);
  await desk.fill('input[name=email]', email);
  await desk.click('form.answer button');
  desk.number = await (await desk.waitForSelector('[data-number]')).getAttribute('data-number');
  assert.match(desk.number, /^\d{2}$/);
  return desk;
}

async function leave(desk) {
  everybody.splice(everybody.indexOf(desk), 1);
  assert.deepEqual(desk.complaints, []);
  await desk.context().close();
}

async function approve(phone, number) {
  await phone.waitForSelector('.request');
  await phone.fill('#number', number);
  await phone.click('.request button.primary');
}

/** The request of a page for sign-in at the bank, and what makes tokens of its answer. */
function authorization() {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(8).toString('hex');
  const q = { client_id: 'harbour-web', response_type: 'code', scope: 'openid', redirect_uri: shop.callback, state, code_challenge_method: 'S256', code_challenge: createHash('sha256').update(verifier).digest('base64url') };
  const exchange = async (answer) => {
    assert.equal(answer.get('state'), state);
    assert.equal(answer.get('error'), null);
    const r = await fetch(`${w.base}/oidc/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', code: answer.get('code'), client_id: 'harbour-web', redirect_uri: shop.callback, code_verifier: verifier }) });
    const out = await r.json();
    assert.equal(r.status, 200, JSON.stringify(out));
    assert.ok(await verify(out.id_token, await (await fetch(`${w.base}/.well-known/jwks.json`)).json()));
    return decode(out.id_token).claims;
  };
  return { address: `${w.base}/authorize?${new URLSearchParams(q)}`, exchange };
}

/** What a token must say of an approval that the phone's owner confirmed by finger or face. */
function strong({ amr, acr }) {
  assert.deepEqual([acr, ...amr], ['urn:watchword:aal2', 'hwk', 'mca', 'mfa', 'user']);
}

const pem = (key) => key.export({ type: 'pkcs8', format: 'pem' });

let phone;
let phoneAt; // where the console says that a phone is set up
const drawnByMouse = {};

const ADA = 'ada@harbour.example';
const BOB = 'bob@quay.example';
const CARL = 'carl@harbour.example';

async function addApp(name, id) {
  await place('Applications');
  await press('Add an application');
  await fill('Name', name);
  await fill('Id', id);
  await dialog().getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { level: 1, name }).waitFor();
}

async function addClient(name, id, kind, returns = '') {
  await tab('Clients');
  await press('Add a client');
  await fill('Name', name);
  await fill('Id', id);
  await dialog().getByLabel('Kind').selectOption({ label: kind });
  if (returns) await fill('Where the browser may return to', returns);
  await dialog().getByRole('button', { name: 'Add', exact: true }).click();
  await gone();
}

/** Opens a client of an application, lets fn look at it and set what it likes, and saves what was set. */
async function change(app, client, fn) {
  await place('Applications');
  await page.getByRole('link', { name: app, exact: true }).click();
  await page.getByRole('button', { name: client, exact: true }).click();
  await dialog().getByLabel('Name', { exact: true }).waitFor();
  const said = await fn();
  const save = dialog().getByRole('button', { name: 'Save', exact: true });
  await (await save.isEnabled() ? save : dialog().getByRole('button', { name: 'Close' })).click();
  await gone();
  return said;
}

/** Opens a method of an application, lets fn set what it likes, and saves it. */
async function method(app, name, fn) {
  await place('Applications');
  await page.getByRole('link', { name: app, exact: true }).click();
  await tab('Methods');
  await page.getByRole('button', { name, exact: true }).click();
  await dialog().getByRole('button', { name: 'Save', exact: true }).waitFor();
  await fn();
  await dialog().getByRole('button', { name: 'Save', exact: true }).click();
  await gone();
}

async function provider(title, doc) {
  await page.locator('.card').filter({ hasText: title }).getByRole('button', { name: /^Set up/ }).click();
  await fill('Name', 'default');
  for (const [label, value] of Object.entries(doc)) await fill(label, value);
  await dialog().getByRole('button', { name: 'Save', exact: true }).click();
  await gone();
  await page.locator('.card').filter({ hasText: title }).locator('.state.yes').waitFor();
}

/** Opens the authenticators of a user in an application. */
async function authenticators(email, app) {
  await place('Users');
  await page.getByRole('link', { name: email, exact: true }).click();
  await page.getByLabel('Application', { exact: true }).selectOption({ label: app });
  const row = page.getByRole('row').filter({ hasText: 'Mobile biometrics' });
  await row.waitFor();
  return row;
}

/** The drawn journey that is open, wide and narrow, light and dark. */
async function pictures(name) {
  await page.evaluate(() => document.querySelector('.toast button')?.click()); // it goes by itself after a while, too
  await page.locator('.toast').waitFor({ state: 'detached' });
  if (name === 'login') await step('push_authenticate').click();
  if (name === 'login') await shot('tour-login', page.locator('.editor'));
  await page.locator('.react-flow__pane').click({ position: { x: 8, y: 8 } });
  for (const [size, colorScheme] of [[WIDE, 'light'], [WIDE, 'dark'], [PHONE, 'light']]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    if (size === WIDE) {
      await shot(`${name}_1280_${colorScheme}_beside`);
      await press('More room');
      await shot(name === 'registration' ? `tour-registration${colorScheme === 'dark' ? '-dark' : ''}` : `${name}_1280_${colorScheme}`);
      await accessible(page, `${name} ${colorScheme}`);
      await press('More room');
    } else {
      await inView(page);
      await shot(`${name}_390_canvas`);
      await press('Outline');
      await shot(`${name}_390_outline`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
      await press('Canvas');
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
  await inView(page);
}

/** No step over another, and no way behind a step that it does not join. */
async function tidy(name) {
  const { steps, ways } = await page.evaluate(() => {
    const box = (e) => { const { left, top, right, bottom } = e.getBoundingClientRect(); return { left, top, right, bottom }; };
    return {
      steps: [...document.querySelectorAll('.react-flow__node')].map((e) => ({ id: e.dataset.id, ...box(e) })),
      ways: [...document.querySelectorAll('.react-flow__edge')].map((e) => {
        const p = e.querySelector('.react-flow__edge-path');
        const m = p.getScreenCTM();
        const n = Math.ceil(p.getTotalLength() / 4);
        return { id: e.dataset.id, points: Array.from({ length: n + 1 }, (_, i) => { const q = p.getPointAtLength((i / n) * p.getTotalLength()); return [q.x * m.a + m.e, q.y * m.d + m.f]; }) };
      }),
    };
  });
  for (const a of steps) for (const b of steps) if (a.id < b.id) assert.ok(a.right < b.left || b.right < a.left || a.bottom < b.top || b.bottom < a.top, `${name}: ${a.id} is over ${b.id}`);
  for (const { id, points } of ways) for (const s of steps) {
    const behind = points.filter(([x, y]) => x > s.left + 4 && x < s.right - 4 && y > s.top + 2 && y < s.bottom - 2);
    assert.equal(behind.length, 0, `${name}: ${id.replace('\u0000', ' ')} is behind ${s.id}`);
  }
  assert.ok(steps.length > 2 && ways.length > 1);
}

try {
  await test('the first administrator comes by the printed link and stays by a passkey', async () => {
    await page.goto(w.link);
    await page.getByLabel('Your name').fill('Olga Owner');
    await page.getByLabel('E-mail address').fill('olga@harbour.example');
    await press('Open the console');
    await page.getByLabel('What you call it').fill('Laptop');
    await shot('first');
    await press('Add a passkey');
    await page.getByRole('heading', { level: 1, name: /Olga Owner/ }).waitFor();
  });

  await test('an application, its clients, and what carries pushes to its phones', async () => {
    await addApp('Harbour Bank', 'harbour');
    await addClient('Harbour web', 'harbour-web', 'A page in a browser', shop.callback);
    await addClient('Harbour phone app', 'harbour-phone', 'An app on a device');
    await tab('Push channels and providers');
    const { privateKey: apple } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await provider('Apple push (APNs)', { 'Bundle id': 'example.harbour.app', 'Team id': 'ABCDE12345', 'Key id': 'FGHIJ67890', 'Key *': pem(apple) });
    const { privateKey: google } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await provider('Google push (FCM)', { 'Service account': JSON.stringify({ type: 'service_account', project_id: 'harbour-bank', client_email: 'push@harbour-bank.iam.gserviceaccount.com', private_key_id: 'k1', private_key: pem(google), token_uri: 'https://oauth2.googleapis.com/token' }, null, 2) });
    await shot('providers');
    await place('Operate');
    await tab('Providers');
    await page.locator('.card').filter({ hasText: 'Web push' }).locator('.state.yes').waitFor(); // made with the tenant
    await method('Harbour Bank', 'Push approval', async () => { // this one person signs in more often here than people do
      await fill('Requests per user in 10 minutes', '100');
      await fill('Denials in 10 minutes before requests slow down', '0');
    });
  });

  await test('an approval without an authentication cannot be published', async () => {
    await begin('No approval', 'A phone runs it to approve');
    await page.getByRole('button', { name: /1 problem/ }).click();
    await dialog().getByText('an approval must be paired with one').waitFor();
    await dialog().getByRole('button', { name: 'Close' }).click();
    assert.ok(await page.getByRole('button', { name: 'Publish', exact: true }).isDisabled());
  });

  for (const [key, of] of Object.entries(JOURNEYS)) {
    await test(`${of.name}, drawn by mouse`, async () => {
      await drawByMouse(of);
      await saved();
      await tidy(of.name);
      await publish('as the guide has it', 1);
      await pictures(key);
      drawnByMouse[key] = await exported();
    });
  }

  await test('the same three, drawn by keys alone', async () => {
    await page.setViewportSize(WIDE);
    for (const [key, of] of Object.entries(JOURNEYS)) {
      const name = `${of.name} by keys`;
      const steps = of.steps.map(([title, set]) => [title, 'Mobile journey' in set ? { ...set, 'Mobile journey': 'Mobile approve by keys' } : set]);
      await drawByKeys({ ...of, steps }, name);
      const drawn = await exported();
      for (const n of Object.values(drawn.nodes)) if (n.config?.journey === 'mobile_approve_by_keys') n.config.journey = 'mobile_approve';
      assert.deepEqual(drawn, drawnByMouse[key], name);
    }
  });

  await test('a phone is set up by the journey that was drawn', async () => {
    await change('Harbour Bank', 'Harbour web', () => dialog().getByLabel('Sign-in journey').selectOption({ label: 'Web login' }));
    phoneAt = await change('Harbour Bank', 'Harbour phone app', async () => {
      assert.equal(await row('Redirect addresses', dialog()).getByRole('textbox').count(), 0, 'what was typed for another client');
      await shot('tour-client', dialog());
      return dialog().getByRole('link', { name: /authenticator/ }).getAttribute('href');
    });
    phone = await person({ finger: true, viewport: PHONE });
    everybody.push(phone);
    await register(phone, phoneAt, ADA, 'Harbour Bank');
  });

  await test('a page signs in by the phone, with the number, and gets tokens that say so', async () => {
    const { address, exchange } = authorization();
    const desk = await asks(address, ADA);
    await phone.waitForSelector('.request');
    await shot('tour-waiting', desk.locator('main'));
    await shot('tour-request', phone);
    await approve(phone, desk.number);
    await note(phone, 'Approved. You are signed in at Harbour Bank.');
    const answer = await shop.next();
    strong(await exchange(answer));
    await leave(desk);
  });

  await test('a denial ends it, and a wrong number does', async () => {
    const { address } = authorization();
    let desk = await asks(address, ADA);
    await phone.waitForSelector('.request');
    await phone.click('.request button.no');
    await phone.click('text=It was me, deny it');
    await note(phone, 'Denied. Nobody was signed in.');
    const answer = await shop.next();
    assert.equal(answer.get('error'), 'access_denied');
    assert.equal(answer.get('code'), null);
    await leave(desk);

    desk = await asks(`${w.base}/login/harbour-web/web_login`, ADA);
    await approve(phone, desk.number === '42' ? '43' : '42');
    await note(phone, 'That did not match.');
    phone.complaints.splice(0); // the browser tells of the refusal
    await desk.getByText('Not signed in').waitFor();
    await shot('denied', desk);
    await leave(desk);
  });

  await test('an approval that its owner did not confirm counts for nothing', async () => {
    const desk = await asks(`${w.base}/login/harbour-web/web_login`, ADA);
    await phone.owner(false);
    await approve(phone, desk.number);
    await phone.click('dialog >> text=Continue');
    await phone.waitForSelector('#answer-problem >> text=The phone did not confirm that it is you.');
    await desk.reload();
    await desk.locator('[data-number]').waitFor(); // it still waits
    await phone.owner(true);
    await phone.click('.request button.primary');
    await note(phone, 'Approved.');
    await desk.getByText('You are signed in').waitFor();
    await leave(desk);
  });

  await test('what was drawn by keys signs in by the vendor\'s own SDK', async () => {
    await addApp('Quay Bank', 'quay');
    await addClient('Quay web', 'quay-web', 'A page in a browser');
    await addClient('Quay phone app', 'quay-phone', 'An app on a device');
    await change('Quay Bank', 'Quay web', async () => {
      const origins = row('Web origins', dialog());
      await origins.getByRole('button', { name: 'Add', exact: true }).click();
      await origins.getByRole('textbox').fill(sdk.origins.listed);
    });
    const at = await change('Quay Bank', 'Quay phone app', async () => {
      await dialog().getByLabel('Journey that sets up a phone').selectOption({ label: 'Mobile app registration by keys' });
      return dialog().getByRole('link', { name: /authenticator/ }).getAttribute('href');
    });
    const other = await person({ finger: true, viewport: PHONE });
    everybody.push(other);
    await register(other, at, BOB, 'Quay Bank');
    const ido = await sdk.open(w.base, 'quay-web');
    const form = await ido.startJourney('web_login_by_keys');
    assert.deepEqual(Object.keys(form.clientResponseOptions).filter((o) => !['client_input', 'fail'].includes(o)), ['web_to_mobile']);
    const wait = await ido.submitClientResponse('web_to_mobile', { email: BOB });
    assert.equal(wait.journeyStepId, 'transmit_platform_mobile_approve_authentication');
    assert.match(wait.data.number, /^\d{2}$/);
    await approve(other, wait.data.number);
    await note(other, 'Approved. You are signed in at Quay Bank.');
    let end = wait;
    for (let i = 0; i < 20 && end.type === 'client_input_required'; i++) end = await ido.submitClientResponse('client_input');
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
    const { claims } = decode(end.token);
    assert.equal(claims.aud, 'quay-web');
    strong(claims);
    await leave(other);
  });

  await test('a second version acts, and after rolling back the first does', async () => {
    await place('Journeys');
    await page.getByRole('link', { name: 'Web login', exact: true }).click();
    await page.locator('.react-flow__edge').first().waitFor({ state: 'attached' });
    await unfold();
    await inView(page);
    const way = edge('login_form', 'web_to_mobile').locator('.react-flow__edge-path');
    const [x, y] = await way.evaluate((p) => { const q = p.getPointAtLength(p.getTotalLength() / 2); const m = p.getScreenCTM(); const c = document.querySelector('.canvas').getBoundingClientRect(); return [q.x * m.a + m.e - c.x, q.y * m.d + m.f - c.y]; });
    await drop('Display information', { x, y });
    await setByMouse('Text', 'Have your phone at hand.');
    await press('Arrange');
    await inView(page);
    await publish('says what one needs', 2);
    const sees = async () => {
      const desk = await person({ viewport: WIDE });
      await desk.goto(`${w.base}/login/harbour-web/web_login`);
      await desk.fill('input[name=email]', ADA);
      await desk.click('form.answer button');
      await desk.locator('[data-number], .lead').first().waitFor();
      const text = await desk.locator('main').textContent();
      assert.deepEqual(desk.complaints, []);
      await desk.context().close();
      return text;
    };
    assert.match(await sees(), /Have your phone at hand\./);
    await page.getByRole('link', { name: 'Versions', exact: true }).click();
    await page.getByRole('button', { name: '1', exact: true }).click();
    await page.getByText('From version 1 to the draft').waitFor();
    await shot('versions');
    await press('Roll back');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Roll back' }).click();
    await page.getByRole('button', { name: '3', exact: true }).waitFor();
    assert.doesNotMatch(await sees(), /Have your phone at hand\./);
    await phone.click('.request button.no'); // the request that this left
    await phone.click('text=It was me, deny it');
    await note(phone, 'Denied.');
  });

  await test('who fails is locked, and unlocked by the operator', async () => {
    await method('Harbour Bank', 'Mobile biometrics', async () => {
      const tiers = row('Lockout tiers', dialog());
      for (let n = await tiers.getByRole('button', { name: /^Remove row/ }).count(); n > 1; n--) await tiers.getByRole('button', { name: /^Remove row/ }).last().click();
      await tiers.getByLabel('Failed attempts').fill('2');
      await tiers.getByLabel('Lockout in minutes').fill('30');
      await dialog().getByRole('button', { name: 'Fail again' }).click({ clickCount: 1 });
      await dialog().getByRole('button', { name: 'Fail again' }).click();
      await dialog().getByText('Locked for').waitFor();
      await shot('lockout');
    });
    // The phone's key becomes another: what it signs is not its owner's any more.
    const { credentials: [mine] } = await phone.cdp.send('WebAuthn.getCredentials', phone.authenticator);
    const swap = async (privateKey) => {
      await phone.cdp.send('WebAuthn.removeCredential', { ...phone.authenticator, credentialId: mine.credentialId });
      await phone.cdp.send('WebAuthn.addCredential', { ...phone.authenticator, credential: { ...mine, privateKey, signCount: mine.signCount + 100 } });
    };
    const { privateKey: thief } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const attempt = async () => {
      const desk = await asks(`${w.base}/login/harbour-web/web_login`, ADA);
      await approve(phone, desk.number);
      await desk.locator('.verdict').waitFor();
      const end = await desk.locator('h1').textContent();
      await phone.waitForSelector('.note');
      await leave(desk);
      return end;
    };
    await swap(thief.export({ type: 'pkcs8', format: 'der' }).toString('base64'));
    assert.equal(await attempt(), 'Not signed in');
    assert.equal(await attempt(), 'Not signed in');
    await swap(mine.privateKey);
    assert.equal(await attempt(), 'Not signed in', 'the right key, while locked');
    const row_ = await authenticators(ADA, 'Harbour Bank');
    await row_.getByText(/Locked until/).waitFor();
    await shot('tour-locked');
    await row_.getByRole('button', { name: 'Change' }).click();
    await page.getByRole('menuitem', { name: 'Unlock' }).click();
    await row_.getByText('Active').waitFor();
    assert.equal(await attempt(), 'You are signed in', 'the right key, unlocked');
  });
  for (const of of Object.values(TOTP)) {
    await test(`${of.name}, drawn by mouse`, async () => {
      await drawByMouse(of);
      await saved();
      await tidy(of.name);
      await publish('as the guide has it', 1);
    });
  }

  await test('somebody sets an authenticator app up by what was drawn, and signs in by its codes', async () => {
    await place('Users');
    await press('Add a user');
    await fill('E-mail address', CARL);
    await dialog().getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: CARL }).waitFor();

    const desk = await person({ viewport: WIDE });
    everybody.push(desk);
    await desk.goto(`${w.base}/login/harbour-web/totp_registration`);
    await desk.fill('input[name=email]', CARL);
    await desk.fill('input[name=label]', 'Work phone');
    await desk.click('.answer .primary');
    await desk.locator('svg').first().waitFor();
    await desk.click('summary:has-text("Cannot scan?")');
    const secret = (await desk.textContent('.secret')).replace(/\s/g, '');
    await desk.click('.answer .primary');
    await desk.waitForSelector('.verdict.yes');

    const code = () => execFileSync('oathtool', ['--totp', '-b', secret], { encoding: 'utf8' }).trim();
    let right;
    const signsIn = async (typed) => {
      await desk.goto(`${w.base}/login/harbour-web/totp_login`);
      await desk.fill('input[name=username]', CARL);
      await desk.fill('input[name=totp_code]', typed()); // a code is good for half a minute, which a busy machine takes for a page
      await desk.click('.answer .primary');
      await desk.locator('.verdict').waitFor();
      return desk.locator('h1').textContent();
    };
    assert.equal(await signsIn(() => code().replace(/./g, (d) => (Number(d) + 5) % 10)), 'Not signed in', 'another code');
    assert.equal(await signsIn(() => { right = code(); return right; }), 'You are signed in');
    assert.equal(await signsIn(() => right), 'Not signed in', 'the same code again');
    await leave(desk);
    await place('Users');
    await page.getByRole('link', { name: CARL, exact: true }).click();
    await page.getByLabel('Application', { exact: true }).selectOption({ label: 'Harbour Bank' });
    await page.getByRole('row').filter({ hasText: 'Authenticator app' }).getByText('Work phone').waitFor();
  });
} finally {
  await browser.close();
  await sdk.stop();
  shop.stop();
  await w.stop();
}
process.exit(failed ? 1 : 0);
