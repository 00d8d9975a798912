import { acceptedGaps, newestLine } from '../archiving/line.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';

/**
 * All that a timeline covers: archived on it, logged before its first log, or given up.
 * @param before only entries in front of this sequence count
 */
export function coveredOn(
  state: CatalogState,
  timeline: number,
  before: number = Number.POSITIVE_INFINITY,
): GtidSet {
  const segments = state.segments(timeline).filter(({ sequence }) => sequence < before);
  const [first] = segments;
  if (first === undefined) return GtidSet.EMPTY;
  const archived = Number.isFinite(before)
    ? GtidSet.unionAll(segments.map(({ segment }) => GtidSet.parse(segment.gtids)))
    : state.archivedThrough(timeline);
  return archived.union(GtidSet.parse(first.segment.previousGtids)).union(acceptedGaps(state, timeline));
}

/** What the timeline covers that a server's logs are archived on; empty where it has none. */
export function coveredOf(state: CatalogState, serverUuid: ServerUuid): GtidSet {
  const line = newestLine(state, serverUuid);
  return line === null ? GtidSet.EMPTY : coveredOn(state, line.timeline);
}
