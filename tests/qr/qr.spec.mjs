// Reads QR codes of independent encoders with the phone app's decoder, as they are
// and as cameras show them. Prints how many were read; exit status 0 means that the
// bars held and that nothing was read wrongly.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { text } from '../../ui/authenticator/qr/code.js';
import { read } from '../../ui/authenticator/qr/find.js';
import { picture, random, stained } from './picture.mjs';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const qrcode = require('qrcode-generator');
const lean = await import(require.resolve('lean-qr'));

const LEVELS = ['L', 'M', 'Q', 'H'];
const LINK = 'https://id.example.org/authenticator/#client=demo-native&invite=K7TQ2ZLH4XW6VJ3NBM5RPCYE8A';
const OTP = 'otpauth://totp/Harbour%20Bank:ada@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Harbour%20Bank&algorithm=SHA1&digits=6&period=30';

/** A code by one encoder: kazuhikoarase/qrcode-generator. Version 0 is the smallest that fits. */
function made(said, version = 0, level = 'M', mode = 'Byte') {
  const q = qrcode(version, level);
  q.addData(said, mode);
  q.make();
  const n = q.getModuleCount();
  const dark = new Uint8Array(n * n);
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) dark[y * n + x] = q.isDark(y, x) ? 1 : 0;
  return { n, dark };
}

/** A code by another: davidje13/lean-qr. */
function generated(data, options) {
  const q = lean.generate(data, options);
  const n = q.size;
  const dark = new Uint8Array(n * n);
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) dark[y * n + x] = q.get(x, y) ? 1 : 0;
  return { n, dark };
}

const rnd = random(7);
const among = (set, n) => Array.from({ length: n }, () => set[Math.floor(rnd() * set.length)]).join('');
const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

// Bytes that a code holds, by level and version (ISO/IEC 18004, table 7).
const HOLDS = {
  L: [17, 32, 53, 78, 106, 134, 154, 192, 230, 271, 321, 367, 425, 458, 520, 586, 644, 718, 792, 858, 929, 1003, 1091, 1171, 1273, 1367, 1465, 1528, 1628, 1732, 1840, 1952, 2068, 2188, 2303, 2431, 2563, 2699, 2809, 2953],
  M: [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666, 711, 779, 857, 911, 997, 1059, 1125, 1190, 1264, 1370, 1452, 1538, 1628, 1722, 1809, 1911, 1989, 2099, 2213, 2331],
  Q: [11, 20, 32, 46, 60, 74, 86, 108, 130, 151, 177, 203, 241, 258, 292, 322, 364, 394, 442, 482, 509, 565, 611, 661, 715, 751, 805, 868, 908, 982, 1030, 1112, 1168, 1228, 1283, 1351, 1423, 1499, 1579, 1663],
  H: [7, 14, 24, 34, 44, 58, 64, 84, 98, 119, 137, 155, 177, 194, 220, 250, 280, 310, 338, 382, 403, 439, 461, 511, 535, 593, 625, 658, 698, 742, 790, 842, 898, 958, 983, 1051, 1093, 1139, 1219, 1273],
};

const times = [];

/** What reading took of this process's time, in ms: others may use the machine, too. */
function timed(shot) {
  const since = process.cpuUsage();
  const got = read(shot);
  const { user, system } = process.cpuUsage(since);
  return [got, (user + system) / 1000];
}

/** How many of some pictures are read. Reading one wrongly is never right. */
function share(name, bar, cases) {
  let good = 0;
  for (const [code, said, how] of cases) {
    const shot = picture(code, how);
    const [got, ms] = timed(shot);
    times.push([ms, shot.width * shot.height]);
    assert.ok(got === null || got === said, `${name}: read wrongly: ${JSON.stringify(got)}`);
    if (got === said) good++;
  }
  const rate = good / cases.length;
  console.log(`${rate >= bar ? 'ok  ' : 'FAIL'} qr: ${name}: ${good} of ${cases.length} (${(100 * rate).toFixed(1)} %, bar ${100 * bar} %)`);
  if (rate < bar) process.exitCode = 1;
}

// The modules themselves: every version and level, every mode, full to the brim.

