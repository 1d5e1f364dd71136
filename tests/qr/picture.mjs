// Pictures of QR codes as a camera makes them: turned, tilted, unsharp, noisy,
// unevenly lit, dirty. The same seed makes the same picture.

import { crc32, deflateSync } from 'node:zlib';

/** Random numbers in [0, 1) from a seed. */
export function random(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * What a camera sees of a code.
 * @param {{n: number, dark: ArrayLike<number>}} code  n × n modules
 * @param {object} how
 * @param {number} how.width
 * @param {number} how.height
 * @param {number} how.module   pixels of a module, before it is tilted
 * @param {number} how.turn     degrees
 * @param {number} how.tilt     degrees out of the picture's plane
 * @param {number} how.towards  degrees: the axis that it is tilted about
 * @param {number} how.blur     pixels: the radius of a box, three times
 * @param {number} how.noise    standard deviation, of 255
 * @param {number} how.light    0 to 1: how much darker one side is
 * @param {[number, number]} how.ink  grey of dark and of light
 * @param {number} how.seed
 */
export function picture(code, { width = 640, height = 480, module = 0, turn = 0, tilt = 0, towards = 0, blur = 0, noise = 0, light = 0, ink = [25, 235], seed = 1 } = {}) {
  const { n, dark } = code;
  const whole = n + 8;
  const unit = module || Math.min(width, height) / whole;
  const back = inverse(projection(unit, whole, width, height, rad(turn), rad(tilt), rad(towards)));
  const rnd = random(seed);
  let grey = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let sum = 0;
      for (const [dx, dy] of [[0.125, 0.375], [0.625, 0.125], [0.375, 0.875], [0.875, 0.625]]) {
        const [px, py] = [x + dx, y + dy];
        const w = back[6] * px + back[7] * py + back[8];
        const u = Math.floor((back[0] * px + back[1] * py + back[2]) / w + n / 2);
        const v = Math.floor((back[3] * px + back[4] * py + back[5]) / w + n / 2);
        const inside = w > 0 && u >= -4 && v >= -4 && u < n + 4 && v < n + 4;
        const black = inside && u >= 0 && v >= 0 && u < n && v < n && dark[v * n + u];
        sum += black ? ink[0] : inside ? ink[1] : ink[1] * 0.7;
      }
      grey[i] = sum / 4;
    }
  }
  for (let k = 0; k < 3 && blur > 0; k++) grey = box(grey, width, height, blur);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const shade = 1 - light * (0.7 * x / width + 0.3 * y / height);
      const value = grey[i] * shade + (noise ? noise * gauss(rnd) : 0);
      data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = value;
      data[4 * i + 3] = 255;
    }
  }
  return { data, width, height };
}

const rad = (degrees) => degrees * Math.PI / 180;
const gauss = (rnd) => Math.sqrt(-2 * Math.log(1 - rnd())) * Math.cos(2 * Math.PI * rnd());

/** From the code's plane (modules from its middle) to pixels: a camera at a distance of 2.2 codes. */
function projection(unit, whole, width, height, turn, tilt, towards) {
  const far = whole * 2.2;
  const column = (x, y) => {
    const [rx, ry] = [x * Math.cos(turn) - y * Math.sin(turn), x * Math.sin(turn) + y * Math.cos(turn)];
    const [ax, ay] = [Math.cos(towards), Math.sin(towards)]; // the axis
    const along = rx * ax + ry * ay;
    const [ox, oy] = [rx - along * ax, ry - along * ay];
    const side = ox * -ay + oy * ax; // distance from the axis
    return [along * ax + ox * Math.cos(tilt), along * ay + oy * Math.cos(tilt), side * Math.sin(tilt)];
  };
  const [a, b] = [column(1, 0), column(0, 1)];
  const f = unit * far;
  const [cx, cy] = [width / 2, height / 2];
  return [f * a[0] + cx * a[2], f * b[0] + cx * b[2], cx * far, f * a[1] + cy * a[2], f * b[1] + cy * b[2], cy * far, a[2], b[2], far];
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  return [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d];
}

/** The mean of a window, in each direction; a radius may be a fraction. */
function box(from, width, height, radius) {
  const pass = (src, w, h, step, line) => {
    const out = new Float32Array(src.length);
    const r = Math.floor(radius);
    const edge = radius - r;
    for (let j = 0; j < h; j++) {
      const at = (i) => src[j * line + Math.max(0, Math.min(w - 1, i)) * step];
      let sum = 0;
      for (let i = -r; i <= r; i++) sum += at(i);
      for (let i = 0; i < w; i++) {
        out[j * line + i * step] = (sum + edge * (at(i - r - 1) + at(i + r + 1))) / (2 * radius + 1);
        sum += at(i + r + 1) - at(i - r);
      }
    }
    return out;
  };
  return pass(pass(from, width, height, 1, width), height, width, width, 1);
}

/** A code with so many of its modules, in stains, turned over: between its finders, which a person would see to be damaged. */
export function stained({ n, dark }, share, seed) {
  const rnd = random(seed);
  const out = Uint8Array.from(dark);
  const clear = (x, y) => x < 9 && y < 9 || x >= n - 9 && y < 9 || x < 9 && y >= n - 9;
  let left = Math.round(n * n * share);
  const touched = new Uint8Array(n * n);
  while (left > 0) {
    const [cx, cy, r] = [rnd() * n, rnd() * n, 1 + rnd() * n / 10];
    for (let y = Math.max(0, Math.floor(cy - r)); y < Math.min(n, cy + r) && left > 0; y++) {
      for (let x = Math.max(0, Math.floor(cx - r)); x < Math.min(n, cx + r) && left > 0; x++) {
        const i = y * n + x;
        if (touched[i] || clear(x, y) || (x - cx) ** 2 + (y - cy) ** 2 > r * r) continue;
        touched[i] = 1;
        left--;
        out[i] = rnd() < 0.5 ? 1 : 0;
      }
    }
  }
  return { n, dark: out };
}

/** The modules of a code that the server drew (internal/qr). */
export function modulesOf(svg) {
  const n = Number(/viewBox="0 0 (\d+)/.exec(svg)[1]) - 8;
  const dark = new Uint8Array(n * n);
  const [, path] = /fill="#000" d="([^"]*)"/.exec(svg);
  for (const [, x, y, w] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) dark.fill(1, (y - 4) * n + (x - 4), (y - 4) * n + (x - 4) + Number(w));
  return { n, dark };
}

/** A picture as a PNG file. */
export function png({ data, width, height }) {
  const raw = Buffer.alloc((width * 4 + 1) * height);
  for (let y = 0; y < height; y++) Buffer.from(data.buffer, y * width * 4, width * 4).copy(raw, y * (width * 4 + 1) + 1);
  const chunk = (kind, body) => {
    const b = Buffer.concat([Buffer.from(kind), body]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(b));
    return Buffer.concat([head, b, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', header), chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))]);
}

/** Pictures of one size as a film that Chromium plays as a camera, one after the other, over and over. */
export function film(pictures, perSecond) {
  const [{ width, height }] = pictures;
  const grey = Buffer.alloc(width * height / 2, 128);
  const frames = pictures.flatMap(({ data }) => [Buffer.from('FRAME\n'), Buffer.from(Array.from({ length: width * height }, (_, i) => data[4 * i])), grey]);
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F${perSecond}:1 Ip A1:1 C420jpeg\n`), ...frames]);
}
