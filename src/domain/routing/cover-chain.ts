import { GtidSet } from '../gtid-set.ts';

/** One readable copy of an archived log. */
export interface CoverCopy {
  readonly store: string;
  /** What reading it costs, in any unit that is the same for all; not below zero. */
  readonly cost: number;
}

/** One archived log of one server. */
export interface CoverSegment {
  /** Logs of one chain stand in the order in which one server wrote them, without a reset between. */
  readonly chain: string;
  readonly binlog: string;
  /** All that its server had executed before it: PREVIOUS_GTIDS, and what was never in a log of that server. */
  readonly before: GtidSet;
  readonly gtids: GtidSet;
  /** Empty where it cannot be read now. */
  readonly copies: readonly CoverCopy[];
}

/** A log as far as it matters to what is wanted. */
export interface Link {
  readonly segment: CoverSegment;
  /** What must be there before it can be sent. */
  readonly needs: GtidSet;
  readonly brings: GtidSet;
  /** The cheapest; null where none can be read. */
  readonly copy: CoverCopy | null;
}

/** Logs of one server in order: each link needs all that the ones before it need and bring. */
export type Chain = readonly Link[];

/** Sorts logs into chains, without those that bring nothing that is wanted. */
export function chainsOf(segments: readonly CoverSegment[], wanted: GtidSet): Chain[] {
  return [...Map.groupBy(segments, ({ chain }) => chain).values()].flatMap((own) => {
    const links = own.map((segment) => linkOf(segment, wanted)).filter(({ brings }) => !brings.isEmpty);
    return splitWhereBroken(links);
  });
}

function linkOf(segment: CoverSegment, wanted: GtidSet): Link {
  const copy = segment.copies.reduce<CoverCopy | null>(
    (best, one) => (best === null || one.cost < best.cost ? one : best),
    null,
  );
  return {
    segment,
    needs: segment.before.intersect(wanted),
    brings: segment.gtids.intersect(wanted).subtract(segment.before),
    copy,
  };
}

/** A chain in which a log does not build on the one before it would mislead the search, which relies on that. */
function splitWhereBroken(links: readonly Link[]): Chain[] {
  const chains: Link[][] = [];
  let last: Link | undefined;
  for (const link of links) {
    const follows = last?.needs.union(last.brings).isSubsetOf(link.needs) ?? false;
    if (follows) chains.at(-1)?.push(link);
    else chains.push([link]);
    last = link;
  }
  return chains;
}

/**
 * The one link of a chain that can be sent next and brings something; null where there is none. Links
 * before the last that can be sent bring nothing new, because it needs all that they bring.
 */
export function nextOf(chain: Chain, there: GtidSet): (Link & { readonly copy: CoverCopy }) | null {
  let low = 0;
  let high = chain.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chain[middle] as Link).needs.isSubsetOf(there)) low = middle + 1;
    else high = middle;
  }
  const link = chain[low - 1];
  if (link === undefined || link.copy === null || link.brings.isSubsetOf(there)) return null;
  return { ...link, copy: link.copy };
}

/** All that the chains can bring in any order; what is there only ever opens ways, so any order finds it. */
export function closureOf(chains: readonly Chain[]): GtidSet {
  let there = GtidSet.EMPTY;
  for (let moved = true; moved; ) {
    moved = false;
    for (const chain of chains) {
      for (let link = nextOf(chain, there); link !== null; link = nextOf(chain, there)) {
        there = there.union(link.brings);
        moved = true;
      }
    }
  }
  return there;
}
