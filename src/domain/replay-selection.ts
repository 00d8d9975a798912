import type { BaseCandidate } from './base-choice.ts';
import type { Boundary } from './boundary.ts';
import { GtidSet } from './gtid-set.ts';
import type { Timeline, TimelineSegment } from './plan-timeline.ts';
import type { PlanReason } from './restore-plan.ts';
import type { Micros } from './time.ts';

/** A segment and the GTIDs of it that replay sends; never empty. */
export interface Selected {
  readonly segment: TimelineSegment;
  readonly send: GtidSet;
}

export interface Selection {
  readonly selected: readonly Selected[];
  /** What was to be replayed and is in no segment that can be read. */
  readonly missing: GtidSet;
}

/**
 * The segments that hold something of `replay`, each GTID taken from the first that has it. `replay` belongs to
 * a prefix of the commit order, so nothing of it stands first behind that. What cannot be read brings nothing.
 */
export function selectSegments(line: Timeline, replay: GtidSet): Selection {
  const selected: Selected[] = [];
  let rest = replay;
  for (const segment of line.segments) {
    if (rest.isEmpty) break;
    const send = segment.entry.stores.length === 0 ? GtidSet.EMPTY : segment.gtids.intersect(rest);
    if (send.isEmpty) continue;
    selected.push({ segment, send });
    rest = rest.subtract(send);
  }
  return { selected, missing: rest };
}

/** True where the base holds the whole segment, by its place in the files; in doubt false. */
function isBehindBase(line: Timeline, base: BaseCandidate, segment: TimelineSegment): boolean {
  if (base.home !== null) return segment.index < base.home.index;
  return line.segments.some(
    (later) => later.index > segment.index && !later.gtids.intersect(base.gtids).isEmpty,
  );
}

/** The segments between base and target with transactions that have no GTID, and so no exact place. */
export function anonymousReasons(line: Timeline, boundary: Boundary, base: BaseCandidate): PlanReason[] {
  const reasons: PlanReason[] = [];
  for (const segment of line.segments.slice(0, boundary.index + 1)) {
    const { binlog, anonymousTransactions } = segment.facts;
    const count = segment.index < boundary.index ? anonymousTransactions : boundary.partialAnonymous;
    if (count > 0 && !isBehindBase(line, base, segment)) {
      reasons.push({ code: 'anonymous-transactions', binlog, count });
    }
  }
  return reasons;
}

/** How often the commit times step back, inside the segments and from one to the next. */
export function countInversions(segments: readonly TimelineSegment[]): number {
  let count = 0;
  let latest: Micros | null = null;
  for (const { facts, firstCommit, maxCommit, repeats } of segments) {
    count += facts.clockInversions;
    // Where transactions are repeated, the first of the file comes later on another server's clock.
    if (repeats.isEmpty && latest !== null && firstCommit !== null && firstCommit < latest) count += 1;
    if (maxCommit !== null && (latest === null || maxCommit > latest)) latest = maxCommit;
  }
  return count;
}
