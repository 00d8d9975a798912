import { GtidSet } from './gtid-set.ts';
import type { Timeline, TimelineSegment } from './plan-timeline.ts';
import { type Selected, type Selection, selectSegments } from './replay-selection.ts';
import { coverGtids, DEFAULT_MAX_STATES } from './routing/cover.ts';
import type { CoverSegment } from './routing/cover-chain.ts';

/** Which logs are replayed, and how they were chosen. */
export interface ChosenLogs extends Selection {
  /**
   * `first`: each transaction from the log in which it stands first. `cheaper` and `missing`: others of the
   * same history, because less is to be fetched, or because some of the first ones are not there.
   */
  readonly choice: 'first' | 'cheaper' | 'missing';
  /** Among `missing`: in a log, but behind something that is in none. */
  readonly blocked: GtidSet;
}

/** What a file costs beside its bytes, in bytes: requests, and a new file for the applier. */
const BYTES_PER_FILE = 64 * 1024;

/**
 * Chooses the logs that bring `replay`, a part of a prefix of the commit order that follows on what the server
 * has, in an order in which they can be applied: the cheapest of any servers of the timeline. Statements with
 * temporary tables need the files of one server in one go, so there each stays where it stands first.
 */
export function chooseLogs(line: Timeline, replay: GtidSet): ChosenLogs {
  const first = selectSegments(line, replay);
  const plain: ChosenLogs = { ...first, choice: 'first', blocked: GtidSet.EMPTY };
  if (line.segments.every(({ repeats }) => repeats.isEmpty)) return plain;
  const holders = line.segments.filter(({ own }) => !own.intersect(replay).isEmpty);
  const hasChoice = holders.some(({ repeats }) => !repeats.intersect(replay).isEmpty);
  if (!hasChoice || holders.some(({ facts }) => facts.temporaryTables > 0)) return plain;
  const places = new Map(holders.map((segment) => [coverSegment(segment), segment]));
  const segments = [...places.keys()];
  const cover = coverGtids({ wanted: replay, has: GtidSet.EMPTY, segments, maxStates: DEFAULT_MAX_STATES });
  if (cover.kind === 'incomplete') {
    if (first.missing.isEmpty) return plain;
    return { ...plain, missing: cover.missing.union(cover.blocked), blocked: cover.blocked };
  }
  if (first.missing.isEmpty && costOf(first.selected) <= cover.cost) return plain;
  const selected = cover.steps.flatMap(({ segment, send }): Selected[] => {
    const chosen = places.get(segment);
    return chosen === undefined ? [] : [{ segment: chosen, send }];
  });
  const choice = first.missing.isEmpty ? 'cheaper' : 'missing';
  return { selected, missing: GtidSet.EMPTY, choice, blocked: GtidSet.EMPTY };
}

function coverSegment({ entry, facts, own, ownBaselines }: TimelineSegment): CoverSegment {
  const executed = [facts.previousGtids, ...ownBaselines].map((gtids) => GtidSet.parse(gtids));
  const isExact = facts.anonymousTransactions === 0;
  const cost = fileCost(entry.object.lengthBytes);
  return {
    chain: facts.serverUuid,
    binlog: facts.binlog,
    before: GtidSet.unionAll(executed),
    gtids: own,
    copies: isExact ? entry.stores.map((store) => ({ store, cost })) : [],
  };
}

function fileCost(lengthBytes: number): number {
  return lengthBytes + BYTES_PER_FILE;
}

function costOf(selected: readonly Selected[]): number {
  return selected.reduce((sum, { segment }) => sum + fileCost(segment.entry.object.lengthBytes), 0);
}
