// Starts the real server with fresh data and the example journeys, and is its
// phone: everything a test of the SDK needs besides the SDK.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './port.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** An application whose requests run out as soon as any may and are sent again once. */
const HASTY = `id: hasty
name: Hasty
audience: b2c
clients:
  - {id: hasty-web, name: Hasty web, kind: web, loopback_origins: true}
  - {id: hasty-native, name: Hasty phone, kind: native}
methods:
  push: {life: 30, resends: 1, cooldown: 0}
`;

/** An application for each way to match the browser's request on the phone. */
const mode = (id, number) => `id: ${id}
name: Mode ${id}
audience: b2c
clients:
  - {id: ${id}-web, name: ${id} web, kind: web, loopback_origins: true}
  - {id: ${id}-native, name: ${id} phone, kind: native}
methods:
  push: {number_mode: ${number}}
`;

/** An application that only pages of the listed origins may use. */
const shop = (origins) => `id: shop
name: Shop
audience: b2c
clients:
  - {id: shop-web, name: Shop, kind: web, origins: ${JSON.stringify(origins)}}
`;

/** Clients of the demo application for what relying parties do; keys are a client's own, public. */
const parties = (keys, site, back) => JSON.stringify({
  id: 'demo', name: 'Northwind Coffee', audience: 'b2c', clients: [
    { id: 'party', name: 'Party', kind: 'backend', secret_file: 'party.secret', redirect_uris: ['http://127.0.0.1:*/callback'], post_logout_redirect_uris: ['http://127.0.0.1:*/bye'].map((u) => u.replace(':*', ':9')),
      grants: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:openid:params:grant-type:ciba', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      resources: ['https://api.example/'], authorization_details_types: ['payment'], permissions: ['users:read'] },
    { id: 'signer', name: 'Signer', kind: 'web', redirect_uris: ['http://127.0.0.1:*/callback'], token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.stringify(keys),
      grants: ['authorization_code', 'refresh_token', 'client_credentials'], require_pushed_authorization_requests: true, require_signed_request_object: true, dpop_bound_access_tokens: true },
    { id: 'fapi', name: 'Bank', kind: 'web', profile: 'fapi2', redirect_uris: [back], token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.stringify(keys) },
    { id: 'tv', name: 'Living room TV', kind: 'native', grants: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'] },
    { id: 'shopfront', name: 'Shop front', kind: 'web', cidaas: true, login_uri: `${site}/login`, redirect_uris: ['http://localhost:*/callback'], post_logout_redirect_uris: [`${site}/bye`], origins: [site] },
    { id: 'own-page', name: 'Own page', kind: 'web', loopback_origins: true, redirect_uris: ['http://127.0.0.1:*/callback'], login_uri: 'http://127.0.0.1:9/login', journey: 'sso_page' },
    { id: 'guest', name: 'Guest & Co', kind: 'web', redirect_uris: ['http://127.0.0.1:*/callback'], third_party: true },
  ],
});

/**
 * @param {{bin: string, postgres?: string, origins: string[], keys: object, site: string}} _ origins are those of the client shop-web, keys the key set of the client signer, site where the client shopfront has its pages
 * @returns {Promise<{base: string, facts: any, secret: string, back: string, phone: Function, stop: Function}>} back is where the client fapi returns to
 */
export async function start({ bin, postgres, origins, keys, site }) {
  const dir = mkdtempSync(join(tmpdir(), 'watchword-sdk-'));
  const data = join(dir, 'data');
  const config = join(dir, 'config');
  mkdirSync(config);
  writeFileSync(join(config, 'tenant.yaml'), 'id: default\nname: Development\n');
  mkdirSync(join(config, 'apps'));
  writeFileSync(join(config, 'apps/hasty.yaml'), HASTY);
  for (const [id, number] of [['six', 'type-6'], ['four', 'choose-4'], ['plain', '"off"']]) writeFileSync(join(config, `apps/${id}.yaml`), mode(id, number));
  writeFileSync(join(config, 'apps/shop.yaml'), shop(origins));
  const secret = randomBytes(24).toString('hex');
  writeFileSync(join(config, 'party.secret'), secret);
  const back = `http://127.0.0.1:${await freePort()}/callback`;
  writeFileSync(join(config, 'apps/demo.yaml'), parties(keys, site, back));
  cpSync(join(root, 'examples/journeys'), join(config, 'journeys'), { recursive: true });
  const name = `sdk_${process.pid}_${Date.now()}`;
  if (postgres) sql(postgres, `CREATE DATABASE ${name}`);
  const where = postgres ? ['--database', `${postgres}/${name}?sslmode=disable`] : [];
  execFileSync(bin, ['keys', 'generate', '--out', join(data, 'master.key')]);
  execFileSync(bin, ['apply', config, '--data', data, ...where], { stdio: ['ignore', 'ignore', 'inherit'] });
  const port = await freePort();
  const child = spawn(bin, ['dev', '--json', '--listen', `127.0.0.1:${port}`, '--data', data, '--push-limit', '1000', ...where], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (b) => { said += b; if (said.includes('watchword: ready on')) resolve(); });
    child.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const facts = JSON.parse(said.split('\n')[0]);
  /** One phone of the command line; the state file is its identity, heard is told what it says meanwhile. */
  const phone = (name, heard = () => {}) => async (...args) => {
    const state = join(dir, `${name}.json`);
    try {
      const running = run(bin, ['phone', ...args, '--state', state, '--json']);
      running.child.stderr.on('data', (b) => heard(String(b)));
      const { stdout } = await running;
      return { ok: true, out: stdout ? JSON.parse(stdout) : null };
    } catch (e) {
      return { ok: false, said: String(e.stderr).trim() };
    }
  };
  const stop = async () => {
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const code = await ended;
    if (postgres) sql(postgres, `DROP DATABASE ${name}`);
    rmSync(dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the server ended with ${code} when it was asked to stop`);
  };
  return { base: facts.base, facts, secret, back, phone, stop };
}

const sql = (url, text) => execFileSync('psql', [`${url}/postgres`, '-qc', text]);
