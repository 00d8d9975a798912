/**
 * Arithmetic on sets of whole numbers, kept as flat pairs `[from, to, from, to, …]`: both ends
 * included, ascending, and with at least one number missing between two pairs. Every function
 * walks its inputs once.
 */
export type Intervals = readonly bigint[];

/** Reads an index that the caller knows to lie inside the array. */
function at(list: Intervals, index: number): bigint {
  return list[index] as bigint;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** Appends a pair that starts at or after the last pair's start, merging where they touch. */
function append(out: bigint[], from: bigint, to: bigint): void {
  const last = out.length - 1;
  if (last > 0 && from <= at(out, last) + 1n) {
    if (to > at(out, last)) out[last] = to;
    return;
  }
  out.push(from, to);
}

/** Numbers in either set. */
export function unionIntervals(a: Intervals, b: Intervals): Intervals {
  const out: bigint[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (j >= b.length || (i < a.length && at(a, i) <= at(b, j))) {
      append(out, at(a, i), at(a, i + 1));
      i += 2;
    } else {
      append(out, at(b, j), at(b, j + 1));
      j += 2;
    }
  }
  return out;
}

/** Numbers in both sets. */
export function intersectIntervals(a: Intervals, b: Intervals): Intervals {
  const out: bigint[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const from = larger(at(a, i), at(b, j));
    const aEnds = at(a, i + 1) <= at(b, j + 1);
    const to = aEnds ? at(a, i + 1) : at(b, j + 1);
    if (from <= to) out.push(from, to);
    if (aEnds) i += 2;
    else j += 2;
  }
  return out;
}

/** Numbers of the first set that are not in the second. */
export function subtractIntervals(a: Intervals, b: Intervals): Intervals {
  const out: bigint[] = [];
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    let from = at(a, i);
    const to = at(a, i + 1);
    while (j < b.length && at(b, j + 1) < from) j += 2;
    // The pair at j may reach into the next pair of `a`, so j stays where a pair is not used up.
    while (j < b.length && at(b, j) <= to) {
      if (at(b, j) > from) out.push(from, at(b, j) - 1n);
      from = at(b, j + 1) + 1n;
      if (from > to) break;
      j += 2;
    }
    if (from <= to) out.push(from, to);
  }
  return out;
}

/** True where every number of the first set is in the second. */
export function isSubsetIntervals(a: Intervals, b: Intervals): boolean {
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    while (j < b.length && at(b, j + 1) < at(a, i)) j += 2;
    if (j >= b.length || at(b, j) > at(a, i) || at(b, j + 1) < at(a, i + 1)) return false;
  }
  return true;
}

/** True where both hold the same numbers. */
export function equalIntervals(a: Intervals, b: Intervals): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** True where the set holds the number; a binary search. */
export function containsNumber(set: Intervals, wanted: bigint): boolean {
  let low = 0;
  let high = set.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(set, middle * 2 + 1) < wanted) low = middle + 1;
    else high = middle;
  }
  return low * 2 < set.length && at(set, low * 2) <= wanted;
}

/** How many numbers the set holds. */
export function countNumbers(set: Intervals): bigint {
  let count = 0n;
  for (let i = 0; i < set.length; i += 2) count += at(set, i + 1) - at(set, i) + 1n;
  return count;
}

/** The lowest number from 1 on that is not in the set. */
export function lowestUnused(set: Intervals): bigint {
  return set.length > 0 && at(set, 0) === 1n ? at(set, 1) + 1n : 1n;
}

const COMPACT_AT_LEAST = 2048;

/**
 * Collects pairs in any order. Ascending adds touch only the last pair; others wait and are
 * sorted when their number has doubled, so n adds cost O(n log n) at worst and memory follows
 * the number of pairs in the result.
 */
export class IntervalsBuilder {
  #pairs: bigint[] = [];
  #sorted = true;
  #compactAt = COMPACT_AT_LEAST;

  /** Adds the numbers `from` to `to`, both included; the caller has checked `from <= to`. */
  add(from: bigint, to: bigint): void {
    const last = this.#pairs.length - 1;
    if (last > 0) {
      const end = at(this.#pairs, last);
      if (from >= at(this.#pairs, last - 1) && from <= end + 1n) {
        if (to > end) this.#pairs[last] = to;
        return;
      }
      if (from <= end) this.#sorted = false;
    }
    this.#pairs.push(from, to);
    if (!this.#sorted && this.#pairs.length >= this.#compactAt) this.#compact();
  }

  /** The numbers added so far; more may be added after. */
  build(): Intervals {
    if (!this.#sorted) this.#compact();
    return this.#pairs.slice();
  }

  #compact(): void {
    const starts: number[] = [];
    for (let i = 0; i < this.#pairs.length; i += 2) starts.push(i);
    const pairs = this.#pairs;
    starts.sort((x, y) => (at(pairs, x) < at(pairs, y) ? -1 : at(pairs, x) > at(pairs, y) ? 1 : 0));
    const merged: bigint[] = [];
    for (const i of starts) append(merged, at(pairs, i), at(pairs, i + 1));
    this.#pairs = merged;
    this.#sorted = true;
    this.#compactAt = Math.max(COMPACT_AT_LEAST, merged.length * 2);
  }
}
