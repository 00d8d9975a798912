import type { HandoffResult } from '../../../workflows/contracts/handoff.ts';
import { assertNever, EXIT_CODES } from '../../domain/errors.ts';
import { detectionWords, refusalWords } from '../../domain/routing/handoff-words.ts';
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
    ...listed('to be brought later by pitrail sync to', stores.later),
    ...(backupId === null ? [] : [`  base backup of the new history: ${backupId}`]),
  ].join('\n');
}

function listed(what: string, stores: readonly string[]): string[] {
  return stores.length === 0 ? [] : [`  ${what}: ${stores.join(', ')}`];
}

/** 0 only where the archive is where it was asked to be, proven; or would be. */
export function exitOfHandoff({ outcome, validation }: HandoffResult): number {
  switch (outcome) {
    case 'planned':
    case 'stayed':
      return 0;
    case 'refused':
      return EXIT_CODES.refused;
    case 'waits':
      return EXIT_CODES.unavailable;
    case 'handed-over':
    case 'already-done':
      if (validation === null || validation.verdict === 'validated') return 0;
      return validation.verdict === 'failed' ? EXIT_CODES.corrupt : EXIT_CODES.unavailable;
    default:
      return assertNever(outcome);
  }
}
