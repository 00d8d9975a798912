import { GtidSet } from '../gtid-set.ts';
import { binlogIndex } from '../identity.ts';
import type { SegmentFacts, StoredObject } from '../segment.ts';

/** One binlog, in whatever stores it lies. */
export interface MergedSegment {
  readonly segment: SegmentFacts;
  /** As the first of `stores` has it; the plaintext is the same in each. */
  readonly object: StoredObject;
  /** In the order in which the stores were given. */
  readonly stores: readonly string[];
  /** The earliest in which an entry names it. */
  readonly epoch: number;
}

/** All that its server had logged up to its end. */
export function loggedThrough({ segment }: MergedSegment): GtidSet {
  return GtidSet.parse(segment.previousGtids).union(GtidSet.parse(segment.gtids));
}

export function nameOfSegment({ serverUuid, binlog }: SegmentFacts): string {
  return `${serverUuid}/${binlog}`;
}

/** Below zero where `a` was written before `b`, as far as their facts tell; zero where they do not. */
export function compareInTime(a: MergedSegment, b: MergedSegment): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  const isBefore = (one: MergedSegment, other: MergedSegment) =>
    loggedThrough(one).isSubsetOf(GtidSet.parse(other.segment.previousGtids));
  const [before, behind] = [isBefore(a, b), isBefore(b, a)];
  if (before !== behind) return before ? -1 : 1;
  if (a.segment.serverUuid !== b.segment.serverUuid) return 0;
  // Logs without transactions: nothing but the file tells.
  if (a.segment.createdAt !== b.segment.createdAt) return a.segment.createdAt < b.segment.createdAt ? -1 : 1;
  return binlogIndex(a.segment.binlog) - binlogIndex(b.segment.binlog);
}
