import { backOff } from '../wait.ts';
import { s3Failure } from './errors.ts';
import { readInfo } from './inquire.ts';
import type { Upload } from './task.ts';

const ATTEMPTS = 6;

/**
 * Sends a conditional request and answers whether it created the object. 412: one stands there.
 * 409: another writer is between the two, so it is asked again after a while, with jitter.
 *
 * Where no answer came, the object itself is asked for: the request may have made it, or a server
 * has answered 412 and closed the connection while the body was still on its way.
 *
 * Source: Amazon S3 User Guide, "How to prevent object overwrites with conditional writes".
 */
export async function createdOrExists(
  task: Upload,
  send: () => Promise<unknown>,
): Promise<'created' | 'exists'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await send();
      return 'created';
    } catch (error) {
      const { code, status } = s3Failure(error);
      if (status === 412 || code === 'PreconditionFailed') return 'exists';
      // An upload that is gone: the request before, whose answer was lost, has made the object of it.
      const unanswered = status === null || code === 'NoSuchUpload';
      if (unanswered && (await stands(task))) return 'exists';
      const raced = status === 409 || code === 'ConditionalRequestConflict';
      if (!raced || attempt === ATTEMPTS) throw error;
      await backOff(attempt, task.options.signal);
    }
  }
}

/** Whether an object is there; false also where that cannot be found out: the first error counts then. */
async function stands({ bucket, objectKey, options }: Upload): Promise<boolean> {
  try {
    return (await readInfo(bucket, objectKey, options.signal)) !== undefined;
  } catch {
    return false;
  }
}
