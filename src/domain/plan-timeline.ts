import { AppError } from './errors.ts';
import type { Gtid } from './gtid.ts';
import { GtidSet } from './gtid-set.ts';
import type { CatalogBackup, CatalogSegment, PlanFacts } from './plan-facts.ts';
import type { SegmentFacts } from './segment.ts';
import { type Micros, parseInstant } from './time.ts';

/** A segment of the planned timeline, with its texts parsed. */
export interface TimelineSegment {
  /** Place on the timeline, from 0. */
  readonly index: number;
  /** Place in `PlanFacts.segments`. */
  readonly catalogIndex: number;
  readonly entry: CatalogSegment;
  readonly facts: SegmentFacts;
  readonly gtids: GtidSet;
  readonly firstCommit: Micros | null;
  readonly maxCommit: Micros | null;
}

/** The segments and backups of one timeline, in order of commit. */
export interface Timeline {
  readonly timeline: number;
  /** Never empty. */
  readonly segments: readonly TimelineSegment[];
  readonly backups: readonly CatalogBackup[];
}

function instant(text: string | null): Micros | null {
  return text === null ? null : parseInstant(text);
}

/** The newest timeline that has segments; null where nothing is archived. */
export function newestTimeline(facts: PlanFacts): number | null {
  return facts.segments.reduce<number | null>(
    (newest, { timeline }) => Math.max(newest ?? timeline, timeline),
    null,
  );
}

/** Collects one timeline from the catalog; null where it has no segment. */
export function timelineOf(facts: PlanFacts, timeline: number): Timeline | null {
  const segments: TimelineSegment[] = [];
  facts.segments.forEach((entry, catalogIndex) => {
    if (entry.timeline !== timeline) return;
    const { segment } = entry;
    segments.push({
      index: segments.length,
      catalogIndex,
      entry,
      facts: segment,
      gtids: GtidSet.parse(segment.gtids),
      firstCommit: instant(segment.firstCommit),
      maxCommit: instant(segment.maxCommit),
    });
  });
  if (segments.length === 0) return null;
  return { timeline, segments, backups: facts.backups.filter(({ backup }) => backup.timeline === timeline) };
}

/** The segment at a place of the timeline that the caller knows to exist. */
export function segmentAt(line: Timeline, index: number): TimelineSegment {
  const segment = line.segments[index];
  if (segment !== undefined) return segment;
  throw new AppError({
    code: 'NoSuchSegment',
    kind: 'bug',
    message: `Timeline ${line.timeline} has ${line.segments.length} segments, and number ${index} was asked for.`,
  });
}

/** The end of a segment, as a target. */
export function endTarget({ facts }: TimelineSegment): string {
  return `file:${facts.serverUuid}/${facts.binlog}:${facts.lengthBytes}`;
}

/**
 * All GTIDs that the servers had logged before this segment, archived or not: its PREVIOUS_GTIDS
 * and the segments before it. Past the last segment: all up to the end of the archive.
 */
export function loggedBefore(line: Timeline, index: number): GtidSet {
  const previous = segmentAt(line, Math.min(index, line.segments.length - 1)).facts.previousGtids;
  return archivedBefore(line, index).union(GtidSet.parse(previous));
}

/** All GTIDs in the segments before this one. */
export function archivedBefore(line: Timeline, index: number): GtidSet {
  return GtidSet.unionAll(line.segments.slice(0, index).map(({ gtids }) => gtids));
}

/** Transactions that were logged between two segments and are in none; empty where the archive is whole. */
export function gapBetween(earlier: TimelineSegment, later: TimelineSegment): GtidSet {
  const end = GtidSet.parse(earlier.facts.previousGtids).union(earlier.gtids);
  return GtidSet.parse(later.facts.previousGtids).subtract(end);
}

/** The last segment before this place that holds a transaction. */
export function filledBefore(line: Timeline, index: number): TimelineSegment | null {
  return line.segments.slice(0, index).findLast(({ facts }) => facts.transactions > 0) ?? null;
}

/** The first segment from this place on that holds a transaction. */
export function filledFrom(line: Timeline, index: number): TimelineSegment | null {
  return line.segments.slice(index).find(({ facts }) => facts.transactions > 0) ?? null;
}

/** The segments that hold this GTID; more than one means an ambiguous history. */
export function segmentsWith(line: Timeline, gtid: Gtid): readonly TimelineSegment[] {
  return line.segments.filter(({ gtids }) => gtids.contains(gtid));
}

/** The latest commit time in the whole timeline; null where none has one. */
export function endOfArchive(line: Timeline): Micros | null {
  return line.segments.reduce<Micros | null>(
    (latest, { maxCommit }) =>
      maxCommit !== null && (latest === null || maxCommit > latest) ? maxCommit : latest,
    null,
  );
}