let codes = 0;
const flat = []; // codes by version, for the pictures below
for (let version = 1; version <= 40; version++) {
  for (const level of LEVELS) {
    const said = among(ASCII, HOLDS[level][version - 1]);
    const code = made(said, version, level);
    assert.equal(code.n, 17 + 4 * version);
    assert.equal(text(code.dark, code.n), said, `version ${version}-${level}`);
    flat.push([code, said]);
    codes++;
  }
  for (const [mode, set] of [['Numeric', '0123456789'], ['Alphanumeric', ALPHANUMERIC]]) {
    const level = LEVELS[version % 4];
    const said = among(set, Math.floor(HOLDS[level][version - 1] * (mode === 'Numeric' ? 2.39 : 1.44)));
    const code = made(said, version, level, mode);
    assert.equal(text(code.dark, code.n), said, `version ${version}, ${mode}`);
    codes++;
  }
}
console.log(`ok   qr: ${codes} codes, all versions and levels, full`);

{
  const { mode, correction } = lean;
  for (let mask = 0; mask < 8; mask++) {
    const code = generated(LINK, { mask });
    assert.equal(text(code.dark, code.n), LINK, `mask ${mask}`);
  }
  const mixed = mode.multi(mode.numeric('0123456789012'), mode.alphaNumeric('ABC $%*+-./:'), mode.utf8('Grüße, 東京, 😀'), mode.numeric('7'));
  for (const [data, said] of [
    [mixed, '0123456789012ABC $%*+-./:Grüße, 東京, 😀7'],
    [mode.iso8859_1('Café à Münster'), 'Café à Münster'],
    [mode.multi(mode.eci(20), mode.bytes(new Uint8Array([0x93, 0x8c, 0x8b, 0x9e]))), '東京'],
    [mode.multi(mode.eci(7), mode.bytes(new Uint8Array([0xbc, 0xd8, 0xe0]))), 'Мир'],
    [mode.bytes(new Uint8Array([0x4d, 0xfc, 0x6e, 0x73, 0x74, 0x65, 0x72])), 'Münster'],
    [mode.multi(mode.eci(2), mode.bytes(new Uint8Array([65]))), null], // a character set that is not known
    ['', null],
  ]) {
    const code = generated(data, { minCorrectionLevel: correction.M });
    assert.equal(text(code.dark, code.n), said);
  }
  const kanji = generated(mode.shift_jis('点茗漢字、ひらがな'), {});
  assert.equal(text(kanji.dark, kanji.n), '点茗漢字、ひらがな');
  console.log('ok   qr: eight masks, mixed segments, character sets, kanji');
}

// Damage: what the level corrects is corrected, and what it cannot is never read wrongly.

{
  let [read, lost] = [0, 0];
  for (const [{ n, dark }, said] of flat) {
    for (const flips of [1, 3, 1 + Math.floor(rnd() * n * n / 20), Math.floor(n * n / 3)]) {
      const hurt = Uint8Array.from(dark);
      for (let i = 0; i < flips; i++) hurt[Math.floor(rnd() * n * n)] ^= 1;
      const got = text(hurt, n);
      assert.ok(got === said || got === null, `read wrongly with ${flips} modules turned over`);
      if (flips === 1) assert.equal(got, said, 'one module');
      if (got) read++;
      else lost++;
    }
  }
  for (let i = 0; i < 3000; i++) {
    const n = 17 + 4 * (1 + Math.floor(rnd() * (i % 10 ? 6 : 40)));
    const got = text(Uint8Array.from({ length: n * n }, () => (rnd() < 0.5 ? 1 : 0)), n);
    assert.equal(got, null, 'noise was read');
  }
  console.log(`ok   qr: damaged modules: ${read} read, ${lost} refused, none wrongly; 3000 grids of noise are no text`);
}

// Pictures.

const usual = [[made(LINK), LINK], [made(OTP), OTP], [made('https://example.org/'), 'https://example.org/'], [made(LINK, 0, 'H'), LINK]];
const many = (n, how) => Array.from({ length: n }, (_, i) => [...usual[i % usual.length], how(i)]);

