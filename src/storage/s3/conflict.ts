import { s3Failure } from './errors.ts';
import { backOff } from './wait.ts';

const ATTEMPTS = 6;

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
      await backOff(attempt, signal);
    }
  }
}
