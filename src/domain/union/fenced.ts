import { GtidSet } from '../gtid-set.ts';
import type { UnionConflict } from './conflict.ts';
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
  const found = new Map<MergedSegment, FencedLog>();
  for (const handoff of handoffs) {
    const { epoch, stores: informed } = handoff;
    const suspects = segments.filter(
      (it) => it.epoch < epoch && !it.stores.some((store) => informed.includes(store)) && !found.has(it),
    );
    if (suspects.length === 0) continue;
    const behind = historyBehind(segments, handoff);
    for (const log of suspects) {
      const gtids = GtidSet.parse(log.segment.gtids).subtract(behind);
      const { stores, segment } = log;
      if (gtids.isEmpty) continue;
      found.set(log, { timeline, name: nameOfSegment(segment), stores, epoch, gtids: gtids.toString() });
    }
  }
  return [...found].map(([log, told]) => ({ log, told }));
}

/**
 * Of a log that is left out, transactions without a GTID leave no trace: whether they belong to the history is
 * then for people to say, and nothing is planned over them.
 */
export function fencedConflict(
  fenced: readonly { readonly log: MergedSegment; readonly told: FencedLog }[],
): UnionConflict[] {
  const found = fenced.find(({ log }) => log.segment.anonymousTransactions > 0);
  if (found === undefined) return [];
  const { stores, name, epoch } = found.told;
  return [{ kind: 'anonymous-behind-handoff', stores, name, epoch }];
}

/** What the stores that have a handoff know of the history that it continues. */
function historyBehind(segments: readonly MergedSegment[], { epoch, route, stores }: MergedHandoff): GtidSet {
  const known = segments
    .filter((it) => it.epoch >= epoch || it.stores.some((store) => stores.includes(store)))
    .flatMap(({ segment }) => [GtidSet.parse(segment.previousGtids), GtidSet.parse(segment.gtids)]);
  const isContinued = route.kind === 'source' && route.continuity.kind === 'continues';
  return GtidSet.unionAll([...known, GtidSet.parse(isContinued ? route.continuity.baselineGtids : '')]);
}
