// What the real SDK must be able to do, told once and run in Node and in
// Chromium. `sdk` has the SDK's own methods; each returns what the SDK returned,
// as plain data. `another` opens a fresh instance of it, with another client if
// one is named. A flow may return a remark for the line that reports it.

import assert from 'node:assert/strict';

const WAIT = 'transmit_platform_mobile_approve_authentication';
let people = 0;

/** Somebody with a phone that is set up. */
async function person(w, client = 'demo-native') {
  const email = `person${++people}-${Date.now()}@example.org`;
  const phone = w.phone(`p${people}`);
  const r = await phone('register', '--server', w.base, '--client', client, '--email', email, '--device', 'Pixel 9');
  assert.ok(r.ok, r.said);
  return { email, phone };
}

async function asked(sdk, email) {
  const form = await sdk.startJourney('web_login');
  assert.equal(form.journeyStepId, 'login');
  assert.ok(form.clientResponseOptions.web_to_mobile && form.clientResponseOptions.cancel);
  const wait = await sdk.submitClientResponse('web_to_mobile', { email });
  assert.equal(wait.journeyStepId, WAIT);
  return wait;
}

/** Polls as an application does, without a timer: the server holds the answer. */
async function decided(sdk) {
  for (let i = 0; i < 20; i++) {
    const r = await sdk.submitClientResponse('client_input');
    if (r.type !== 'client_input_required' || r.journeyStepId !== WAIT) return r;
  }
  throw new Error('never decided');
}

/** Approves on the phone while sdk waits; returns how that ends for sdk. */
async function approved(sdk, phone, number) {
  const [end, ok] = await Promise.all([decided(sdk), phone('approve', '--number', number, '--wait', '5')]);
  assert.ok(ok.ok, ok.said);
  assert.equal(end.type, 'journey_success', JSON.stringify(end));
  return end;
}

/** What the SDK says after a refusal that it must not throw for. */
function rejected(r, reason) {
  assert.equal(r.type, 'journey_rejection', JSON.stringify(r));
  assert.equal(r.token, undefined);
  assert.equal(r.data.rejectionReason, reason);
}

/** How many requests the server holds. */
async function holds(w) {
  const said = await (await fetch(`${w.base}/metrics`)).text();
  return Number(/^watchword_held_requests (\d+)$/m.exec(said)[1]);
}

function resolvers() {
  const r = {};
  r.promise = new Promise((resolve) => { r.resolve = resolve; });
  return r;
}

const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));

