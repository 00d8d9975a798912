import { GtidSet } from '../gtid-set.ts';
import type { UnionConflict } from './conflict.ts';
import { compareInTime, loggedThrough, type MergedSegment, nameOfSegment } from './merged-segment.ts';

/** The logs of one timeline in one order, or why there is none. */
export type Ordered =
  | { readonly kind: 'ordered'; readonly segments: readonly MergedSegment[] }
  | { readonly kind: 'conflict'; readonly conflict: UnionConflict };

/**
 * Merges the orders in which several stores have the logs of a timeline into one that agrees with each. Where
 * none of them tells, epoch and PREVIOUS_GTIDS do. Logs of one server that do not follow from one another
 * are a conflict.
 */
export function mergeOrders(lists: readonly (readonly MergedSegment[])[]): Ordered {
  const [first = [], ...others] = lists;
  if (others.length === 0) return { kind: 'ordered', segments: first };
  const segments: MergedSegment[] = [];
  const at = lists.map(() => 0);
  const places = lists.map((list) => new Map(list.map((it, index) => [it, index])));
  for (;;) {
    const heads = [...new Set(lists.flatMap((list, index) => list[at[index] ?? 0] ?? []))];
    const [some] = heads;
    if (some === undefined) break;
    const isFree = (it: MergedSegment) =>
      places.every((own, index) => (own.get(it) ?? 0) <= (at[index] ?? 0));
    const next = heads
      .filter(isFree)
      .reduce<MergedSegment | null>(
        (best, it) => (best === null || compareInTime(it, best) < 0 ? it : best),
        null,
      );
    if (next === null) return { kind: 'conflict', conflict: otherOrder(heads, some) };
    segments.push(next);
    lists.forEach((list, index) => {
      if (list[at[index] ?? 0] === next) at[index] = (at[index] ?? 0) + 1;
    });
  }
  const conflict = divergence(segments);
  return conflict === null ? { kind: 'ordered', segments } : { kind: 'conflict', conflict };
}

function otherOrder(heads: readonly MergedSegment[], { segment }: MergedSegment): UnionConflict {
  const stores = [...new Set(heads.flatMap((head) => head.stores))];
  return { kind: 'other-order', stores, name: nameOfSegment(segment) };
}

/** Each log of a server must have all before it that the one before it had, and all that was in it. */
function divergence(segments: readonly MergedSegment[]): UnionConflict | null {
  const last = new Map<string, { readonly log: MergedSegment; readonly through: GtidSet }>();
  for (const log of segments) {
    const { segment } = log;
    const before = last.get(segment.serverUuid);
    if (before !== undefined) {
      const previous = GtidSet.parse(segment.previousGtids);
      const gtids = before.through
        .subtract(previous)
        .union(GtidSet.parse(segment.gtids).intersect(before.through));
      // Only a clock that was set back does that to one server, and a reset to two histories of it.
      const isBackInTime = segment.createdAt < before.log.segment.createdAt && !shareStore(log, before.log);
      if (!gtids.isEmpty || isBackInTime) return divergent(before.log, log, gtids);
    }
    last.set(segment.serverUuid, { log, through: loggedThrough(log) });
  }
  return null;
}

function shareStore(a: MergedSegment, b: MergedSegment): boolean {
  return a.stores.some((store) => b.stores.includes(store));
}

function divergent(a: MergedSegment, b: MergedSegment, gtids: GtidSet): UnionConflict {
  const stores = [...new Set([...a.stores, ...b.stores])];
  const logs = [nameOfSegment(a.segment), nameOfSegment(b.segment)] as const;
  return { kind: 'divergent', stores, logs, gtids: gtids.toString() };
}
