import { setTimeout as sleep } from 'node:timers/promises';
import { s3Failure } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 100;

/**
 * Sends a conditional request and answers whether it created the object. 412: one stands there.
 * 409: another writer is between the two, so it is asked again after a while, with jitter.
 *
 * Source: Amazon S3 User Guide, "How to prevent object overwrites with conditional writes".
 */
export async function createdOrExists(
  send: () => Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<'created' | 'exists'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await send();
      return 'created';
    } catch (error) {
      const { code, status } = s3Failure(error);
      if (status === 412 || code === 'PreconditionFailed') return 'exists';
      const raced = status === 409 || code === 'ConditionalRequestConflict';
      if (!raced || attempt === ATTEMPTS) throw error;
      const wait = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
      await sleep(wait, undefined, signal === undefined ? {} : { signal });
    }
  }
}
