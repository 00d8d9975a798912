import type { ArchivedSegment, Handoff } from '../../src/catalog/fold.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';

type Segment = Pick<ArchivedSegment, 'sequence' | 'timeline'> & {
  readonly segment: Pick<
    ArchivedSegment['segment'],
    'serverUuid' | 'binlog' | 'createdAt' | 'gtids' | 'transactions' | 'anonymousTransactions'
  >;
};

/** How often the transactions of a catalog lie in its logs. */
export interface Onceness {
  /** Sentences; empty where each transaction lies where it may, and only there. */
  readonly faults: readonly string[];
  readonly logs: number;
  readonly transactions: bigint;
  /** Logs of heirs that were archived whole, though another server's logs hold a part of them; with how much that is. */
  readonly repeats: readonly { readonly binlog: string; readonly repeated: bigint }[];
}

/**
 * Judges a catalog: within a timeline each transaction lies exactly once in the logs of one server. Logs of two servers
 * hold the same one only where a handoff made the later server go on with the timeline, only in the first log behind
 * that handoff which brings anything new (docs/operations.md: one that is archived in part is archived whole), and
 * never without anything new. Holds for `redundancy: 1`, and for heirs that commit in the order of the primary. Pure.
 */
export function judgeOnce(
  segments: readonly Segment[],
  handoffs: readonly Pick<Handoff, 'sequence' | 'route'>[],
): Onceness {
  const faults: string[] = [];
  const repeats: { readonly binlog: string; readonly repeated: bigint }[] = [];
  const held = new Map<number, GtidSet>();
  const heldByServer = new Map<string, GtidSet>();
  const seen = new Set<string>();
  const usedHandoffs = new Set<number>();
  let transactions = 0n;
  for (const { sequence, timeline, segment } of segments) {
    const { serverUuid, binlog, createdAt } = segment;
    const gtids = GtidSet.parse(segment.gtids);
    const line = `${serverUuid} on timeline ${timeline}`;
    transactions += BigInt(segment.transactions);
    const log = `${serverUuid}/${binlog}/${createdAt}`;
    if (seen.has(log)) faults.push(`${binlog} of ${serverUuid} stands twice`);
    seen.add(log);
    const named = gtids.count() + BigInt(segment.anonymousTransactions);
    if (named !== BigInt(segment.transactions))
      faults.push(`${binlog} has ${segment.transactions} transactions and ${named} names for them`);
    const own = heldByServer.get(line) ?? GtidSet.EMPTY;
    const twice = own.intersect(gtids);
    if (!twice.isEmpty) faults.push(`${twice} lie twice in logs of ${line}, again in ${binlog}`);
    const all = held.get(timeline) ?? GtidSet.EMPTY;
    const repeated = all.subtract(own).intersect(gtids);
    if (!repeated.isEmpty) {
      const handoff = handoffs.findLast(
        (it) => it.sequence < sequence && namesHeir(it, serverUuid, timeline),
      );
      const why =
        handoff === undefined
          ? 'and no handoff made it go on there'
          : usedHandoffs.has(handoff.sequence)
            ? 'and it is not the first one behind the handoff that does'
            : gtids.isSubsetOf(all)
              ? 'and it brings nothing else'
              : null;
      if (why !== null) faults.push(`${binlog} of ${line} repeats ${repeated} of another server, ${why}`);
      if (handoff !== undefined) usedHandoffs.add(handoff.sequence);
      repeats.push({ binlog, repeated: repeated.count() });
    }
    heldByServer.set(line, own.union(gtids));
    held.set(timeline, all.union(gtids));
  }
  return { faults, logs: segments.length, transactions, repeats };
}

function namesHeir({ route }: Pick<Handoff, 'route'>, serverUuid: string, timeline: number): boolean {
  return (
    route.kind === 'source' &&
    route.to.serverUuid === serverUuid &&
    route.continuity.kind === 'continues' &&
    route.continuity.timeline === timeline
  );
}
