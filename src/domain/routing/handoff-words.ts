import type { HandoffReason } from '../catalog-entry.ts';
import { assertNever } from '../errors.ts';
import type { Detection, HistoryBreak, StoreBehind } from './handoff-plan.ts';
import type { PreflightRefusal } from './handoff-preflight.ts';

/** Everything for which a handoff is refused. */
export type HandoffRefusal = PreflightRefusal | HistoryBreak | StoreBehind;

/** A refusal in a sentence; GTID sets stand in it whole. */
export function refusalWords(refusal: HandoffRefusal): string {
  switch (refusal.code) {
    case 'candidate-unreachable':
      return `The candidate cannot be asked (${refusal.detail}).`;
    case 'candidate-setting':
      return `The candidate runs with ${refusal.setting}=${refusal.value}, and needs ${refusal.wanted}.`;
    case 'no-required-store':
      return `None of the required stores (${refusal.stores.join(', ')}) can take the boundary now, so the old writer would not be fenced.`;
    case 'nothing-archived':
      return 'Nothing is archived yet, so there is nothing to go on with.';
    case 'superseded':
      return `${refusal.holder} took the archive over in epoch ${refusal.epoch}.`;
    case 'same-server':
      return `The candidate is the very server that is archived now (${refusal.serverUuid}).`;
    case 'lost-transactions':
      return `Archived, and not on the candidate: ${refusal.gtids}. The candidate comes from another history.`;
    case 'errant-transactions':
      return `Committed on the candidate itself while it was a replica: ${refusal.gtids}.`;
    case 'purged-gap':
      return `Purged from the candidate's logs before anybody archived them: ${refusal.gtids}.`;
    case 'required-store-behind':
      return `${refusal.store} lacks ${refusal.gtids}, which the candidate has purged: pitrail sync must bring them from another store first.`;
    default:
      return assertNever(refusal);
  }
}

/** True where the same handoff may be possible as soon as a store answers: nothing is wrong with it. */
export function isForNow(refusals: readonly HandoffRefusal[]): boolean {
  return refusals.length > 0 && refusals.every((it) => it.code === 'no-required-store' && it.why === 'away');
}

/** The GTID set that a refusal names; empty for those that are about something else. */
export function gtidsOf(refusals: readonly HandoffRefusal[], code: HistoryBreak['code']): string {
  const found = refusals.find((it): it is HistoryBreak => it.code === code);
  return found?.gtids ?? '';
}

/** What was found wrong with a source, as a clause. */
export function detectionWords(detection: Detection): string {
  switch (detection.kind) {
    case 'source-unreachable':
      return `it could not be reached for ${detection.forSeconds} s`;
    case 'queue-silent':
      return `no worker took work for its host for ${detection.forSeconds} s`;
    case 'lag':
      return `its archive was ${detection.lagSeconds} s behind`;
    default:
      return assertNever(detection);
  }
}

/** Why a handoff was made, for its entry in the catalog. */
export function boundaryDetail(
  from: string,
  to: string,
  reason: HandoffReason,
  detected: readonly Detection[],
): string {
  const why = detected.map(detectionWords).join(', and ');
  const asked = reason === 'operator' ? 'an operator asked for it' : reason;
  return `${from} was handed to ${to}: ${why === '' ? asked : why}.`;
}
