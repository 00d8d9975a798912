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
  /** The GTIDs that stand here first: what was logged before this file is not among them. */
  readonly gtids: GtidSet;
  /** The other GTIDs of the file: behind a handoff a source may repeat what others have logged. */
  readonly repeats: GtidSet;
  /** All GTIDs of the file. */
  readonly own: GtidSet;
  /** All that the servers of the timeline had logged before this file, archived or not. */
  readonly before: GtidSet;
  /** What its own server had executed before this file beside PREVIOUS_GTIDS: the baselines of its handoffs, canonical. */
  readonly ownBaselines: readonly string[];
  /** What its own server had executed before this file; without a handoff to it, all that stands before it. */
  readonly executedBefore: GtidSet;
  /** Commit times of the file, repeated transactions included. */
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
  let known = GtidSet.EMPTY;
  facts.segments.forEach((entry, catalogIndex) => {
    if (entry.timeline !== timeline) return;
    const { segment } = entry;
    const baselines = facts.baselines.filter((it) => it.timeline === timeline && it.from <= catalogIndex);
    known = GtidSet.unionAll([known, ...baselines.map(({ gtids }) => GtidSet.parse(gtids))]);
    const own = GtidSet.parse(segment.gtids);
    const repeats = own.intersect(known);
    const previous = GtidSet.parse(segment.previousGtids);
    const ofServer = baselines.filter(({ serverUuid }) => serverUuid === segment.serverUuid);
    const before = known.union(previous);
    const ownBaselines = ofServer.map(({ gtids }) => gtids);
    const executed = () => GtidSet.unionAll([previous, ...ownBaselines.map((gtids) => GtidSet.parse(gtids))]);
    segments.push({
      index: segments.length,
      catalogIndex,
      entry,
      facts: segment,
      gtids: repeats.isEmpty ? own : own.subtract(repeats),
      repeats,
      own,
      before,
      ownBaselines,
      executedBefore: ofServer.length === 0 && repeats.isEmpty ? before : executed(),
      firstCommit: instant(segment.firstCommit),
      maxCommit: instant(segment.maxCommit),
    });
    known = before.union(own);
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

/** True where a transaction stands in this segment first, or one without a GTID stands in it. */
export function isFilled({ facts, gtids }: TimelineSegment): boolean {
  return facts.anonymousTransactions > 0 || !gtids.isEmpty;
}

/** True where the end of the file is a state of the commit order: its server lacked nothing that comes before. */
export function endsInOrder({ before, executedBefore, repeats }: TimelineSegment): boolean {
  return before.isSubsetOf(executedBefore.union(repeats));
}

/**
 * All GTIDs that the servers had logged before this segment, archived or not. Past the last segment:
 * all up to the end of the archive.
 */
export function loggedBefore(line: Timeline, index: number): GtidSet {
  if (index < line.segments.length) return segmentAt(line, index).before;
  return loggedWith(segmentAt(line, line.segments.length - 1));
}

function loggedWith({ before, gtids }: TimelineSegment): GtidSet {
  return before.union(gtids);
}

/** All GTIDs in the segments before this one. */
export function archivedBefore(line: Timeline, index: number): GtidSet {
  return GtidSet.unionAll(line.segments.slice(0, index).map(({ gtids }) => gtids));
}

/** Transactions that were logged between two segments and are in none; empty where the archive is whole. */
export function gapBetween(earlier: TimelineSegment, later: TimelineSegment): GtidSet {
  return later.before.subtract(loggedWith(earlier));
}

/** The last segment before this place that holds a transaction first. */
export function filledBefore(line: Timeline, index: number): TimelineSegment | null {
  return line.segments.slice(0, index).findLast(isFilled) ?? null;
}

/** The first segment from this place on that holds a transaction first. */
export function filledFrom(line: Timeline, index: number): TimelineSegment | null {
  return line.segments.slice(index).find(isFilled) ?? null;
}

/**
 * The segment in which this GTID stands first. Where one server logged it twice, which it never does in
 * one history, each segment that holds it: there are two transactions of that name.
 */
export function segmentsWith(line: Timeline, gtid: Gtid): readonly TimelineSegment[] {
  const holders = line.segments.filter(
    ({ gtids, repeats }) => gtids.contains(gtid) || repeats.contains(gtid),
  );
  const servers = new Set(holders.map(({ facts }) => facts.serverUuid));
  return servers.size < holders.length ? holders : holders.filter(({ gtids }) => gtids.contains(gtid));
}