export const flows = {
  async 'sign in by approving'(sdk, w) {
    const p = await person(w);
    const wait = await asked(sdk, p.email);
    assert.match(wait.data.number, /^[0-9]{2}$/);
    assert.equal(wait.data.number_mode, 'type-2');
    assert.equal(wait.data.device_display_name, 'Pixel 9');
    assert.equal(wait.data.resend_attempts_left, 3);
    const end = await approved(sdk, p.phone, wait.data.number);
    const c = claims(end.token);
    assert.equal(c.aud, 'demo-web');
    assert.equal(c.iss, w.base);
    assert.ok(c.sub && c.amr.includes('mfa'));
  },

  async 'the waiting page hears of the approval at once'(sdk, w) {
    const late = [];
    do { // a machine that is busy is late now and then, what waits for something is late each time
      const p = await person(w);
      const wait = await asked(sdk, p.email);
      assert.ok((await p.phone('pending', '--wait', '5')).ok);
      let heard;
      const held = sdk.submitClientResponse('client_input').then((r) => { heard = performance.now(); return r; });
      const ok = await p.phone('approve', '--number', wait.data.number);
      const done = performance.now();
      assert.ok(ok.ok, ok.said);
      assert.equal((await held).type, 'journey_success', 'the one request that was held was answered before the approval');
      late.push(Math.round(heard - done));
    } while (late.at(-1) >= 500 && late.length < 3);
    assert.ok(late.at(-1) < 500, `${late} ms after the phone`);
    return late.at(-1) < 0 ? 'before the phone had said so' : `${late.at(-1)} ms after the phone had said so`;
  },

  async 'the other ways to match the number'(_, w, another) {
    for (const [client, mode, shown] of [['six', 'type-6', /^[0-9]{6}$/], ['four', 'choose-4', /^[0-9]{2}$/], ['plain', 'off', /^$/]]) {
      const sdk = await another(`${client}-web`);
      const p = await person(w, `${client}-native`);
      const wait = await asked(sdk, p.email);
      assert.equal(wait.data.number_mode, mode);
      assert.match(wait.data.number ?? '', shown);
      const end = decided(sdk);
      const ok = await p.phone('approve', ...(mode === 'off' ? [] : ['--number', wait.data.number]), '--wait', '5');
      assert.ok(ok.ok, ok.said);
      assert.equal((await end).type, 'journey_success', mode);
    }
  },

  async 'sign a payment'(sdk, w) {
    const p = await person(w);
    await sdk.startJourney('transaction_push');
    const pay = { payee: 'ACME Corp.', amount: '1500.00', currency: 'EUR' };
    const wait = await sdk.submitClientResponse('client_input', { email: p.email, ...pay });
    assert.equal(wait.journeyStepId, WAIT);
    assert.deepEqual(wait.data.approval_data, pay);
    const shown = await p.phone('pending', '--wait', '5');
    assert.deepEqual(shown.out[0].approval_data, pay, 'what the phone shows');
    const c = claims((await approved(sdk, p.phone, wait.data.number)).token);
    assert.deepEqual(c.approval_data, pay);
    assert.equal(claims(c.approval_receipt).approval_hash, c.approval_hash);
  },

  async 'an authenticator app'(sdk, w, another) {
    const email = `totp${++people}-${Date.now()}@example.org`;
    const form = await sdk.startJourney('totp_registration');
    assert.equal(form.journeyStepId, 'account');
    const shown = await sdk.submitClientResponse('client_input', { email, label: 'Work phone' });
    assert.equal(shown.journeyStepId, 'transmit_platform_totp_registration');
    assert.ok(shown.data.payload.uri.includes('algorithm=SHA1&digits=6&period=30'));
    const app = w.phone(`t${people}`);
    assert.ok((await app('totp', 'add', shown.data.payload.uri)).ok);
    assert.equal((await sdk.submitClientResponse('client_input')).type, 'journey_success');

    const code = async () => (await app('totp', 'code')).out.code;
    const login = await another();
    assert.ok((await login.startJourney('totp_login')).clientResponseOptions.totp);
    const used = await code();
    const end = await login.submitClientResponse('totp', { username: email, totp_code: used });
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
    assert.deepEqual(claims(end.token).amr, ['otp']);
    const again = await another();
    await again.startJourney('totp_login');
    assert.equal((await again.submitClientResponse('totp', { username: email, totp_code: used })).type, 'journey_rejection', 'a code was good twice');

    const pay = { payee: 'ACME Corp.', amount: '1500.00', currency: 'EUR' };
    const signing = await another();
    await signing.startJourney('transaction_totp');
    const ask = await signing.submitClientResponse('client_input', { email, ...pay });
    assert.equal(ask.journeyStepId, 'transmit_platform_transaction_signing_totp');
    assert.deepEqual(ask.data.approval_data, pay);
    const wrong = await signing.submitClientResponse('client_input', { totp_code: '000000' });
    assert.equal(wrong.errorData.errorCode, 'invalid_credentials', JSON.stringify(wrong));
    const signature = (await app('totp', 'sign', ask.data.transaction_challenge)).out.code;
    const done = await signing.submitClientResponse('client_input', { totp_code: signature });
    assert.equal(done.type, 'journey_success', JSON.stringify(done));
    assert.deepEqual(claims(done.token).approval_data, pay);
  },

  async 'a code by mail'(sdk, w) {
    const email = `mail${++people}-${Date.now()}@example.org`;
    const phone = w.phone(`m${people}`);
    assert.ok((await phone('register', '--server', w.base, '--client', 'demo-native', '--email', email)).ok);
    await sdk.startJourney('email_otp_login');
    const ask = await sdk.submitClientResponse('email_otp', { email });
    assert.equal(ask.journeyStepId, 'transmit_platform_email_otp_authentication');
    assert.equal(ask.data.code_length, 6);
    let mail;
    for (let i = 0; i < 100 && !mail; i++) {
      const { messages } = await (await fetch(`${w.base}/dev/inbox/messages?channel=mail&to=${encodeURIComponent(email)}`)).json();
      mail = messages.at(-1);
      if (!mail) await new Promise((again) => { setTimeout(again, 50); });
    }
    const end = await sdk.submitClientResponse('client_input', { passcode: mail.data.code });
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
  },

  async 'wrong number'(sdk, w) {
    const p = await person(w);
    const wait = await asked(sdk, p.email);
    const wrong = wait.data.number === '10' ? '11' : '10';
    assert.equal((await p.phone('approve', '--number', wrong, '--wait', '5')).ok, false);
    const end = await decided(sdk);
    assert.equal(end.type, 'journey_rejection');
    assert.equal(end.token, undefined);
    assert.equal((await p.phone('approve', '--number', wait.data.number)).ok, false);
  },

  async 'deny, and not me'(sdk, w) {
    const p = await person(w);
    for (const more of [[], ['--not-me']]) {
      await asked(sdk, p.email);
      assert.ok((await p.phone('pending', '--wait', '5')).ok);
      const denied = await p.phone('deny', ...more);
      assert.ok(denied.ok, denied.said);
      assert.equal((await decided(sdk)).type, 'journey_rejection');
    }
  },

  async 'cancel'(sdk, w) {
    const p = await person(w);
    const wait = await asked(sdk, p.email);
    assert.equal((await sdk.submitClientResponse('cancel')).type, 'journey_rejection');
    assert.equal((await p.phone('approve', '--number', wait.data.number)).ok, false);
  },

  async 'cancel while a request is held'(sdk, w) {
    const p = await person(w);
    const wait = await asked(sdk, p.email);
    const before = await holds(w);
    const held = sdk.submitClientResponse('client_input');
    for (let i = 0; i < 100 && await holds(w) <= before; i++) assert.ok((await p.phone('pending', '--wait', '5')).ok); // until it has arrived; one that ran beside may end meanwhile
    assert.equal((await sdk.submitClientResponse('cancel')).type, 'journey_rejection');
    // Only one answer may say that it is over: the SDK throws for a second one.
    assert.equal((await held).type, 'client_input_required');
    assert.equal((await p.phone('approve', '--number', wait.data.number)).ok, false);
  },

  async 'another way, and back'(sdk, w) {
    const p = await person(w);
    await asked(sdk, p.email);
    assert.equal((await sdk.submitClientResponse('another_way')).journeyStepId, 'login');
    assert.equal((await sdk.submitClientResponse('web_to_mobile', { email: p.email })).journeyStepId, WAIT);
  },

  async 'send again'(sdk, w) {
    const p = await person(w);
    await asked(sdk, p.email);
    const again = await sdk.submitClientResponse('resend');
    assert.equal(again.data.resend_attempts_left, 2);
    const soon = await sdk.submitClientResponse('resend');
    assert.equal(soon.errorData.errorCode, 'expired_otp_passcode'); // the SDK's word for code 33
    assert.equal(soon.errorData.description, 'Wait a moment before sending it again.');
    assert.equal(soon.data.number, again.data.number);
    await approved(sdk, p.phone, again.data.number);
  },

  async 'send again until it is spent'(_, w, another) {
    const sdk = await another('hasty-web');
    const p = await person(w, 'hasty-native');
    const first = await asked(sdk, p.email);
    assert.equal(first.data.resend_attempts_left, 1);
    assert.equal((await sdk.submitClientResponse('resend')).data.resend_attempts_left, 0);
    const spent = await sdk.submitClientResponse('resend');
    assert.equal(spent.errorData.errorCode, 'expired_otp_passcode'); // code 33
    assert.equal(spent.errorData.description, 'It cannot be sent again.');
    assert.equal(spent.data.resend_attempts_left, 0);
    assert.equal((await p.phone('pending')).out.length, 1);
    await approved(sdk, p.phone, spent.data.number);
  },

  async 'two phones'(sdk, w) {
    const p = await person(w);
    const number = resolvers();
    const pad = w.phone(`pad${people}`, (said) => { const m = /number ([0-9]+)/.exec(said); if (m) number.resolve(m[1]); });
    const adding = pad('register', '--server', w.base, '--client', 'demo-native', '--email', p.email, '--device', 'iPad');
    const agreed = await p.phone('approve', '--number', await number.promise, '--wait', '20');
    assert.ok(agreed.ok, agreed.said);
    const added = await adding;
    assert.ok(added.ok, added.said);

    await sdk.startJourney('web_login');
    const which = await sdk.submitClientResponse('web_to_mobile', { email: p.email });
    assert.equal(which.journeyStepId, WAIT);
    assert.deepEqual(which.data.devices.map((d) => d.name).sort(), ['Pixel 9', 'iPad']);
    assert.equal(which.data.number, undefined);
    const none = await sdk.submitClientResponse('client_input', { selected_device_code: '9' });
    assert.equal(none.errorData.errorCode, 'client_response_not_valid');
    assert.equal(none.data.devices.length, 2);
    const { code } = which.data.devices.find((d) => d.name === 'iPad');
    const wait = await sdk.submitClientResponse('client_input', { selected_device_code: code });
    assert.equal(wait.data.device_display_name, 'iPad');
    assert.equal((await p.phone('approve', '--number', wait.data.number)).ok, false, 'the phone that was not chosen approved');
    await approved(sdk, pad, wait.data.number);
  },

  async 'a second phone that the first denies'(sdk, w) {
    const p = await person(w);
    const other = w.phone(`other${people}`);
    const adding = other('register', '--server', w.base, '--client', 'demo-native', '--email', p.email, '--device', 'iPad');
    const list = await p.phone('pending', '--wait', '20');
    assert.ok(list.ok, list.said);
    assert.ok((await p.phone('deny')).ok);
    assert.equal((await adding).ok, false);
  },

  async 'a form, an information, data, and an escape'(sdk) {
    const form = await sdk.startJourney('tour', { additionalParams: { from: 'checkout' } });
    assert.equal(form.journeyStepId, 'ask_name');
    assert.ok(form.clientResponseOptions.skip && form.clientResponseOptions.cancel);
    const wrong = await sdk.submitClientResponse('client_input', { full_name: ['x'] });
    assert.equal(wrong.errorData.errorCode, 'client_response_not_valid');
    assert.equal(wrong.journeyStepId, 'ask_name');
    const info = await sdk.submitClientResponse('client_input', { full_name: 'Grace', age: 40 });
    assert.equal(info.journeyStepId, 'action:information');
    assert.equal(info.data.text, 'Hello Grace äöü 日本');
    assert.equal(info.data.button_text, 'Next');
    const end = await sdk.submitClientResponse('client_input');
    assert.equal(end.type, 'journey_success');
    assert.equal(end.data.json_data.points, 3);
    assert.equal(end.data.json_data.from, 'checkout');
    assert.equal(claims(end.token).registered, true);
    assert.equal(claims(end.token).sub, undefined);
    await sdk.startJourney('tour');
    const out = await sdk.submitClientResponse('skip', { why: 'no time' });
    assert.equal(out.type, 'journey_rejection');
    assert.equal(out.data.failure_data.why, 'no time');
  },

  async 'data kept by the browser comes back'(sdk, w, another) {
    const name = `Grace ${Math.random()} 日本`;
    const visit = async (sdk, answer) => {
      await sdk.startJourney('tour');
      await sdk.submitClientResponse('client_input', answer);
      return (await sdk.submitClientResponse('client_input')).data.json_data.last_name;
    };
    await visit(sdk, { full_name: name, age: 40 }); // old enough to be remembered
    assert.equal(await visit(await another(), { full_name: 'Somebody else' }), name);
  },

  async 'the browser registers its key and signs, by itself'(sdk, w, another) {
    const email = `bound${Date.now()}${Math.random()}@example.org`;
    await sdk.startJourney('bind_browser');
    const end = await sdk.submitClientResponse('client_input', { email });
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
    assert.match(end.data.json_data.device, /^[0-9a-f]{64}$/);
    const later = await another();
    await later.startJourney('known_browser');
    assert.equal((await later.submitClientResponse('client_input', { email })).type, 'journey_success');
    const too = `too.${email}`; // somebody else at this browser: its key is bound already, and signs that it may be
    await later.startJourney('bind_browser');
    assert.equal((await later.submitClientResponse('client_input', { email: too })).type, 'journey_success');
    for (const mine of [email, too]) {
      await later.startJourney('known_browser');
      assert.equal((await later.submitClientResponse('client_input', { email: mine })).type, 'journey_success');
    }
    const p = await person(w);
    await later.startJourney('known_browser');
    rejected(await later.submitClientResponse('client_input', { email: p.email }), 'This browser is not known.');
  },

  async 'two answers at once'(sdk, w) {
    await sdk.startJourney('tour');
    const both = await sdk.twice('submitClientResponse', 'client_input', { full_name: 'Twice' });
    for (const r of both) assert.equal(r.journeyStepId, 'action:information', JSON.stringify(r));
    assert.equal((await sdk.submitClientResponse('client_input')).type, 'journey_success');

    const p = await person(w);
    await sdk.startJourney('web_login');
    const [one, two] = await sdk.twice('submitClientResponse', 'web_to_mobile', { email: p.email });
    assert.equal(one.journeyStepId, WAIT);
    assert.deepEqual(two.data, one.data);
    assert.equal((await p.phone('pending', '--wait', '5')).out.length, 1, 'the phone was asked twice');
    await approved(sdk, p.phone, one.data.number);
  },

  async 'serialize and restore'(sdk, w, another) {
    await sdk.startJourney('tour');
    const state = await sdk.serializeState();
    assert.equal((await sdk.restoreFromSerializedState(state)).journeyStepId, 'ask_name');
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Back' })).journeyStepId, 'action:information');

    const p = await person(w);
    for (const encrypted of [false, true]) {
      const leaves = await another();
      await leaves.startJourney('web_login', { encrypted });
      const wait = await leaves.submitClientResponse('web_to_mobile', { email: p.email });
      const comes = await another();
      const restored = await comes.restoreFromSerializedState(await leaves.serializeState());
      assert.equal(restored.data.number, wait.data.number);
      await approved(comes, p.phone, wait.data.number);
    }
  },

  async 'a session that is unknown, over, or of another client'(sdk, w, another) {
    await sdk.startJourney('tour');
    const state = await sdk.serializeState();
    const forged = JSON.parse(decodeURIComponent(atob(state)));
    forged.journey.sessionId = 'ses_nothing_like_it';
    const lost = await another();
    await lost.restoreFromSerializedState(btoa(encodeURIComponent(JSON.stringify(forged))));
    const unknown = await lost.submitClientResponse('client_input', { full_name: 'Grace' });
    assert.ok(unknown.data.rejectionReason);
    rejected(unknown, unknown.data.rejectionReason);
    const foreign = await another('hasty-web');
    await foreign.restoreFromSerializedState(state);
    rejected(await foreign.submitClientResponse('client_input', { full_name: 'Grace' }), unknown.data.rejectionReason);
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Grace' })).journeyStepId, 'action:information');
    assert.equal((await sdk.submitClientResponse('client_input')).type, 'journey_success');
    const late = await another();
    await late.restoreFromSerializedState(state);
    rejected(await late.submitClientResponse('client_input', { full_name: 'Grace' }), unknown.data.rejectionReason);
  },

  async 'a pin for the debugger'(sdk) {
    await sdk.startJourney('tour');
    assert.match(await sdk.generateDebugPin(), /^[0-9]{6}$/);
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Pinned' })).journeyStepId, 'action:information');
  },

  async 'an unknown journey'(sdk) {
    rejected(await sdk.startJourney('nothing_like_it'), 'There is no such journey.');
    assert.equal((await sdk.startJourney('tour')).journeyStepId, 'ask_name');
  },

  async 'a server path that ends in a slash'(_, w, another) {
    const sdk = await another('demo-web', { path: '/ido/' });
    assert.equal((await sdk.startJourney('tour')).journeyStepId, 'ask_name');
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Slash' })).journeyStepId, 'action:information');
  },

  async 'an unknown user waits like a known one'(sdk) {
    const wait = await asked(sdk, `nobody${Math.random()}@example.org`);
    assert.match(wait.data.number, /^[0-9]{2}$/);
    assert.equal((await sdk.submitClientResponse('cancel')).type, 'journey_rejection');
  },

  async 'encrypted'(sdk, w) {
    const p = await person(w);
    const form = await sdk.startJourney('web_login', { encrypted: true, additionalParams: { from: 'käse 日本' } });
    assert.equal(form.journeyStepId, 'login');
    const wait = await sdk.submitClientResponse('web_to_mobile', { email: p.email });
    const end = await approved(sdk, p.phone, wait.data.number);
    assert.equal(claims(end.token).params.from, 'käse 日本');
    await sdk.startJourney('tour', { encrypted: true });
    const info = await sdk.submitClientResponse('client_input', { full_name: 'Žofie 🦊' });
    assert.equal(info.data.text, 'Hello Žofie 🦊 äöü 日本');
    assert.equal((await sdk.submitClientResponse('client_input')).type, 'journey_success');
    rejected(await sdk.startJourney('nothing_like_it', { encrypted: true }), 'There is no such journey.');
  },
};

