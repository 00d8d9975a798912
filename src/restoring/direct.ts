import { createHash } from 'node:crypto';
import { AppError } from '../domain/errors.ts';
import { abandonStep } from './abandon-step.ts';
import type { RestoreContext } from './context.ts';
import { fetchStep } from './fetch-step.ts';
import { handOverStep } from './hand-over-step.ts';
import type { RestoreJob, RestoreStep } from './job.ts';
import { outcomeOf, type RestoreOutcome } from './outcome.ts';
import { type PlannedRestore, planStep } from './plan-step.ts';
import { replayStep } from './replay-step.ts';
import { withRestoreLock } from './restore-lock.ts';
import { type RetryNotice, type RetryPolicy, retrying } from './retry.ts';
import { verifyStep } from './verify-step.ts';

/** What whoever watches a direct restore gets to know. */
export interface DirectWatcher {
  readonly onStep: (step: RestoreStep) => void;
  readonly onPlanned: (planned: PlannedRestore) => void;
  readonly onRetry: (notice: RetryNotice) => void;
}

/** Nothing is begun before the plan, so there is little to be patient for. */
const PLAN_RETRY: RetryPolicy = { firstDelayMs: 500, maxDelayMs: 4_000, patienceMs: 15_000 };
const RETRY: RetryPolicy = { firstDelayMs: 500, maxDelayMs: 30_000, patienceMs: 20 * 60_000 };

/** The same for the same request, so that a process that was killed is found by being run again. */
export function directRequestId(job: Omit<RestoreJob, 'requestId' | 'afterwards'>): string {
  const { cluster, store, target, targetDir, timeline, skipGtids } = job;
  const text = JSON.stringify([cluster, store, target, targetDir, timeline, skipGtids]);
  return `direct-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
}

/**
 * Does a whole restore in this process, without Temporal. What is unavailable is tried again for a while;
 * a process that ended in the middle, by whatever cause, goes on where it was when it is run again with
 * the same job. Where it cannot succeed, nothing of it is left behind.
 * @throws what the steps throw
 */
export function restoreDirectly(
  context: RestoreContext,
  job: RestoreJob,
  watcher: DirectWatcher,
): Promise<RestoreOutcome> {
  return withRestoreLock(`${job.targetDir}\0direct`, async () => {
    try {
      return await allSteps(context, job, watcher);
    } catch (error) {
      // Interrupted, or away for long: the same command goes on from here.
      if (context.signal.aborted || !(error instanceof AppError) || error.kind === 'unavailable') throw error;
      await abandonStep(context, job, { kind: error.kind, message: error.message });
      throw error;
    }
  });
}

async function allSteps(
  context: RestoreContext,
  job: RestoreJob,
  { onStep, onPlanned, onRetry }: DirectWatcher,
): Promise<RestoreOutcome> {
  const run = <T>(
    step: RestoreStep,
    act: (context: RestoreContext, job: RestoreJob) => Promise<T>,
  ): Promise<T> => {
    context.signal.throwIfAborted();
    onStep(step);
    const policy = step === 'plan' ? PLAN_RETRY : RETRY;
    return retrying(policy, context.signal, onRetry, () => act(context, job));
  };
  const planned = await run('plan', planStep);
  onPlanned(planned);
  const fetched = await run('fetch', fetchStep);
  const replayed = await run('replay', replayStep);
  const verified = await run('verify', verifyStep);
  const handed = await run('hand-over', handOverStep);
  return outcomeOf(job, { planned, fetched, replayed, verified, handed });
}
