import { GtidSet } from './gtid-set.ts';
import { foreignGtids, homeOf, nearestOfBackup, newestFirst } from './plan-backups.ts';
import type { CatalogBackup, PlanFacts } from './plan-facts.ts';
import {
  archivedBefore,
  endsInOrder,
  endTarget,
  gapBetween,
  isFilled,
  loggedBefore,
  type Timeline,
  type TimelineSegment,
  timelineOf,
} from './plan-timeline.ts';
import { formatInstant, type Micros } from './time.ts';

/** From where to where a base backup can be brought, without a gap. Plain JSON. */
export type RestorableWindow =
  | {
      readonly kind: 'restorable';
      readonly timeline: number;
      readonly backupId: string;
      readonly backupFinishedAt: string;
      /** The state of the base itself, as a target; null where its binlog is not archived. */
      readonly fromTarget: string | null;
      /** The end of the last binlog in reach that ends in a state of the commit order, as a target; null where there is none. */
      readonly toTarget: string | null;
      /** The latest commit time in reach that the catalog knows for sure; null where it knows none behind the base. */
      readonly toTime: string | null;
      /** GTIDs at the end of the window. */
      readonly toGtids: string;
      readonly transactions: number;
      /** What ends the window: the end of the archive, or a hole behind which another base is needed. */
      readonly endsAt: 'end-of-archive' | 'gap' | 'anonymous-transactions';
    }
  /** The base is complete only when the binlogs up to its end are archived. */
  | {
      readonly kind: 'waiting-for-archive';
      readonly timeline: number;
      readonly backupId: string;
      readonly backupFinishedAt: string;
      readonly missingGtids: string;
    };

type Restorable = Extract<RestorableWindow, { kind: 'restorable' }>;

interface Reach {
  /** The last segment in reach; null where the base alone is. */
  readonly last: TimelineSegment | null;
  /** The last one in reach whose end is a state of the commit order. */
  readonly lastEnd: TimelineSegment | null;
  readonly latest: Micros | null;
  readonly gtids: GtidSet;
  readonly endsAt: Restorable['endsAt'];
}

/** A timeline with what all its windows need, computed once. */
interface Ground {
  readonly line: Timeline;
  readonly logged: GtidSet;
  /** For each segment: whether nothing is missing between it and the one before. */
  readonly follows: readonly boolean[];
  /** For each segment: no transaction up to its end has a later time of commit than this. */
  readonly latestTo: readonly (Micros | null)[];
  /** All GTIDs archived up to a segment, by its place; windows mostly end at the same one. */
  readonly archivedTo: Map<number, GtidSet>;
}

/** A base holds all archived before it, so this and the base are all that is in reach. */
function archivedTo({ line, archivedTo: known }: Ground, last: TimelineSegment | null): GtidSet {
  if (last === null) return GtidSet.EMPTY;
  const set = known.get(last.index) ?? archivedBefore(line, last.index + 1);
  known.set(last.index, set);
  return set;
}

function groundOf(line: Timeline): Ground {
  const follows = line.segments.map((segment, index) => {
    const earlier = line.segments[index - 1];
    return earlier !== undefined && gapBetween(earlier, segment).isEmpty;
  });
  const logged = loggedBefore(line, line.segments.length);
  return { line, logged, follows, latestTo: latestTimes(line), archivedTo: new Map() };
}

function latestTimes(line: Timeline): (Micros | null)[] {
  let latest: Micros | null = null;
  return line.segments.map((segment) => {
    const { maxCommit } = segment;
    if (isFilled(segment) && maxCommit !== null && (latest === null || maxCommit > latest))
      latest = maxCommit;
    return latest;
  });
}

/** Where replay from a base begins: the segment it lies in, or the first with something it lacks. */
function firstBehind({ line }: Ground, start: GtidSet, home: TimelineSegment | null): number {
  if (home !== null) return home.index;
  const index = line.segments.findIndex(({ gtids }) => !gtids.isSubsetOf(start));
  return index < 0 ? line.segments.length : index;
}

/** Walks on from a base, segment by segment, until something is missing. */
function reachFrom(ground: Ground, start: GtidSet, home: TimelineSegment | null): Reach {
  const first = firstBehind(ground, start, home);
  let last: TimelineSegment | null = null;
  let lastEnd: TimelineSegment | null = null;
  let latest: Micros | null = null;
  let endsAt: Restorable['endsAt'] = 'end-of-archive';
  for (const segment of ground.line.segments.slice(first)) {
    const { facts, gtids, repeats, maxCommit, index } = segment;
    const whole =
      index === first
        ? segment.before.isSubsetOf(start.union(archivedBefore(ground.line, index)))
        : ground.follows[index];
    if (!whole) endsAt = 'gap';
    else if (facts.anonymousTransactions > 0) endsAt = 'anonymous-transactions';
    if (endsAt !== 'end-of-archive') break;
    last = segment;
    if (endsInOrder(segment)) lastEnd = segment;
    const adds = index > first ? isFilled(segment) : !gtids.isSubsetOf(start);
    // The latest time of a file that repeats transactions may be that of one of them.
    if (adds && repeats.isEmpty && maxCommit !== null && (latest === null || maxCommit > latest))
      latest = maxCommit;
  }
  // A time target lies before the first transaction with a later time, and that may be one that the base holds.
  const bound = last === null ? null : (ground.latestTo[last.index] ?? null);
  if (latest !== null && bound !== null && bound > latest) latest = null;
  return { last, lastEnd, latest, gtids: start.union(archivedTo(ground, last)), endsAt };
}

function windowOf(ground: Ground, entry: CatalogBackup): RestorableWindow {
  const { line, logged } = ground;
  const { backupId, finishedAt } = entry.backup;
  const common = { timeline: line.timeline, backupId, backupFinishedAt: finishedAt };
  const start = GtidSet.parse(entry.backup.coordinates.gtidExecuted);
  if (foreignGtids(line, entry, logged) === null) {
    return { kind: 'waiting-for-archive', ...common, missingGtids: start.subtract(logged).toString() };
  }
  const { lastEnd, latest, gtids, endsAt } = reachFrom(ground, start, homeOf(line, entry));
  return {
    kind: 'restorable',
    ...common,
    fromTarget: nearestOfBackup(line, entry),
    toTarget: lastEnd === null ? null : endTarget(lastEnd),
    toTime: latest === null ? null : formatInstant(latest),
    toGtids: gtids.toString(),
    transactions: Number(gtids.subtract(start).count()),
    endsAt,
  };
}

/** The windows of every base backup whose timeline has segments: timelines in order, each from its oldest base. */
export function restorableWindows(facts: PlanFacts): RestorableWindow[] {
  const timelines = [...new Set(facts.segments.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  return timelines.flatMap((number) => {
    const line = timelineOf(facts, number);
    if (line === null) return [];
    const ground = groundOf(line);
    return newestFirst(line.backups)
      .reverse()
      .map((entry) => windowOf(ground, entry));
  });
}