/** Outside browsers a client that nobody knows hears why. */
export async function unknownClients(open) {
  for (const client of ['nobody', 'demo-backend']) {
    rejected(await (await open(client)).startJourney('web_login'), 'The client is not known here.');
  }
}

/**
 * Which page may speak for which client: the browser itself must refuse the
 * rest, and refuse it for that reason. `open(client, options)`; origins.listed is
 * on the list of shop-web, origins.other is not.
 */
export async function origins(open, { listed, other }) {
  const shop = await open('shop-web', { from: listed });
  assert.equal((await shop.startJourney('tour')).journeyStepId, 'ask_name');
  assert.equal((await shop.submitClientResponse('client_input', { full_name: 'Grace' })).journeyStepId, 'action:information');
  for (const [client, from] of [['shop-web', other], ['demo-backend', listed], ['nobody', listed]]) {
    const sdk = await open(client, { from });
    await assert.rejects(sdk.startJourney('tour'), (e) => e.errorCode === 'network_error', `${client} was served at ${from}`);
    const why = /blocked by CORS policy/;
    for (let i = 0; i < 100 && !why.test(sdk.consoleText()); i++) await new Promise((again) => { setTimeout(again, 50); }); // the browser says so beside what the SDK throws
    assert.match(sdk.consoleText(), why);
  }
}

