import { ApplicationFailure } from '@temporalio/common';
import { AppError, type ErrorFacts, type ErrorKind, EXIT_CODES, isRetryable } from '../src/domain/errors.ts';

/** What an AppError becomes in a failure's details; the CLI makes the error whole again from it. */
export interface FailureDetails {
  readonly kind: ErrorKind;
  readonly hint: string | null;
  readonly facts: ErrorFacts;
}

/**
 * Converts what an activity threw for Temporal: the type is the error's code, and only
 * `unavailable` is retried. Cancellations and failures of Temporal itself pass as they are; an
 * error of no known kind is a bug and is not retried. Causes stay in the worker's log: they were
 * written by libraries, and a history is kept and shown.
 */
export function toFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return bug(String(error));
  if (error instanceof ApplicationFailure || error.name === 'CancelledFailure' || error.name === 'AbortError')
    return error;
  if (!(error instanceof AppError)) return bug(`${error.name}: ${error.message}`);
  return ApplicationFailure.create({
    message: error.message,
    type: error.code,
    nonRetryable: !isRetryable(error.kind),
    details: [detailsOf(error)],
  });
}

/**
 * Makes the AppError whole again from the failure that a client or a workflow caught; looks through
 * the layers that Temporal puts around it. Undefined where there is none inside.
 */
export function fromFailure(error: unknown): AppError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof AppError) return at;
    if (!(at instanceof ApplicationFailure)) continue;
    const details = at.details?.[0];
    return new AppError({
      code: at.type ?? 'Failure',
      message: at.message,
      cause: error,
      ...(isDetails(details)
        ? {
            kind: details.kind,
            facts: details.facts,
            ...(details.hint === null ? {} : { hint: details.hint }),
          }
        : { kind: at.type === 'BadInput' ? 'usage' : 'bug' }),
    });
  }
  return undefined;
}

function detailsOf(error: AppError): FailureDetails {
  return { kind: error.kind, hint: error.hint ?? null, facts: error.facts };
}

function bug(message: string): ApplicationFailure {
  const details: FailureDetails = { kind: 'bug', hint: null, facts: {} };
  return ApplicationFailure.create({ message, type: 'Unexpected', nonRetryable: true, details: [details] });
}

function isDetails(value: unknown): value is FailureDetails {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    String(value.kind) in EXIT_CODES &&
    'facts' in value
  );
}
