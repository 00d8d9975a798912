import { GtidSet } from './gtid-set.ts';
import { foreignGtids, homeOf, nearestOfBackup, newestFirst } from './plan-backups.ts';
import type { CatalogBackup, PlanFacts } from './plan-facts.ts';
import { loggedBefore, type Timeline, type TimelineSegment, timelineOf } from './plan-timeline.ts';
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
      /** The end of the last binlog in reach, as a target; null where the base alone is. */
      readonly toTarget: string | null;
      /** The latest commit time in reach; null where no transaction is behind the base. */
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
  readonly gtids: GtidSet;
  readonly last: TimelineSegment | null;
  readonly latest: Micros | null;
  readonly transactions: number;
  readonly endsAt: Restorable['endsAt'];
}

/** Walks on from a base, segment by segment, until something is missing. */
function reachFrom(line: Timeline, start: GtidSet, home: TimelineSegment | null): Reach {
  let reach: Reach = { gtids: start, last: null, latest: null, transactions: 0, endsAt: 'end-of-archive' };
  for (const segment of line.segments) {
    const added = segment.gtids.subtract(reach.gtids);
    const behindBase = home === null ? added.isEmpty : segment.index < home.index;
    if (behindBase) continue;
    if (!GtidSet.parse(segment.facts.previousGtids).isSubsetOf(reach.gtids))
      return { ...reach, endsAt: 'gap' };
    if (segment.facts.anonymousTransactions > 0) return { ...reach, endsAt: 'anonymous-transactions' };
    const { maxCommit } = segment;
    const later = !added.isEmpty && maxCommit !== null && (reach.latest === null || maxCommit > reach.latest);
    reach = {
      gtids: reach.gtids.union(added),
      last: segment,
      latest: later ? maxCommit : reach.latest,
      transactions: reach.transactions + Number(added.count()),
      endsAt: 'end-of-archive',
    };
  }
  return reach;
}

function windowOf(line: Timeline, entry: CatalogBackup): RestorableWindow {
  const { backupId, finishedAt } = entry.backup;
  const common = { timeline: line.timeline, backupId, backupFinishedAt: finishedAt };
  const gtids = GtidSet.parse(entry.backup.coordinates.gtidExecuted);
  const logged = loggedBefore(line, line.segments.length);
  if (foreignGtids(line, entry, logged) === null) {
    return { kind: 'waiting-for-archive', ...common, missingGtids: gtids.subtract(logged).toString() };
  }
  const { last, latest, ...reach } = reachFrom(line, gtids, homeOf(line, entry));
  return {
    kind: 'restorable',
    ...common,
    fromTarget: nearestOfBackup(line, entry),
    toTarget:
      last === null ? null : `file:${last.facts.serverUuid}/${last.facts.binlog}:${last.facts.lengthBytes}`,
    toTime: latest === null ? null : formatInstant(latest),
    toGtids: reach.gtids.toString(),
    transactions: reach.transactions,
    endsAt: reach.endsAt,
  };
}

/** The windows of every base backup whose timeline has segments: timelines in order, each from its oldest base. */
export function restorableWindows(facts: PlanFacts): RestorableWindow[] {
  const timelines = [...new Set(facts.segments.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  return timelines.flatMap((number) => {
    const line = timelineOf(facts, number);
    return line === null
      ? []
      : newestFirst(line.backups)
          .reverse()
          .map((entry) => windowOf(line, entry));
  });
}
