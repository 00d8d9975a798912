import type { Gtid } from '../domain/gtid.ts';
import { type GtidSet, GtidSetBuilder } from '../domain/gtid-set.ts';

/** Numbers of one UUID and tag: all up to `highest`, without the holes. */
interface Numbers {
  highest: bigint;
  /** Pairs of first and last missing number, ascending. */
  readonly holes: [bigint, bigint][];
}

/** Collects the GTIDs of a log and finds those that come twice; ascending numbers cost O(1). */
export class GtidHistory {
  readonly #builder = new GtidSetBuilder();
  readonly #lines = new Map<string, Map<string, Numbers>>();
  #previous: GtidSet | null = null;
  #lastUuid = '';
  #lastTag = '';
  #lastNumbers: Numbers | null = null;

  /** Sets what was logged before the file. */
  setPrevious(set: GtidSet): void {
    this.#previous = set;
  }

  /** Adds a GTID. Returns where it stands already, if it does. */
  add(gtid: Gtid): 'new' | 'in this file' | 'in PREVIOUS_GTIDS' {
    if (this.#previous?.contains(gtid)) return 'in PREVIOUS_GTIDS';
    if (!remember(this.#numbersOf(gtid), gtid.number)) return 'in this file';
    this.#builder.add(gtid);
    return 'new';
  }

  /** All that was added. */
  build(): GtidSet {
    return this.#builder.build();
  }

  #numbersOf(gtid: Gtid): Numbers {
    if (this.#lastNumbers !== null && gtid.uuid === this.#lastUuid && gtid.tag === this.#lastTag) {
      return this.#lastNumbers;
    }
    let tags = this.#lines.get(gtid.uuid);
    if (tags === undefined) {
      tags = new Map();
      this.#lines.set(gtid.uuid, tags);
    }
    let numbers = tags.get(gtid.tag);
    if (numbers === undefined) {
      numbers = { highest: 0n, holes: [] };
      tags.set(gtid.tag, numbers);
    }
    this.#lastUuid = gtid.uuid;
    this.#lastTag = gtid.tag;
    this.#lastNumbers = numbers;
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
