// What the real SDK must be able to do, told once and run in Node and in
// Chromium. `sdk` has the SDK's own methods; each returns what the SDK returned,
// as plain data.

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
    const [end, approved] = await Promise.all([decided(sdk), p.phone('approve', '--number', wait.data.number, '--wait', '5')]);
    assert.ok(approved.ok, approved.said);
    assert.equal(end.type, 'journey_success');
    const c = claims(end.token);
    assert.equal(c.aud, 'demo-web');
    assert.equal(c.iss, w.base);
    assert.ok(c.sub && c.amr.includes('mfa'));
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
    assert.equal(soon.data.number, again.data.number);
    const [end] = await Promise.all([decided(sdk), p.phone('approve', '--number', again.data.number, '--wait', '5')]);
    assert.equal(end.type, 'journey_success');
  },

  async 'two phones'(sdk, w) {
    const p = await person(w);
    const number = resolvers();
    const pad = w.phone(`pad${people}`, (said) => { const m = /number ([0-9]+)/.exec(said); if (m) number.resolve(m[1]); });
    const adding = pad('register', '--server', w.base, '--client', 'demo-native', '--email', p.email, '--device', 'iPad');
    const approved = await p.phone('approve', '--number', await number.promise, '--wait', '20');
    assert.ok(approved.ok, approved.said);
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
    const [end, ok] = await Promise.all([decided(sdk), pad('approve', '--number', wait.data.number, '--wait', '5')]);
    assert.ok(ok.ok, ok.said);
    assert.equal(end.type, 'journey_success');
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

  async 'the browser registers its key and signs, by itself'(sdk) {
    await sdk.startJourney('bind_browser');
    const end = await sdk.submitClientResponse('client_input', { email: `bound${Date.now()}${Math.random()}@example.org` });
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
    assert.match(end.data.json_data.device, /^[0-9a-f]{64}$/);
  },

  async 'two answers at once'(sdk) {
    await sdk.startJourney('tour');
    const both = await Promise.all([1, 2].map(() => sdk.submitClientResponse('client_input', { full_name: 'Twice' })));
    for (const r of both) assert.equal(r.journeyStepId, 'action:information', JSON.stringify(r));
    assert.equal((await sdk.submitClientResponse('client_input')).type, 'journey_success');
  },

  async 'serialize and restore'(sdk) {
    await sdk.startJourney('tour');
    const state = await sdk.serializeState();
    const again = await sdk.restoreFromSerializedState(state);
    assert.equal(again.journeyStepId, 'ask_name');
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Back' })).journeyStepId, 'action:information');
  },

  async 'a pin for the debugger'(sdk) {
    await sdk.startJourney('tour');
    assert.match(await sdk.generateDebugPin(), /^[0-9]{6}$/);
    assert.equal((await sdk.submitClientResponse('client_input', { full_name: 'Pinned' })).journeyStepId, 'action:information');
  },

  async 'an unknown journey'(sdk) {
    const r = await sdk.startJourney('nothing_like_it');
    assert.equal(r.type, 'journey_rejection');
    assert.equal(r.data.rejectionReason, 'There is no such journey.');
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
    const [end] = await Promise.all([decided(sdk), p.phone('approve', '--number', wait.data.number, '--wait', '5')]);
    assert.equal(end.type, 'journey_success');
    assert.equal(claims(end.token).params.from, 'käse 日本');
  },
};

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
