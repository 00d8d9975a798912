import { GtidSet } from '../gtid-set.ts';
import type { SegmentFacts } from '../segment.ts';
import { type BodyOf, type CatalogView, oneLine } from './catalog-view.ts';

/** Logs of one timeline between which nothing is missing. Plain JSON. */
export interface ContiguousRange {
  readonly timeline: number;
  readonly logs: number;
  readonly transactions: number;
  /** `server_uuid/binlog` of the first and the last log. */
  readonly from: string;
  readonly to: string;
  readonly firstCommit: string | null;
  readonly lastCommit: string | null;
  /** GTIDs in its logs. */
  readonly gtids: string;
  readonly endsAt:
    | { readonly kind: 'end-of-archive' }
    /** Transactions that are in no log: `accepted` where an operator gave them up. */
    | { readonly kind: 'gap'; readonly missingGtids: string; readonly standing: 'accepted' | 'unexplained' };
}

type Archived = BodyOf<'segment-archived'>;

/** The contiguous ranges of a catalog, timeline by timeline, in order. */
export function contiguousRanges(view: CatalogView): ContiguousRange[] {
  const bodies = view.entries.map(({ body }) => body);
  const archived = bodies.filter((body): body is Archived => body.kind === 'segment-archived');
  const gaps = bodies.filter((body) => body.kind === 'gap-accepted');
  const lines = [...Map.groupBy(archived, ({ timeline }) => timeline)].sort(([a], [b]) => a - b);
  return lines.flatMap(([timeline, segments]) => {
    const given = gaps
      .filter((gap) => gap.timeline === timeline)
      .map((gap) => GtidSet.parse(gap.missingGtids));
    return rangesOf(
      timeline,
      segments.map(({ segment }) => segment),
      GtidSet.unionAll(given),
    );
  });
}

function rangesOf(timeline: number, segments: readonly SegmentFacts[], givenUp: GtidSet): ContiguousRange[] {
  const ranges: ContiguousRange[] = [];
  let open: SegmentFacts[] = [];
  let logged = GtidSet.EMPTY;
  for (const segment of segments) {
    const previous = GtidSet.parse(segment.previousGtids);
    const missing = open.length === 0 && ranges.length === 0 ? GtidSet.EMPTY : previous.subtract(logged);
    if (!missing.isEmpty) {
      const standing = missing.isSubsetOf(givenUp) ? 'accepted' : 'unexplained';
      ranges.push(
        rangeOf(timeline, open, { kind: 'gap', missingGtids: oneLine(missing.toString()), standing }),
      );
      open = [];
    }
    open.push(segment);
    logged = logged.union(previous).union(GtidSet.parse(segment.gtids));
  }
  ranges.push(rangeOf(timeline, open, { kind: 'end-of-archive' }));
  return ranges;
}

function rangeOf(
  timeline: number,
  segments: readonly SegmentFacts[],
  endsAt: ContiguousRange['endsAt'],
): ContiguousRange {
  const first = segments[0];
  const last = segments.at(-1);
  const gtids = GtidSet.unionAll(segments.map((segment) => GtidSet.parse(segment.gtids)));
  return {
    timeline,
    logs: segments.length,
    transactions: segments.reduce((sum, { transactions }) => sum + transactions, 0),
    from: placeOf(first),
    to: placeOf(last),
    firstCommit: segments.find(({ firstCommit }) => firstCommit !== null)?.firstCommit ?? null,
    lastCommit: segments.findLast(({ lastCommit }) => lastCommit !== null)?.lastCommit ?? null,
    gtids: oneLine(gtids.toString()),
    endsAt,
  };
}

function placeOf(segment: SegmentFacts | undefined): string {
  return segment === undefined ? '' : `${segment.serverUuid}/${segment.binlog}`;
}
