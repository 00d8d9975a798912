import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, isRetryable } from '../domain/errors.ts';

/** How long something that is unavailable is tried again. */
export interface RetryPolicy {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Gives up when attempts have failed for this long; one that lasted as long by itself had got on, and counts as the beginning. */
  readonly patienceMs: number;
}

/** A retry that is about to be waited for. */
export interface RetryNotice {
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: AppError;
}

/** How long to wait before an attempt (from 1): doubling, with full jitter below the upper half. Pure. */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const whole = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  return Math.round(whole / 2 + (whole / 2) * random);
}

/**
 * Runs something until it succeeds, trying again while it is unavailable.
 * @throws what `act` throws where a retry cannot help or the patience is over; the signal's reason
 */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal,
  onRetry: (notice: RetryNotice) => void,
  act: () => Promise<T>,
): Promise<T> {
  let startedMs = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    const begunMs = performance.now();
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError) || !isRetryable(error.kind)) throw error;
      if (performance.now() - begunMs >= policy.patienceMs) {
        startedMs = performance.now();
        attempt = 1;
      }
      const delayMs = retryDelayMs(policy, attempt, Math.random());
      if (performance.now() - startedMs + delayMs > policy.patienceMs) throw error;
      onRetry({ attempt, delayMs, error });
      await sleep(delayMs, undefined, { signal });
    }
  }
}
