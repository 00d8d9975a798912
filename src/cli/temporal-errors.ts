import { isGrpcServiceError } from '@temporalio/client';
import { fromFailure } from '../../activities/failures.ts';
import { AppError } from '../domain/errors.ts';

/** google.rpc.Code: what a connection that was lost, or an answer that did not come, gives. */
const LOST = new Set([1, 4, 14]);

/** The AppError inside of what Temporal's client threw; the error itself where there is none. */
export function fromTemporal(error: unknown): unknown {
  const failure = fromFailure(error);
  if (failure !== undefined) return failure;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at) && LOST.has(at.code)) return lost(at);
  }
  return error;
}

function lost(cause: Error): AppError {
  return new AppError({
    code: 'TemporalLost',
    kind: 'unavailable',
    message:
      'Temporal did not answer any more, so it is unknown here how far the work is; the workflow goes on by itself.',
    hint: 'Ask again: pitrail status. Where no worker runs, start one: pitrail worker',
    cause,
  });
}
