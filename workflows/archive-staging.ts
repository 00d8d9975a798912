import { condition, isCancellation } from '@temporalio/workflow';
import { AppError } from '../src/domain/errors.ts';
import { hostActivities, hostActivitiesOnce } from './archive-activities.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { isStandingBy } from './archive-hold.ts';

/** How long a closed log lies with the server alone while transfers last: at first, and at most. */
const FIRST_SECONDS = 30;
const MOST_SECONDS = 300;

/**
 * Does work that may last, and stages meanwhile what the server closes: it purges by its own clock,
 * and a round that waits for a slow store does not look at it. The longer the work lasts, the more
 * seldom, so that a round of days does not fill the history.
 *
 * @throws what the work throws; else what the last try to stage threw
 */
export async function whileStaging<T>(
  entity: ArchiveEntity,
  host: string,
  work: () => Promise<T>,
): Promise<T> {
  let isDone = false;
  const staging = stageUntil(entity, host, () => isDone);
  let result: T;
  try {
    result = await work();
  } finally {
    isDone = true;
    await staging;
  }
  const failure = await staging;
  if (failure !== null) throw failure.error;
  return result;
}

/** Returns how the last try failed; null where it did not. */
async function stageUntil(
  entity: ArchiveEntity,
  host: string,
  isDone: () => boolean,
): Promise<{ readonly error: unknown } | null> {
  let failure: { readonly error: unknown } | null = null;
  for (
    let seconds = FIRST_SECONDS;
    !(await condition(isDone, `${seconds} seconds`));
    seconds = Math.min(2 * seconds, MOST_SECONDS)
  ) {
    try {
      await hostActivities(host).stageClosed(entity.input);
      failure = null;
    } catch (error) {
      if (isCancellation(error)) throw error;
      failure = { error };
    }
  }
  return failure;
}

/**
 * Stages what is closed after a round that failed, at whatever step: the server purges it all the
 * same. Returns the failure as it is to be told: with the reason why nothing is staged, where that is another.
 */
export async function stageAllTheSame(entity: ArchiveEntity, failure: AppError): Promise<AppError> {
  // What was handed to another is that one's to archive; staged here, it would only fill the disk.
  const isFenced = isStandingBy(entity) || failure.code === 'StaleEpoch';
  if (entity.host === null || isFenced) return failure;
  try {
    await hostActivitiesOnce(entity.host).stageClosed(entity.input);
    return failure;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const reason = describeFailure(error);
    if (reason.code === failure.code) return failure;
    return new AppError({
      code: failure.code,
      kind: failure.kind,
      message: `${failure.message} And what the server closes meanwhile is not staged: ${reason.message}`,
      facts: failure.facts,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
  }
}
