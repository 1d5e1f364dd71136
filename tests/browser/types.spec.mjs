// The pages' JSDoc types hold: tsc finds nothing to say about ui/.
//
//   node tests/browser/types.spec.mjs

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const tsc = createRequire(new URL('../node/package.json', import.meta.url)).resolve('typescript/lib/tsc.js');
const project = fileURLToPath(new URL('../../ui/jsconfig.json', import.meta.url));
const run = spawnSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });
process.exit(run.status ?? 1);
