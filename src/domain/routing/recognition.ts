import { GtidSet } from '../gtid-set.ts';

/** A closed log of a server with the transactions in it, known from its head and that of the log behind it. */
export interface RecognizedLog {
  readonly binlog: string;
  readonly previousGtids: GtidSet;
  /** PREVIOUS_GTIDS of the log behind it. */
  readonly successorPreviousGtids: GtidSet;
}

export interface RecognitionFacts {
  readonly serverUuid: string;
  /** Closed logs of this server, oldest first. */
  readonly logs: readonly RecognizedLog[];
  /** What the archive holds, by the server whose logs it lies in; this server among them. */
  readonly archivedBy: ReadonlyMap<string, GtidSet>;
  /** In how many servers' logs each transaction shall be archived; 1: once. */
  readonly redundancy: number;
}

/** Whether a log of one server brings what the archive has not enough of. */
export type Recognition =
  /** Its transactions lie in the archive often enough, in logs of other servers. */
  | { readonly kind: 'recognized'; readonly binlog: string; readonly heldIn: readonly string[] }
  | {
      readonly kind: 'wanted';
      readonly binlog: string;
      /** In no archived log yet. */
      readonly added: GtidSet;
      /** Archived already, but in fewer servers' logs than `redundancy` asks for. */
      readonly repeated: GtidSet;
    };

/**
 * Recognizes the same transactions under other names: a replica writes what it applies into logs of
 * its own, and only the GTIDs tell. A log is recognized where each of its transactions lies in logs
 * of at least `redundancy` other servers. A log without transactions brings nothing.
 */
export function recognizeLogs(facts: RecognitionFacts): Recognition[] {
  const { serverUuid, archivedBy, redundancy, logs } = facts;
  const others = [...archivedBy].filter(([uuid]) => uuid !== serverUuid);
  const levels = coverageLevels(
    others.map(([, gtids]) => gtids),
    redundancy,
  );
  const own = archivedBy.get(serverUuid) ?? GtidSet.EMPTY;
  const once = (levels[0] ?? GtidSet.EMPTY).union(own);
  const enough = levels[redundancy - 1] ?? GtidSet.EMPTY;
  return logs.map(({ binlog, previousGtids, successorPreviousGtids }) => {
    const gtids = successorPreviousGtids.subtract(previousGtids);
    if (gtids.isSubsetOf(enough)) {
      const heldIn = others.filter(([, set]) => !set.intersect(gtids).isEmpty).map(([uuid]) => uuid);
      return { kind: 'recognized', binlog, heldIn };
    }
    const added = gtids.subtract(once);
    return { kind: 'wanted', binlog, added, repeated: gtids.subtract(added).subtract(enough) };
  });
}

/**
 * What at least one, two, … of the sets hold: item `n` of the answer is in at least `n + 1` of them.
 * @param depth how many levels are wanted
 */
export function coverageLevels(sets: readonly GtidSet[], depth: number): GtidSet[] {
  const levels: GtidSet[] = Array.from({ length: depth }, () => GtidSet.EMPTY);
  for (const set of sets) {
    for (let level = depth - 1; level >= 0; level -= 1) {
      const below = level === 0 ? set : (levels[level - 1] as GtidSet).intersect(set);
      levels[level] = (levels[level] as GtidSet).union(below);
    }
  }
  return levels;
}
