import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below Linux's range for outgoing connections (32768 and up), so that nothing else is given one meanwhile. */
const FIRST = 20_000;
const LAST = 32_000;

/** A loopback port that nobody listens on; chosen at random, so that test processes beside this one rarely meet. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (await canListen(port)) return port;
  }
  throw new Error('no free port was found in 100 attempts');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
