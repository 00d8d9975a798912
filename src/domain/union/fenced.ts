import { GtidSet } from '../gtid-set.ts';
import type { MergedHandoff } from './merged-handoff.ts';
import { type MergedSegment, nameOfSegment } from './merged-segment.ts';

/** A log of an old writer: its store had not got the handoff yet that took the archive away from it. */
export interface FencedLog {
  readonly timeline: number;
  readonly name: string;
  readonly stores: readonly string[];
  /** The epoch that the handoff raised. */
  readonly epoch: number;
  /** Transactions in it that the history behind the handoff does not have. */
  readonly gtids: string;
}

/**
 * The logs of a timeline that were written before a handoff, in stores that have not got it, while none that
 * has it holds them: an old writer may have gone on there. They count where the history behind the handoff
 * holds all that is in them, and never else.
 */
export function fencedLogs(
  timeline: number,
  segments: readonly MergedSegment[],
  handoffs: readonly MergedHandoff[],
): { readonly log: MergedSegment; readonly told: FencedLog }[] {
  return handoffs.flatMap((handoff) => {
    const suspects = segments.filter(
      ({ epoch, stores }) => epoch < handoff.epoch && !stores.some((store) => handoff.stores.includes(store)),
    );
    if (suspects.length === 0) return [];
    const behind = historyBehind(segments, handoff);
    return suspects.flatMap((log) => {
      const gtids = GtidSet.parse(log.segment.gtids).subtract(behind);
      if (gtids.isEmpty && log.segment.anonymousTransactions === 0) return [];
      const { stores } = log;
      const name = nameOfSegment(log.segment);
      return [{ log, told: { timeline, name, stores, epoch: handoff.epoch, gtids: gtids.toString() } }];
    });
  });
}

/** What the stores that have a handoff know of the history that it continues. */
function historyBehind(segments: readonly MergedSegment[], { epoch, route, stores }: MergedHandoff): GtidSet {
  const known = segments
    .filter((it) => it.epoch >= epoch || it.stores.some((store) => stores.includes(store)))
    .flatMap(({ segment }) => [GtidSet.parse(segment.previousGtids), GtidSet.parse(segment.gtids)]);
  const isContinued = route.kind === 'source' && route.continuity.kind === 'continues';
  return GtidSet.unionAll([...known, GtidSet.parse(isContinued ? route.continuity.baselineGtids : '')]);
}
