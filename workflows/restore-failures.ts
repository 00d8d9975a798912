import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { fromFailure } from '../activities/failures.ts';
import type { GivenUp } from '../src/restoring/abandon-step.ts';

const CANCELLED: GivenUp = { kind: 'cancelled', message: 'The restore was cancelled.' };

/** Why a restore is given up, for its audit record. */
export function givenUpBecause(error: unknown): GivenUp {
  if (isCancellation(error)) return CANCELLED;
  const found = fromFailure(error);
  if (found !== undefined) return { kind: found.kind, message: found.message };
  return { kind: 'bug', message: error instanceof Error ? error.message : String(error) };
}

/** The failure of a restore whose folder could not be removed either. */
export function withLeftovers(error: unknown, left: unknown, targetDir: string): ApplicationFailure {
  const found = fromFailure(error);
  const why = fromFailure(left)?.message ?? (left instanceof Error ? left.message : String(left));
  const said = found?.message ?? (error instanceof Error ? error.message : String(error));
  return ApplicationFailure.create({
    message: `${said} What it left in ${targetDir} could not be removed: ${why}`,
    type: found?.code ?? 'RestoreFailed',
    nonRetryable: true,
    details: [
      {
        kind: found?.kind ?? 'bug',
        hint: `Remove ${targetDir} and ${targetDir}.pitrail by hand.`,
        facts: { targetDir },
      },
    ],
  });
}
