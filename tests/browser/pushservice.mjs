// A push service such as browsers have, on this machine: it takes what RFC 8030
// sends, if the sender is who the subscription was made for (RFC 8292), and keeps what
// a browser would make of it (RFC 8291, by http_ece, which is not ours). It speaks
// https with a certificate of its own; the server is told to trust it by SSL_CERT_FILE.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createECDH, createPublicKey, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const ece = require('http_ece');
const jose = await import(require.resolve('jose'));

/** @returns the service: its host, the file of its certificate, what it received and what is wrong with what it refused */
export async function pushService() {
  const dir = mkdtempSync(join(tmpdir(), 'watchword-push-'));
  const [key, certificate] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=push', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate], { stdio: 'ignore' });

  /** @type {Map<string, any>} */
  const subscriptions = new Map();
  const received = [];
  const refused = [];
  const waiting = [];
  const said = [];

  const service = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, async (req, res) => {
    const chunks = [];
    for await (const c of req) chunks.push(c);
    const body = Buffer.concat(chunks);
    const sub = subscriptions.get(req.url);
    const script = said.shift();
    const at = Date.now();
    const answer = (status, why, headers = {}) => {
      if (status >= 300) refused.push({ status, why, at, id: req.url });
      res.writeHead(status, headers).end(why);
    };
    if (script) return answer(script.status, script.why ?? 'as told', script.headers);
    if (!sub || sub.ended) return answer(sub ? 410 : 404, 'no such subscription');
    const why = await wrong(req, body, sub);
    if (why) return answer(body.length > 4096 ? 413 : 400, why);
    const text = ece.decrypt(body, { version: 'aes128gcm', privateKey: sub.ecdh, authSecret: sub.auth.toString('base64url') }).toString();
    const message = { id: req.url, text, at, headers: req.headers, size: body.length };
    received.push(message);
    answer(201, '', { Location: `${origin}/message/${received.length}` });
    waiting.splice(0).forEach((tell) => tell());
  });
  await new Promise((resolve) => service.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${service.address().port}`;
  const origin = `https://${host}`;

  /** What a push service would not take of a message, or ''. */
  async function wrong(req, body, sub) {
    const [, token, k] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(req.headers.authorization ?? '') ?? [];
    if (req.method !== 'POST') return 'the method';
    if (!token) return 'no vapid credentials';
    if (k !== sub.key) return 'another key than the subscription was made for';
    const point = Buffer.from(k, 'base64url');
    const jwk = { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') };
    try {
      const { payload } = await jose.jwtVerify(token, createPublicKey({ key: jwk, format: 'jwk' }), { algorithms: ['ES256'], audience: origin, requiredClaims: ['exp', 'sub'] });
      if (payload.exp > Date.now() / 1000 + 24 * 3600) return 'exp is more than a day away';
      if (!/^(mailto:[^@]+@[^@]+|https:\/\/.+)$/.test(payload.sub)) return `sub is ${payload.sub}`;
    } catch (e) {
      return `the token: ${e.message}`;
    }
    if (!/^\d+$/.test(req.headers.ttl ?? '')) return 'no TTL';
    if (!['very-low', 'low', 'normal', 'high'].includes(req.headers.urgency)) return 'urgency';
    if (!/^[\w-]{1,32}$/.test(req.headers.topic ?? '')) return 'topic';
    if (req.headers['content-encoding'] !== 'aes128gcm') return 'content encoding';
    if (body.length > 4096) return 'too large';
    return '';
  }

  return {
    host, origin, certificate, received, refused,
    /** A subscription for a server's key, as a browser gets one. */
    subscribe(serverKey) {
      const ecdh = createECDH('prime256v1');
      ecdh.generateKeys();
      const id = `/push/${randomBytes(24).toString('base64url')}`;
      const auth = randomBytes(16);
      subscriptions.set(id, { key: serverKey, ecdh, auth, ended: false });
      return { endpoint: origin + id, expirationTime: null, keys: { p256dh: ecdh.getPublicKey('base64url'), auth: auth.toString('base64url') } };
    },
    /** Ends a subscription: what is sent there is answered by 410. */
    end(endpoint) { subscriptions.get(endpoint.slice(origin.length)).ended = true; },
    /** Answers the next message so, whatever it is. */
    answerNext(status, headers) { said.push({ status, headers }); },
    /** The nth message that was received, once there is one. */
    async nth(n, seconds = 15) {
      const since = Date.now();
      while (received.length < n) {
        assert.ok(Date.now() - since < seconds * 1000, `no message came; refused were ${JSON.stringify(refused)}`);
        await Promise.race([new Promise((resolve) => { waiting.push(resolve); }), new Promise((resolve) => { setTimeout(resolve, 500); })]);
      }
      return received[n - 1];
    },
    stop() {
      service.closeAllConnections();
      service.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
