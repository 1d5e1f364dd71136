// A port that nobody listens on.

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Resolves to a free port of this machine, below those that the system gives to
 * connections: one of those could be taken before a server has it.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const free = await new Promise((resolve) => {
      const s = createServer().on('error', () => resolve(false)).listen(port, '127.0.0.1', () => s.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
