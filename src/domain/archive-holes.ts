import { GtidSet } from './gtid-set.ts';
import type { PlanFacts } from './plan-facts.ts';
import { gapBetween, segmentAt, type Timeline, timelineOf } from './plan-timeline.ts';
import type { RestorableWindow } from './restore-windows.ts';

/** Transactions that were logged before a log of a timeline, and are in no log before it there. */
export interface ArchiveHole {
  readonly timeline: number;
  /** `before-first`: the archive of the timeline begins behind them. */
  readonly place: 'between-logs' | 'before-first';
  readonly missing: GtidSet;
  /** Whether a base backup holds them from which all that is archived behind it can be reached. */
  readonly base: 'behind-it' | 'none';
}

/** The holes of every timeline, in order. `windows` are those of the same facts. Pure. */
export function archiveHoles(facts: PlanFacts, windows: readonly RestorableWindow[]): ArchiveHole[] {
  const timelines = [...new Set(facts.segments.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  return timelines.flatMap((number) => {
    const line = timelineOf(facts, number);
    if (line === null) return [];
    // What a window ends with and no log holds came with its base.
    const ends = windows.flatMap((window) =>
      window.timeline === number && window.kind === 'restorable' && window.endsAt === 'end-of-archive'
        ? [GtidSet.parse(window.toGtids)]
        : [],
    );
    return missingIn(line).map(
      (hole): ArchiveHole => ({
        timeline: number,
        ...hole,
        base: ends.some((end) => hole.missing.isSubsetOf(end)) ? 'behind-it' : 'none',
      }),
    );
  });
}

function missingIn(line: Timeline): Pick<ArchiveHole, 'place' | 'missing'>[] {
  const first = { place: 'before-first' as const, missing: segmentAt(line, 0).before };
  const between = line.segments.slice(1).map((segment, index) => ({
    place: 'between-logs' as const,
    missing: gapBetween(segmentAt(line, index), segment),
  }));
  return [first, ...between].filter(({ missing }) => !missing.isEmpty);
}
