import { ActivityFailure, rootCause, TimeoutFailure } from '@temporalio/workflow';
import { fromFailure } from '../activities/failures.ts';
import { AppError } from '../src/domain/errors.ts';
import { REFUSED_BINLOG } from '../src/domain/refused-binlog.ts';

/** The refusal of this very binlog inside a failure; undefined for a failure of the surroundings. */
export function refusalOf(error: unknown, binlog: string): AppError | undefined {
  const found = fromFailure(error);
  return found?.facts[REFUSED_BINLOG] === binlog ? found : undefined;
}

/**
 * What a failure says, as an AppError; Temporal's own failures of a step are put into words, for one
 * that passed through would end the workflow. @throws an error that is no step's
 */
export function describeFailure(error: unknown): AppError {
  const found = fromFailure(error);
  if (found !== undefined) return found;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof TimeoutFailure) return timedOut(at, error);
  }
  if (error instanceof AppError) return error;
  if (error instanceof ActivityFailure) return stepFailed(error);
  throw error;
}

/** Temporal itself ended a step: its result was too large, or someone terminated it. */
function stepFailed(error: ActivityFailure): AppError {
  return new AppError({
    code: 'StepFailed',
    kind: 'bug',
    message: `The step ${error.activityType} was ended by Temporal, not by its own work: ${rootCause(error) ?? error.message}.`,
    facts: { activity: error.activityType },
    cause: error,
  });
}

function timedOut(timeout: TimeoutFailure, cause: unknown): AppError {
  const nobody = timeout.timeoutType === 'SCHEDULE_TO_START';
  return new AppError({
    code: nobody ? 'WorkerGone' : 'WorkerLost',
    kind: 'unavailable',
    message: nobody
      ? 'No worker took the next step in time, so archiving stands still.'
      : 'A step did not end in time, however often it was tried; its worker may have died each time.',
    hint: 'Start a worker with the roles that are missing: pitrail worker --roles control,store,host:NAME',
    facts: { timeout: timeout.timeoutType ?? null },
    cause,
  });
}