share('as they are, versions 1 to 25, 640 × 480', 1, flat.filter(([c]) => c.n <= 117).map(([c, s]) => [c, s, {}]));
share('as they are, versions 26 to 40, 1280 × 960', 1, flat.filter(([c]) => c.n > 117).map(([c, s]) => [c, s, { width: 1280, height: 960 }]));
share('turned, every 6 degrees', 1, many(60, (i) => ({ turn: 6 * i, module: 5.2, noise: 6, blur: 0.5, seed: i })));
share('tilted by up to 40 degrees, turned', 0.97, many(60, (i) => ({ turn: 37 * i, tilt: 40 * rnd(), towards: 360 * rnd(), module: 5, noise: 6, blur: 0.5, seed: i })));
share('small: 3 pixels a module', 0.95, many(40, (i) => ({ turn: 360 * rnd(), module: 3, noise: 5, blur: 0.3, seed: i })));
share('unsharp', 0.95, many(40, (i) => ({ turn: 360 * rnd(), module: 5.5, blur: 1 + 0.5 * rnd(), noise: 5, seed: i })));
share('noisy: a deviation of 30', 0.95, many(40, (i) => ({ turn: 360 * rnd(), module: 5.5, noise: 30, blur: 0.3, seed: i })));
share('unevenly lit, pale', 0.97, many(40, (i) => ({ turn: 360 * rnd(), module: 5.2, light: 0.75, noise: 4, ink: [60 + 30 * rnd(), 200], seed: i })));
share('10 % of the modules stained, level Q, of those that hold at all', 0.97, Array.from({ length: 40 }, (_, i) => [stained(made(LINK, 0, 'Q'), 0.1, i), LINK, { turn: 360 * rnd(), tilt: 20 * rnd(), towards: 360 * rnd(), module: 4.6, noise: 6, blur: 0.4, seed: i }]).filter(([c]) => text(c.dark, c.n)));
share('all of it: turned, tilted, unsharp, noisy, unevenly lit, 3 % stained', 0.95, Array.from({ length: 60 }, (_, i) => [stained(made(LINK), 0.03, i), LINK,
  { turn: 360 * rnd(), tilt: 30 * rnd(), towards: 360 * rnd(), module: 5 + rnd(), noise: 12, blur: 0.5 + 0.4 * rnd(), light: 0.5 * rnd(), ink: [20 + 40 * rnd(), 200 + 50 * rnd()], seed: i }]));
share('in a mirror', 1, many(20, (i) => ({ turn: 18 * i, module: 5.2, noise: 6, seed: i })).map(([{ n, dark }, s, how]) => [{ n, dark: dark.map((_, i) => dark[(i % n) * n + Math.floor(i / n)]) }, s, how]));

const frames = times.filter(([, size]) => size === 640 * 480).map(([ms]) => ms).sort((a, b) => a - b);
const at = (p) => frames[Math.floor(p * (frames.length - 1))].toFixed(1);

// What is no code: nothing is read, nothing is thrown, and it is over as soon.

const junk = [];
for (let i = 0; i < 60; i++) {
  const r = random(1000 + i);
  const width = [640, 640, 641, 319, 90, 7, 1][i % 7];
  const height = [480, 480, 479, 240, 61, 9, 1][i % 7];
  const data = new Uint8ClampedArray(width * height * 4);
  const block = 1 + (i % 9);
  const bits = Array.from({ length: 40_000 }, () => (r() < 0.5 ? 20 : 230));
  for (let y = 0, j = 0; y < height; y++) for (let x = 0; x < width; x++, j += 4) data[j] = data[j + 1] = data[j + 2] = i % 3 === 0 ? 255 * r() : i % 3 === 1 ? bits[(Math.floor(y / block) * 199 + Math.floor(x / block)) % bits.length] : (128 + 100 * Math.sin(x / (3 + i)) * Math.cos(y / 7));
  junk.push({ data, width, height });
}
// Finders without a code: the hardest to give up.
for (let i = 0; i < 20; i++) {
  const { n, dark } = made(LINK);
  const r = random(i);
  junk.push(picture({ n, dark: dark.map((d, j) => { const [x, y] = [j % n, Math.floor(j / n)]; return x < 8 && y < 8 || x > n - 9 && y < 8 || x < 8 && y > n - 9 ? d : r() < 0.5 ? 1 : 0; }) }, { turn: 18 * i, module: 5, noise: 5, seed: i }));
}
const slow = [];
for (const shot of junk) {
  const [got, ms] = timed(shot);
  assert.equal(got, null, 'what is no code was read');
  slow.push(ms);
}
slow.sort((a, b) => a - b);
console.log(`ok   qr: ${junk.length} pictures of no code: nothing read; the slowest took ${slow.at(-1).toFixed(1)} ms`);
console.log(`ok   qr: a frame of 640 × 480: ${at(0.5)} ms in the middle, ${at(0.95)} at the 95th of 100, ${at(1)} at most, of ${frames.length}`);
if (frames[Math.floor(0.95 * frames.length)] > 50) process.exitCode = 1;
