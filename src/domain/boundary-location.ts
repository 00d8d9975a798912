import type { BoundaryAnswers, Cut } from './boundary-cut.ts';
import { assertNever } from './errors.ts';
import { formatGtid, type Gtid } from './gtid.ts';
import { GtidSet } from './gtid-set.ts';
import { nearestOfBackup, oldestBackup } from './plan-backups.ts';
import {
  endTarget,
  isFilled,
  loggedBefore,
  segmentsWith,
  type Timeline,
  type TimelineSegment,
} from './plan-timeline.ts';
import type { PlanReason } from './restore-plan.ts';
import type { RecoveryTarget } from './target.ts';
import { formatInstant, type Micros } from './time.ts';

/** Where a target lies, as far as the catalog alone can tell. */
export type Location =
  | { readonly kind: 'refused'; readonly reason: PlanReason }
  /** In this segment, where only its transactions can tell. */
  | { readonly kind: 'inside'; readonly index: number; readonly cut: Cut }
  /** Just before this segment; the number of segments where it is the end of the archive. */
  | { readonly kind: 'edge'; readonly index: number };

function refused(reason: PlanReason): Location {
  return { kind: 'refused', reason };
}

/** Where a time falls in one segment: behind all of it, whose latest time may be known, or before or inside it. */
type TimePlace =
  | { readonly kind: 'behind'; readonly latest: Micros | null }
  | { readonly kind: 'edge' }
  | { readonly kind: 'inside' };

function placeInTime(segment: TimelineSegment, atMicros: Micros, answers: BoundaryAnswers): TimePlace {
  const { catalogIndex, firstCommit, maxCommit, repeats } = segment;
  if (maxCommit !== null && maxCommit < atMicros) return { kind: 'behind', latest: maxCommit };
  if (repeats.isEmpty) {
    if (maxCommit === atMicros) return { kind: 'behind', latest: maxCommit };
    return firstCommit !== null && firstCommit > atMicros ? { kind: 'edge' } : { kind: 'inside' };
  }
  // Its times may be those of repeated transactions: only reading it tells.
  const answer = answers.get(catalogIndex);
  if (answer === undefined || answer.firstExcluded !== null) return { kind: 'inside' };
  return { kind: 'behind', latest: answer.latestMicros };
}

function locateTime(line: Timeline, atMicros: Micros, answers: BoundaryAnswers): Location {
  let end: Micros | null = null;
  for (const segment of line.segments.filter(isFilled)) {
    const { facts, index, maxCommit } = segment;
    if (maxCommit === null) return refused({ code: 'no-commit-times', binlog: facts.binlog });
    const place = placeInTime(segment, atMicros, answers);
    if (place.kind === 'edge') return { kind: 'edge', index };
    if (place.kind === 'inside') return { kind: 'inside', index, cut: { kind: 'time', atMicros } };
    if (place.latest !== null && (end === null || place.latest > end)) end = place.latest;
  }
  if (end === null) return refused({ code: 'nothing-archived', timeline: line.timeline });
  if (atMicros === end) return { kind: 'edge', index: line.segments.length };
  return refused({ code: 'after-end-of-archive', nearest: formatInstant(end), nearestTarget: 'latest' });
}

/** The nearest state to a transaction that no segment holds. */
function nearestToUnknown(line: Timeline, gtid: Gtid): string | null {
  if (!loggedBefore(line, line.segments.length).contains(gtid)) return 'latest';
  const after = line.segments.find(({ facts }) => GtidSet.parse(facts.previousGtids).contains(gtid));
  const before = after === undefined ? undefined : line.segments[after.index - 1];
  if (before !== undefined) return endTarget(before);
  const oldest = oldestBackup(line.backups);
  return oldest === null ? null : nearestOfBackup(line, oldest);
}

function locateGtid(line: Timeline, kind: 'before' | 'after', gtid: Gtid): Location {
  const [segment, ...others] = segmentsWith(line, gtid);
  const text = formatGtid(gtid);
  if (segment === undefined) {
    return refused({ code: 'unknown-gtid', gtid: text, nearestTarget: nearestToUnknown(line, gtid) });
  }
  if (others.length > 0) {
    const binlogs = [segment, ...others].map(({ facts }) => `${facts.serverUuid}/${facts.binlog}`);
    return refused({ code: 'ambiguous-gtid', gtid: text, binlogs });
  }
  return { kind: 'inside', index: segment.index, cut: { kind, gtid } };
}

function locateFile(line: Timeline, target: Extract<RecoveryTarget, { kind: 'file' }>): Location {
  const { binlog, serverUuid, position } = target;
  const [segment, ...others] = line.segments.filter(
    ({ facts }) => facts.binlog === binlog && (serverUuid === null || facts.serverUuid === serverUuid),
  );
  if (segment === undefined) return refused({ code: 'unknown-binlog', binlog });
  if (others.length > 0) {
    const serverUuids = [...new Set([segment, ...others].map(({ facts }) => facts.serverUuid))];
    return refused({ code: 'ambiguous-binlog', binlog, serverUuids });
  }
  if (position > segment.facts.lengthBytes) {
    const nearest = `the end of ${binlog} at ${segment.facts.lengthBytes}`;
    return refused({ code: 'after-end-of-archive', nearest, nearestTarget: endTarget(segment) });
  }
  return { kind: 'inside', index: segment.index, cut: { kind: 'position', position } };
}

/** Places a target on its timeline by the catalog's facts, and by answers where repeated transactions hide the times. */
export function locateTarget(line: Timeline, target: RecoveryTarget, answers: BoundaryAnswers): Location {
  switch (target.kind) {
    case 'latest':
      return { kind: 'edge', index: line.segments.length };
    case 'time':
      return locateTime(line, target.atMicros, answers);
    case 'before':
    case 'after':
      return locateGtid(line, target.kind, target.gtid);
    case 'file':
      return locateFile(line, target);
    default:
      return assertNever(target);
  }
}
