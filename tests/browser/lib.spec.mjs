// What ui/lib computes, held against Node's own cryptography.
//
//   node tests/browser/lib.spec.mjs

import assert from 'node:assert/strict';
import { createPublicKey, createSign, generateKeyPairSync, verify as check } from 'node:crypto';

import { base64, fromBase64url, hex, nonce } from '../../ui/lib/bytes.js';
import { decode, verify } from '../../ui/lib/jwt.js';
import { der } from '../../ui/lib/keys.js';

// DER: every shape of r and s, the short and the long.
const half = (...bytes) => [...Array(32 - bytes.length).fill(0), ...bytes];
const int = (...bytes) => [0x02, bytes.length, ...bytes];
for (const [r, s, body] of [
  [half(1), half(2), [...int(1), ...int(2)]],
  [half(0x80), half(0x7f), [...int(0, 0x80), ...int(0x7f)]],
  [half(0), half(1, 0), [...int(0), ...int(1, 0)]],
  [Array(32).fill(0xff), Array(32).fill(0x7f), [...int(0, ...Array(32).fill(0xff)), ...int(...Array(32).fill(0x7f))]],
]) {
  assert.deepEqual([...der(new Uint8Array([...r, ...s]))], [0x30, body.length, ...body]);
}

// 600 of the browser's signatures: one in 128 has a half that is short.
const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
const spki = Buffer.from(await crypto.subtle.exportKey('spki', pair.publicKey));
const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
for (let i = 0; i < 600; i++) {
  const text = Buffer.from(`challenge ${i}`);
  const raw = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, text));
  assert.ok(check('sha256', text, key, der(raw)), `signature ${i}`);
}

// Tokens: the right key says yes, anything else no.
const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const part = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
const signed = (header) => {
  const head = `${part(header)}.${part({ sub: 'usr_ä' })}`;
  return `${head}.${createSign('sha256').update(head).sign({ key: signer.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
const token = signed({ alg: 'ES256', kid: 'k' });
const keys = [{ ...signer.publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'ES256' }];
const stranger = [{ ...createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).export({ format: 'jwk' }), kid: 'k' }];
assert.equal(decode(token).claims.sub, 'usr_ä');
assert.equal(await verify(token, { keys }), true);
assert.equal(await verify(token, { keys: stranger }), false);
assert.equal(await verify(token, { keys: [{ ...keys[0], kid: 'other' }] }), false);
assert.equal(await verify(signed({ alg: 'none', kid: 'k' }), { keys }), false);
assert.equal(await verify(token.replace(/\.[^.]+\./, `.${part({ sub: 'usr_eve' })}.`), { keys }), false);

assert.equal(base64(new Uint8Array([251, 255, 0])), '+/8A');
assert.equal(hex(new Uint8Array([0, 10, 255])), '000aff');
assert.deepEqual([...fromBase64url('-_8A')], [251, 255, 0]);
assert.match(nonce(), /^[0-9a-f]{32}$/);
console.log('ok   lib');
