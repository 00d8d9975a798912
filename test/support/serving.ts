import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../../src/process/pid.ts';
import type { RunningProcess } from '../../src/process/start.ts';

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 80;

/**
 * Waits until a server that was just started serves: until `probe` resolves. A server that ends or does not
 * come to it is killed, and the last reason and the log are named.
 */
export async function untilServing(
  what: string,
  server: { readonly process: RunningProcess; readonly logFile: string },
  probe: () => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  let last: unknown;
  while ((await isAlive(server.process.pid)) && Date.now() < deadline) {
    try {
      return await probe();
    } catch (error) {
      last = error; // Not yet; told if it never is.
      await sleep(POLL_MS);
    }
  }
  const end = Date.now() < deadline ? 'ended' : 'was not ready in time';
  server.process.kill('SIGKILL');
  throw new Error(`${what} ${end}; see ${server.logFile}`, { cause: last });
}
