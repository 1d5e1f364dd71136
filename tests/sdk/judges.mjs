// Whether our server judges passkeys as an independent verifier does: what
// Chromium's authenticator made, and each single thing wrong with it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../node/', import.meta.url));
const { verifyAuthenticationResponse, verifyRegistrationResponse } = await import(require.resolve('@simplewebauthn/server'));

const decode = (text) => Buffer.from(text, 'base64'); // takes both alphabets
const url = (text) => decode(text).toString('base64url');

/** A result of the SDK as JSON. */
const open = (result) => JSON.parse(decode(result));

/** The credential in it as the verifier reads it (WebAuthn Level 3 5.1.8). */
function credential({ publicKeyCredential: c }) {
  const response = Object.fromEntries(Object.entries(c.response).filter(([, v]) => typeof v === 'string' && v).map(([k, v]) => [k, url(v)]));
  return { id: url(c.rawId ?? c.id), rawId: url(c.rawId ?? c.id), type: c.type, clientExtensionResults: {}, response };
}

const clientData = (c) => JSON.parse(decode(c.response.clientDataJSON));

/** What is wrong with each variant: one thing. */
const tampered = {
  nothing: () => {},
  'the signature': (r) => { const b = decode(r.signature); b[b.length - 1] ^= 1; return { signature: b }; },
  'the origin': (r) => rewritten(r, { origin: 'https://evil.example' }),
  'the challenge': (r) => rewritten(r, { challenge: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }),
  'the ceremony': (r) => rewritten(r, { type: 'webauthn.create' }),
  'the relying party': (r) => { const b = decode(r.authenticatorData); b[0] ^= 1; return { authenticatorData: b }; },
  'nobody was there': (r) => { const b = decode(r.authenticatorData); b[32] &= ~1; return { authenticatorData: b }; },
  'it was not the owner': (r) => { const b = decode(r.authenticatorData); b[32] &= ~4; return { authenticatorData: b }; },
  'half of it': (r) => ({ authenticatorData: decode(r.authenticatorData).subarray(0, 20) }),
};

function rewritten(r, members) {
  return { clientDataJSON: Buffer.from(JSON.stringify({ ...JSON.parse(decode(r.clientDataJSON)), ...members })) };
}

function tamper(result, how) {
  const body = open(result);
  const r = body.publicKeyCredential.response;
  for (const [name, bytes] of Object.entries(how(r) ?? {})) r[name] = bytes.toString(r[name].includes('-') || r[name].includes('_') ? 'base64url' : 'base64');
  return Buffer.from(JSON.stringify(body)).toString('base64');
}

/** Registers a passkey, and has both judge every variant of a sign-in with it. */
export async function judges(machine) {
  const email = `judge-${Date.now()}@example.org`;
  const made = await machine.run(async ({ ido, webauthn }, email) => {
    await ido.startJourney('passwordless_passkey');
    await ido.submitClientResponse('sign_up');
    const asked = await ido.submitClientResponse('client_input', { email });
    const result = await webauthn.register({ username: asked.data.username, options: { displayName: asked.data.display_name } });
    const end = await ido.submitClientResponse('client_input', { webauthn_encoded_result: result });
    return { result, type: end.type };
  }, email);
  assert.equal(made.type, 'journey_success');
  const registered = credential(open(made.result));
  const said = clientData(registered);
  const rpID = new URL(said.origin).hostname;
  const theirs = await verifyRegistrationResponse({ response: registered, expectedChallenge: said.challenge, expectedOrigin: said.origin, expectedRPID: rpID });
  assert.equal(theirs.verified, true, 'the verifier refuses what we registered');

  let judged = 0;
  for (const [name, how] of Object.entries(tampered)) {
    const result = await machine.run(({ webauthn }, username) => webauthn.authenticate.modal({ username }), email);
    const { challenge } = clientData(credential(open(result)));
    const sent = tamper(result, how);
    let verdict = false;
    try {
      verdict = (await verifyAuthenticationResponse({
        response: credential(open(sent)), expectedChallenge: challenge, expectedOrigin: said.origin, expectedRPID: rpID, credential: theirs.registrationInfo.credential, requireUserVerification: true,
      })).verified;
    } catch {
      // it throws where others return false
    }
    const end = await machine.run(async ({ ido }, result) => {
      await ido.startJourney('passwordless_passkey');
      return (await ido.submitClientResponse('passkeys', { webauthn_encoded_result: result })).type;
    }, sent);
    assert.equal(end === 'journey_success', verdict, `${name}: the verifier says ${verdict}, we say ${end}`);
    assert.equal(verdict, name === 'nothing', `${name}: the verifier says ${verdict}`);
    judged++;
    if (!verdict) { // a right one begins the count of failures anew
      const right = await machine.run(async ({ ido, webauthn }, username) => {
        await ido.startJourney('passwordless_passkey');
        return (await ido.submitClientResponse('passkeys', { webauthn_encoded_result: await webauthn.authenticate.modal({ username }) })).type;
      }, email);
      assert.equal(right, 'journey_success');
    }
  }
  return `${judged} results judged alike`;
}