/** A browser without the key is not taken for the one that has it. `open(client, options)`. */
export async function otherBrowser(open) {
  const email = `here${Date.now()}@example.org`;
  const sdk = await open();
  await sdk.startJourney('bind_browser');
  assert.equal((await sdk.submitClientResponse('client_input', { email })).type, 'journey_success');
  const elsewhere = await open(undefined, { private: true });
  await elsewhere.startJourney('known_browser');
  rejected(await elsewhere.submitClientResponse('client_input', { email }), 'This browser is not known.');
}

/** Nobody answers, in an application that waits half a minute. `sdk` is its client's. */
export async function runsOut(sdk, w) {
  const p = await person(w, 'hasty-native');
  const wait = await asked(sdk, p.email);
  assert.ok(wait.data.expires_at - Date.now() <= 30_000);
  const end = await decided(sdk);
  assert.ok(Date.now() >= wait.data.expires_at, 'it ended too early');
  assert.equal(end.type, 'journey_rejection');
  assert.equal(end.data.failure_data.reason, 'expired');
  assert.equal(end.token, undefined);
  assert.equal((await p.phone('approve', '--number', wait.data.number)).ok, false);
}

/** Two sessions, of two instances of the SDK: one waits, the other answers. */
export async function crossSession(one, two) {
  const wait = await one.startJourney('wait_for_other');
  assert.equal(wait.journeyStepId, 'action:wait_for_another_device');
  const { ticket } = wait.data.json_data;
  const [end, said] = await Promise.all([
    (async () => { for (;;) { const r = await one.submitClientResponse('client_input'); if (r.type !== 'client_input_required') return r; } })(),
    two.startJourney('answer_other', { additionalParams: { ticket, text: 'hello' } }),
  ]);
  assert.equal(said.type, 'journey_success');
  assert.equal(end.type, 'journey_success', JSON.stringify(end));
  assert.equal(end.data.json_data.said, 'hello');
}
