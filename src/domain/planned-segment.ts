import type { GtidSet } from './gtid-set.ts';
import type { Selected } from './replay-selection.ts';
import type { PlannedSegment } from './restore-plan.ts';

/** A chosen log as a plan names it. @param expected what the restored server has at the end */
export function plannedSegment(
  { segment, send }: Selected,
  expected: GtidSet,
  base: GtidSet,
): PlannedSegment {
  const { facts, entry, own } = segment;
  const isWhole = own.isSubsetOf(expected) && own.subtract(base).equals(send);
  return {
    serverUuid: facts.serverUuid,
    binlog: facts.binlog,
    serverVersion: facts.serverVersion,
    lengthBytes: facts.lengthBytes,
    sha256: facts.sha256,
    object: entry.object,
    stores: entry.stores,
    send: send.toString(),
    extent: isWhole ? 'whole' : 'part',
    eventDdl: facts.eventDdl,
    xaPrepares: facts.xaPrepares,
  };
}
