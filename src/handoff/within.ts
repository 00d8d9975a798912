import { AppError } from '../domain/errors.ts';

/**
 * Waits for an answer for so long and no longer: behind a partition nothing answers and nothing
 * fails. The work itself goes on until its own timeout.
 * @throws unavailable `NoAnswer`, and what the work throws
 */
export async function within<T>(ms: number, what: string, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(noAnswer(what, ms)), ms);
  });
  const working = work();
  // Where it fails after all, nobody waits for it any more.
  working.catch(() => undefined);
  try {
    return await Promise.race([working, late]);
  } finally {
    clearTimeout(timer);
  }
}

function noAnswer(what: string, ms: number): AppError {
  return new AppError({
    code: 'NoAnswer',
    kind: 'unavailable',
    message: `${what} did not answer within ${ms} ms, so it counts as unreachable.`,
    facts: { what, ms },
  });
}
