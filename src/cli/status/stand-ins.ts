import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { NoStandIn } from '../../domain/routing/store-handoff.ts';
import { formatCount, shortGtids } from '../words.ts';
import type { Problem } from './problem.ts';

/** What of the stand-ins is degraded: nobody can count for a store, or the audit log does not tell of a switch. Pure. */
export function judgeStandIns(
  source: string,
  { noStandIns, unaudited, auditFailure }: Pick<ArchiveStatus, 'noStandIns' | 'unaudited' | 'auditFailure'>,
): Problem[] {
  const problems = noStandIns.flatMap(({ store, reasons }): Problem[] => {
    // Where all are required no other one could ever count; that the store is away is told already.
    if (reasons.every(({ reason }) => reason === 'required-itself')) return [];
    const behind = reasons.some(({ reason }) => reason === 'behind');
    const ways = reasons.map(wordsOf).join('; ');
    const hint = behind
      ? 'Bring back a store that holds all, or wait: what lies staged goes to the stores that answer by itself. A store that is lost for good is taken out of pitrail.yaml (restart the workers): what none has any more is then named as a gap.'
      : 'Bring one of them back: it counts again by itself.';
    const message = `Nothing of ${source} counts as archived, for no store can count in the place of ${store} or for itself: ${ways}. What is closed is staged.`;
    return [{ code: 'NoStandIn', kind: 'unavailable', subject: store, message, hint }];
  });
  if (auditFailure === null || unaudited.length === 0) return problems;
  const { code, message, hint } = auditFailure;
  const told = `The audit log does not tell of ${formatCount(unaudited.length, 'switch', 'switches')} of stores: ${message}`;
  return [...problems, { code, kind: 'unavailable', subject: source, message: told, hint }];
}

/** Why a store cannot count, in words. */
export function wordsOf({ store, reason, missingGtids }: NoStandIn): string {
  switch (reason) {
    case 'required-itself':
      return `${store} counts itself`;
    case 'stands-in-already':
      return `${store} stands in for another one`;
    case 'circuit-open':
      return `${store} has failed, too`;
    case 'not-configured':
      return `${store} stood in and is not configured any more`;
    case 'unreadable':
      return `the catalog of ${store} was never read`;
    case 'behind':
      return `${store} lacks ${shortGtids(missingGtids)}, which was called archived`;
  }
}
