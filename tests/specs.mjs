// Runs specs, two at a time, the ones named first first, and prints what each said
// when it is over. What measures time is run by itself instead, not through this.
//
//   node tests/specs.mjs SPEC…

import { spawn } from 'node:child_process';
import { basename } from 'node:path';

const AT_ONCE = 2;
const waiting = process.argv.slice(2);
const failed = [];

/** Runs one spec to its end. @param {string} file */
function run(file) {
  return new Promise((resolve) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const out of [child.stdout, child.stderr]) out.on('data', (b) => { said += b; });
    child.on('close', (code) => {
      console.log(`-- ${basename(file)}, ${Math.round((performance.now() - begun) / 1000)} s${code === 0 ? '' : `: FAILED (${code})`}\n${said.trimEnd()}`);
      if (code !== 0) failed.push(file);
      resolve();
    });
  });
}

async function worker() {
  while (waiting.length > 0 && failed.length === 0) await run(waiting.shift());
}

await Promise.all(Array.from({ length: AT_ONCE }, worker));
if (failed.length > 0) {
  console.log(`failed: ${failed.join(', ')}`);
  process.exit(1);
}
