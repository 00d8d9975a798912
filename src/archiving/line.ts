import type { CatalogState } from '../catalog/fold.ts';
import type { LineState } from '../domain/archive-line.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';

/** The newest timeline of a server as a catalog has it; null where it has none. */
export function newestLine(state: CatalogState, serverUuid: ServerUuid): LineState | null {
  const own = state.timelines().filter((started) => started.serverUuid === serverUuid);
  const timeline = own.at(-1)?.timeline;
  if (timeline === undefined) return null;
  return {
    serverUuid,
    timeline,
    segments: state.segments(timeline).map(({ segment }) => segment),
    acceptedGaps: acceptedGaps(state, timeline).toString(),
  };
}

/** GTIDs that were given up on a timeline. */
export function acceptedGaps(state: CatalogState, timeline: number): GtidSet {
  const gaps = state.acceptedGaps().filter((gap) => gap.timeline === timeline);
  return GtidSet.unionAll(gaps.map((gap) => GtidSet.parse(gap.missingGtids)));
}

/** The number that the next timeline of a repository gets. */
export function nextTimeline(state: CatalogState): number {
  return Math.max(0, ...state.timelines().map(({ timeline }) => timeline)) + 1;
}
