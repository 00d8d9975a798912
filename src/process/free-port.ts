import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { AppError } from '../domain/errors.ts';

/** Below Linux's range for outgoing connections (32768 and up), so that nothing else is given one meanwhile. */
const FIRST = 20_000;
const LAST = 32_000;
const ATTEMPTS = 100;

/** A loopback port that nobody listens on, chosen at random. @throws unavailable where none was found */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (await canListen(port)) return port;
  }
  throw new AppError({
    code: 'NoFreePort',
    kind: 'unavailable',
    message: `No free loopback port was found in ${ATTEMPTS} attempts, so no server can be started.`,
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
