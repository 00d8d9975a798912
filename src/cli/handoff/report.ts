import type { HandoffResult } from '../../../workflows/contracts/handoff.ts';
import { assertNever, EXIT_CODES } from '../../domain/errors.ts';
import { detectionWords, isForNow, refusalWords } from '../../domain/routing/handoff-words.ts';
import { formatCount } from '../words.ts';

/** A handoff as lines for people. */
export function describeHandoff(result: HandoffResult): string {
  const { detected, reconciliation, refusals, stores, backupId } = result;
  return [
    result.detail,
    ...detected.map((found) => `  detected: ${detectionWords(found)}`),
    ...(reconciliation === null
      ? []
      : [
          `  in both: ${formatCount(reconciliation.intersectionTransactions, 'transaction')}`,
          `  next expected: ${reconciliation.nextExpected.join(', ') || 'nothing'}`,
        ]),
    ...refusals.map((refusal) => `  refused: ${refusalWords(refusal)}`),
    ...listed('boundary', stores.written),
    ...listed('stood already in', stores.stoodIn),
    ...listed('not in yet, and brought there by itself', stores.later),
    ...(backupId === null ? [] : [`  base backup of the new history: ${backupId}`]),
  ].join('\n');
}

function listed(what: string, stores: readonly string[]): string[] {
  return stores.length === 0 ? [] : [`  ${what}: ${stores.join(', ')}`];
}

/** 0 only where the archive is where it was asked to be, in every store and proven; or would be. */
export function exitOfHandoff({ outcome, validation, stores, baseMissing, refusals }: HandoffResult): number {
  const whole = stores.later.length === 0 && baseMissing === null ? 0 : EXIT_CODES.unavailable;
  switch (outcome) {
    case 'planned':
      return whole;
    case 'stayed':
      return 0;
    case 'refused':
      return isForNow(refusals) ? EXIT_CODES.unavailable : EXIT_CODES.refused;
    case 'waits':
      return EXIT_CODES.unavailable;
    case 'handed-over':
    case 'already-done':
      if (validation === null || validation.verdict === 'validated') return whole;
      return validation.verdict === 'failed' ? EXIT_CODES.corrupt : EXIT_CODES.unavailable;
    default:
      return assertNever(outcome);
  }
}
