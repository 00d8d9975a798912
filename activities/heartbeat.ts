import { Context } from '@temporalio/activity';
import { toFailure } from './failures.ts';

/** How often an activity says that it lives; well inside the heartbeat timeouts of the workflows. */
const HEARTBEAT_MS = 2_000;

/** What a running activity may use of its surroundings. */
export interface Beat {
  /** Aborted on cancel and on worker shutdown; every stream and process of the work must obey it. */
  readonly signal: AbortSignal;
  /** A small cursor shown as the heartbeat's details, such as bytes done. */
  report(progress: Progress): void;
}

export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Runs an activity's work while heartbeating, so that a lost worker is noticed and a cancel arrives.
 *
 * @throws ApplicationFailure made from an AppError, retryable where its kind is `unavailable`
 */
export async function withHeartbeat<T>(work: (beat: Beat) => Promise<T>): Promise<T> {
  const context = Context.current();
  let progress: Progress | undefined;
  const timer = setInterval(() => context.heartbeat(progress), HEARTBEAT_MS);
  try {
    return await work({
      signal: context.cancellationSignal,
      report: (now) => {
        progress = now;
      },
    });
  } catch (error) {
    // A stream cut by the cancel throws errors of its own; the cancel is the reason.
    if (context.cancellationSignal.aborted) throw context.cancellationSignal.reason;
    throw toFailure(error);
  } finally {
    clearInterval(timer);
  }
}
