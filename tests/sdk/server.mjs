// Starts the real server with fresh data and the example journeys, and is its
// phone: everything a test of the SDK needs besides the SDK.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** An application whose requests run out as soon as any may. */
const HASTY = `id: hasty
name: Hasty
audience: b2c
clients:
  - {id: hasty-web, name: Hasty web, kind: web, loopback_origins: true}
  - {id: hasty-native, name: Hasty phone, kind: native}
methods:
  push: {life: 30}
`;

export function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => resolve(port)); });
  });
}

/** @returns {Promise<{base: string, facts: any, phone: Function, stop: Function}>} */
export async function start({ bin, postgres, push = {} }) {
  const dir = mkdtempSync(join(tmpdir(), 'watchword-sdk-'));
  const data = join(dir, 'data');
  const config = join(dir, 'config');
  mkdirSync(config);
  writeFileSync(join(config, 'tenant.yaml'), 'id: default\nname: Development\n');
  mkdirSync(join(config, 'apps'));
  writeFileSync(join(config, 'apps/hasty.yaml'), HASTY);
  cpSync(join(root, 'examples/journeys'), join(config, 'journeys'), { recursive: true });
  const where = postgres ? ['--database', database(postgres)] : [];
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
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
    child.once('exit', () => {});
    await Promise.race([ended, new Promise((r) => setTimeout(r, 12_000))]);
    rmSync(dir, { recursive: true, force: true });
  };
  return { base: facts.base, facts, phone, stop };
}

/** Makes an empty database on the server at url. */
function database(url) {
  const name = `sdk_${Date.now()}_${Math.floor(Math.random() * 1e6)}`;
  execFileSync('psql', [`${url}/postgres`, '-qc', `CREATE DATABASE ${name}`]);
  return `${url}/${name}?sslmode=disable`;
}
