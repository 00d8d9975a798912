import type { Gtid } from '../domain/gtid.ts';
import { type GtidSet, GtidSetBuilder } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';

/** Numbers of one UUID and tag: all from 1 to `highest`, without the holes. */
interface Numbers {
  readonly uuid: ServerUuid;
  readonly tag: string;
  highest: bigint;
  /** Pairs of first and last missing number, ascending. */
  readonly holes: [bigint, bigint][];
  /** Highest number before this file; a larger one cannot have been logged there. */
  readonly highestPrevious: bigint;
}

/** Collects the GTIDs of a log and finds those that come twice; ascending numbers cost O(1). */
export class GtidHistory {
  readonly #lines = new Map<string, Numbers>();
  readonly #previous: GtidSet;
  readonly #highestPrevious = new Map<string, bigint>();
  #last: Numbers | null = null;

  /** @param previous what was logged before the file */
  constructor(previous: GtidSet) {
    this.#previous = previous;
    previous.forEachRange((uuid, tag, _from, to) => this.#highestPrevious.set(`${uuid}:${tag}`, to));
  }

  /** Adds a GTID. Returns where it stands already, if it does. */
  add(gtid: Gtid): 'new' | 'in this file' | 'in PREVIOUS_GTIDS' {
    const numbers = this.#numbersOf(gtid);
    if (gtid.number <= numbers.highestPrevious && this.#previous.contains(gtid)) return 'in PREVIOUS_GTIDS';
    return remember(numbers, gtid.number) ? 'new' : 'in this file';
  }

  /** All that was added. */
  build(): GtidSet {
    const builder = new GtidSetBuilder();
    for (const { uuid, tag, highest, holes } of this.#lines.values()) {
      let from = 1n;
      for (const [first, last] of holes) {
        if (first > from) builder.addRange(uuid, tag, from, first - 1n);
        from = last + 1n;
      }
      builder.addRange(uuid, tag, from, highest);
    }
    return builder.build();
  }

  #numbersOf(gtid: Gtid): Numbers {
    const last = this.#last;
    if (last !== null && gtid.uuid === last.uuid && gtid.tag === last.tag) return last;
    const key = `${gtid.uuid}:${gtid.tag}`;
    let numbers = this.#lines.get(key);
    if (numbers === undefined) {
      const highestPrevious = this.#highestPrevious.get(key) ?? 0n;
      numbers = { uuid: gtid.uuid, tag: gtid.tag, highest: 0n, holes: [], highestPrevious };
      this.#lines.set(key, numbers);
    }
    this.#last = numbers;
    return numbers;
  }
}

/** Returns false where the number was there. */
function remember(numbers: Numbers, number: bigint): boolean {
  if (number > numbers.highest) {
    if (number > numbers.highest + 1n) numbers.holes.push([numbers.highest + 1n, number - 1n]);
    numbers.highest = number;
    return true;
  }
  // Late numbers fill young holes, so the search begins at the end.
  for (let i = numbers.holes.length - 1; i >= 0; i--) {
    const [from, to] = numbers.holes[i] as [bigint, bigint];
    if (number > to) return false;
    if (number < from) continue;
    const rest: [bigint, bigint][] = [];
    if (number > from) rest.push([from, number - 1n]);
    if (number < to) rest.push([number + 1n, to]);
    numbers.holes.splice(i, 1, ...rest);
    return true;
  }
  return false;
}
