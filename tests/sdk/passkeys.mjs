// What the real SDK must be able to do with passkeys, which takes a browser with
// an authenticator.

import assert from 'node:assert/strict';

const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));

/** An account is made with a passkey and signs in with it, with a name and without; a payment is signed. */
export async function passkeys(machine) {
  const email = `passkey-${Date.now()}@example.org`;
  const made = await machine.run(async ({ ido, webauthn }, email) => {
    await ido.startJourney('passwordless_passkey');
    await ido.submitClientResponse('sign_up');
    const asked = await ido.submitClientResponse('client_input', { email });
    const { username, display_name: displayName, register_as_discoverable: registerAsDiscoverable, allow_cross_platform_authenticators: allowCrossPlatformAuthenticators } = asked.data;
    const result = await webauthn.register({ username, options: { displayName, registerAsDiscoverable, allowCrossPlatformAuthenticators } });
    const end = await ido.submitClientResponse('client_input', { webauthn_encoded_result: result });
    return { step: asked.journeyStepId, type: end.type, data: end.data };
  }, email);
  assert.equal(made.step, 'action:webauthn_registration');
  assert.equal(made.type, 'journey_success', JSON.stringify(made));

  for (const username of [email, undefined]) {
    const end = await machine.run(async ({ ido, webauthn }, username) => {
      await ido.startJourney('passwordless_passkey');
      const result = await webauthn.authenticate.modal(username ? { username } : {});
      const { type, token, data } = await ido.submitClientResponse('passkeys', { webauthn_encoded_result: result });
      return { type, token, data };
    }, username);
    assert.equal(end.type, 'journey_success', JSON.stringify(end));
    assert.equal(claims(end.token).acr, 'urn:watchword:aal2');
  }

  const signed = await machine.run(async ({ ido, webauthn }, email) => {
    await ido.startJourney('transaction_passkey');
    const asked = await ido.submitClientResponse('client_input', { email, payee: 'ACME', amount: '12.50', currency: 'EUR' });
    const result = await webauthn.approve.modal({ username: asked.data.user_identifier, approvalData: asked.data.approval_data });
    const { type, token, data } = await ido.submitClientResponse('client_input', { webauthn_encoded_result: result });
    return { step: asked.journeyStepId, type, token, data };
  }, email);
  assert.equal(signed.step, 'transmit_platform_transaction_signing_webauthn');
  assert.equal(signed.type, 'journey_success', JSON.stringify(signed));
  assert.equal(claims(claims(signed.token).approval_receipt).approval_data.payee, 'ACME');

  const refused = await machine.run(async ({ webauthn }) => {
    try {
      await webauthn.authenticate.modal({ username: 'nobody@example.org' });
      return 'nothing';
    } catch (e) {
      return e.errorCode ?? e.code ?? String(e);
    }
  });
  assert.notEqual(refused, 'nothing');
  return `somebody unknown: ${refused}`;
}
