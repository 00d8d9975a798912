import { GtidSet } from '../gtid-set.ts';
import { type Chain, type CoverCopy, type Link, nextOf } from './cover-chain.ts';

type ReadableLink = Link & { readonly copy: CoverCopy };

/** A way to a state. */
interface Way {
  readonly there: GtidSet;
  readonly cost: number;
  readonly steps: number;
  readonly last: { readonly link: ReadableLink; readonly before: Way } | null;
}

export interface Found {
  readonly path: readonly ReadableLink[];
  readonly proof: 'cheapest' | 'good';
}

/**
 * The cheapest order of links that brings `wanted`, by uniform-cost search over what is there; of equal
 * cost the one with the fewest files. The caller knows that `wanted` can be reached. After `maxStates`
 * states it falls back to a greedy way.
 */
export function cheapestSteps(chains: readonly Chain[], wanted: GtidSet, maxStates: number): Found {
  const queue = new WayQueue();
  const settled = new Set<string>();
  queue.push({ there: GtidSet.EMPTY, cost: 0, steps: 0, last: null });
  for (let way = queue.pop(); way !== undefined && settled.size < maxStates; way = queue.pop()) {
    if (way.there.equals(wanted)) return { path: pathOf(way), proof: 'cheapest' };
    const key = way.there.toString();
    if (settled.has(key)) continue;
    settled.add(key);
    for (const next of onward(chains, way)) queue.push(next);
  }
  return { path: greedyPath(chains, wanted), proof: 'good' };
}

/** The ways on, one for each chain that can bring something now. */
function onward(chains: readonly Chain[], before: Way): Way[] {
  return chains.flatMap((chain): Way[] => {
    const link = nextOf(chain, before.there);
    if (link === null) return [];
    return [
      {
        there: before.there.union(link.brings),
        cost: before.cost + link.copy.cost,
        steps: before.steps + 1,
        last: { link, before },
      },
    ];
  });
}

/** Takes at each step the link with the least cost for each transaction that it adds. */
function greedyPath(chains: readonly Chain[], wanted: GtidSet): ReadableLink[] {
  let way: Way = { there: GtidSet.EMPTY, cost: 0, steps: 0, last: null };
  while (!way.there.equals(wanted)) {
    const [first, ...others] = onward(chains, way);
    if (first === undefined) break;
    const held = way.there.count();
    const price = (next: Way) =>
      (next.cost - (next.last?.before.cost ?? 0)) / Number(next.there.count() - held);
    way = others.reduce((best, next) => (price(next) < price(best) ? next : best), first);
  }
  return pathOf(way);
}

function pathOf(way: Way): ReadableLink[] {
  const path: ReadableLink[] = [];
  for (let at = way.last; at !== null; at = at.before.last) path.push(at.link);
  return path.reverse();
}

/** A binary heap: cheapest first, then fewest files. */
class WayQueue {
  readonly #heap: Way[] = [];

  push(way: Way): void {
    const heap = this.#heap;
    let at = heap.push(way) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(way, heap[parent] as Way)) break;
      heap[at] = heap[parent] as Way;
      at = parent;
    }
    heap[at] = way;
  }

  pop(): Way | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const smaller = right < heap.length && isBefore(heap[right] as Way, heap[left] as Way) ? right : left;
      if (smaller >= heap.length || !isBefore(heap[smaller] as Way, moved)) break;
      heap[at] = heap[smaller] as Way;
      at = smaller;
    }
    heap[at] = moved;
    return first;
  }
}

function isBefore(a: Way, b: Way): boolean {
  return a.cost === b.cost ? a.steps < b.steps : a.cost < b.cost;
}
