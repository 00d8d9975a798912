import type { CatalogState } from '../catalog/fold.ts';
import type { Heirship, LineState } from '../domain/archive-line.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';

/**
 * The newest timeline of a server as a catalog has it: the last one that it began, or that a handoff
 * after that named it to go on with. Null where it has none.
 */
export function newestLine(state: CatalogState, serverUuid: ServerUuid): LineState | null {
  const own = state.timelines().filter((started) => started.serverUuid === serverUuid);
  const inherited = inheritedTimeline(state, serverUuid, own.at(-1)?.sequence ?? 0);
  const timeline = inherited?.timeline ?? own.at(-1)?.timeline;
  if (timeline === undefined) return null;
  const segments = state.segments(timeline).map(({ segment }) => segment);
  return {
    serverUuid,
    timeline,
    heirship: inherited === null ? null : heirshipOf(state, inherited),
    segments: segments.filter((segment) => segment.serverUuid === serverUuid),
    acceptedGaps: acceptedGaps(state, timeline).toString(),
  };
}

/** Who goes on with the archive by a catalog, and on which timeline. */
export interface CurrentLine {
  readonly serverUuid: ServerUuid;
  readonly timeline: number;
}

/** The timeline that was begun or handed over last; null before the first, and while a resync has not begun its own yet. */
export function currentLine(state: CatalogState): CurrentLine | null {
  const begun = state.timelines().at(-1);
  const handed = state.handoffs().findLast(({ route }) => route.kind === 'source');
  if (handed?.route.kind === 'source' && handed.sequence > (begun?.sequence ?? 0)) {
    const { to, continuity } = handed.route;
    return continuity.kind === 'continues'
      ? { serverUuid: to.serverUuid, timeline: continuity.timeline }
      : null;
  }
  return begun === undefined ? null : { serverUuid: begun.serverUuid, timeline: begun.timeline };
}

type Inherited = Pick<Heirship, 'timeline' | 'baselineGtids'>;

/** What the last handoff to a server gave it, where that came after the last timeline that it began itself. */
function inheritedTimeline(state: CatalogState, serverUuid: ServerUuid, after: number): Inherited | null {
  const last = state
    .handoffs()
    .findLast(({ route }) => route.kind === 'source' && route.to.serverUuid === serverUuid);
  if (last === undefined || last.sequence < after || last.route.kind !== 'source') return null;
  const { continuity } = last.route;
  return continuity.kind === 'continues' ? continuity : null;
}

/** Null where nothing is archived on the timeline yet: then nothing before its first log is missed. */
function heirshipOf(state: CatalogState, { timeline, baselineGtids }: Inherited): Heirship | null {
  const [first] = state.segments(timeline);
  if (first === undefined) return null;
  const covered = state.archivedThrough(timeline).union(GtidSet.parse(first.segment.previousGtids));
  return { timeline, baselineGtids, coveredGtids: covered.toString() };
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
