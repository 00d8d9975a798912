import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;

/** Waits before the next try (from 1): twice as long each time, with jitter. @throws the signal's reason */
export async function backOff(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1)) * (0.5 + Math.random());
  try {
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
}
