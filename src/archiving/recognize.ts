import type { CatalogState } from '../catalog/fold.ts';
import type { LineState } from '../domain/archive-line.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';
import { recognizeLogs } from '../domain/routing/recognition.ts';

/** A log, as far as its head is known. */
interface KnownHead {
  readonly peek: { readonly previousGtids: string } | null;
}

/** The closed logs of a server, oldest first, and the one behind them; null where the server is gone. */
interface RecognizedFacts {
  readonly serverUuid: ServerUuid;
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  readonly closed: readonly { readonly source: KnownHead }[];
  readonly open: KnownHead | null;
  /** In how many servers' logs each transaction shall be archived. */
  readonly redundancy: number;
}

/**
 * Finds the closed logs of an heir that bring nothing: all their transactions lie archived on its
 * timeline, in other servers' logs. Only the GTIDs of the heads tell, so a log is looked through where
 * every transaction has one. Other histories never count: the same GTID may be another transaction there.
 *
 * @returns places in `closed`
 */
export function recognizedLogs(
  state: CatalogState,
  line: LineState | null,
  { serverUuid, gtidMode, closed, open, redundancy }: RecognizedFacts,
): ReadonlySet<number> {
  if (line === null || line.heirship === null || gtidMode !== 'ON') return new Set();
  const { coveredGtids, baselineGtids } = line.heirship;
  const covered = GtidSet.parse(coveredGtids).subtract(GtidSet.parse(baselineGtids));
  const heads = [...closed.map(({ source }) => source), open].map((log) =>
    log === null || log.peek === null ? null : GtidSet.parse(log.peek.previousGtids),
  );
  const logs = closed.flatMap((_, index) => {
    const [previousGtids, successorPreviousGtids] = [heads[index] ?? null, heads[index + 1] ?? null];
    if (previousGtids === null || successorPreviousGtids === null) return [];
    // A log without transactions is wanted at the end of the history: it tells how that goes on.
    const isEmpty = successorPreviousGtids.isSubsetOf(previousGtids);
    if (isEmpty && covered.isSubsetOf(previousGtids)) return [];
    return [{ binlog: String(index), previousGtids, successorPreviousGtids }];
  });
  const found = recognizeLogs({ serverUuid, logs, archivedBy: archivedBy(state, line.timeline), redundancy });
  return new Set(found.filter(({ kind }) => kind === 'recognized').map(({ binlog }) => Number(binlog)));
}

function archivedBy(state: CatalogState, timeline: number): ReadonlyMap<string, GtidSet> {
  const byServer = Map.groupBy(state.segments(timeline), ({ segment }) => segment.serverUuid);
  return new Map(
    [...byServer].map(([uuid, segments]) => [
      uuid,
      GtidSet.unionAll(segments.map(({ segment }) => GtidSet.parse(segment.gtids))),
    ]),
  );
}
