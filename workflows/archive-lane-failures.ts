import { isCancellation, log as workflowLog } from '@temporalio/workflow';
import { fromFailure } from '../activities/failures.ts';
import type { LogRef } from '../src/archiving/staging.ts';
import { HEIRS_HAVE_IT } from '../src/domain/refused-binlog.ts';
import { hostActivities } from './archive-activities.ts';
import { forget, listLetter } from './archive-dead-letters.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { describeFailure, refusalOf } from './archive-failures.ts';
import { countingStores, recordOf, update } from './archive-records.ts';
import { noteNeedless } from './archive-waiting.ts';
import { nowText } from './now.ts';

/** A store that nobody waits for rests so long after a failure that is not its absence. */
const REST_MS = 30_000;

/** Deals with what ended the transfers to a store at one log. Never throws: nobody but the round hears of a lane. */
export function failTransfer(entity: ArchiveEntity, store: string, log: LogRef, error: unknown): void {
  if (isCounting(entity, store) && isDeadLetter(entity, log, error)) return;
  failLane(entity, store, error);
}

/**
 * Deals with a log of an earlier server that was handed away: released where its heirs have brought all
 * of it, else on the list, and judged anew in every round. It holds up nobody, for no log of that server
 * is added any more, in whatever order. False for any other failure.
 */
export async function passFenced(
  entity: ArchiveEntity,
  host: string,
  store: string,
  log: LogRef,
  error: unknown,
): Promise<boolean> {
  const refusal = refusalOf(error, log.binlog);
  if (refusal?.code === HEIRS_HAVE_IT) {
    if (!noteNeedless(entity, store, log)) return true;
    forget(entity, log);
    await hostActivities(host).releaseBinlogs({ ...entity.input, logs: [log] });
    return true;
  }
  if (refusal?.code !== 'HandedAway') return false;
  if (isCounting(entity, store)) listLetter(entity, log, refusal, 'fence');
  return true;
}

/** Deals with what ended the lane of a store. Never throws. */
export function failLane(entity: ArchiveEntity, store: string, error: unknown): void {
  if (isCancellation(error)) return;
  // What an open circuit holds back is told by the circuit.
  if (recordOf(entity, store)?.circuit.kind !== 'closed') return;
  const found = fromFailure(error);
  if (isCounting(entity, store)) {
    entity.laneFailures = [...entity.laneFailures, error];
    // What the store itself refused stays with it until it takes something; it does not rest.
    if (found !== undefined && typeof found.facts['location'] === 'string')
      update(entity, store, { failure: failureOf(found, nowText()), restUntilMs: Date.now() });
    return;
  }
  const described = found ?? describeFailure(error);
  workflowLog.warn('store does not keep up', { store, code: described.code, reason: described.message });
  update(entity, store, { failure: failureOf(described, nowText()), restUntilMs: Date.now() + REST_MS });
}

function isCounting(entity: ArchiveEntity, store: string): boolean {
  return countingStores(entity).some((record) => record.store === store);
}

/** Puts a log that cannot be archived as it is on the dead-letter list; false for any other failure. */
function isDeadLetter(entity: ArchiveEntity, log: LogRef, error: unknown): boolean {
  const refusal = refusalOf(error, log.binlog);
  if (refusal === undefined) return false;
  if (isPlansMatter(refusal.code)) entity.wake = true;
  else if (!isListed(entity, log)) listLetter(entity, log, refusal);
  return true;
}

function isListed(entity: ArchiveEntity, log: LogRef): boolean {
  return entity.deadLetters.some(
    ({ binlog, createdAt, foundBy }) =>
      foundBy === 'transfer' && binlog === log.binlog && createdAt === log.createdAt,
  );
}

/** What the next look at the server says by itself, and keeps saying until it is mended. */
function isPlansMatter(code: string): boolean {
  return code === 'ArchiveGap' || code === 'SegmentLate';
}
