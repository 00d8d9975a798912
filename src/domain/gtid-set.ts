import { AppError } from './errors.ts';
import { type Gtid, MAX_GTID_NUMBER } from './gtid.ts';
import { compareNames, type GtidLine, mergeLines, NO_NUMBERS, pairsOf } from './gtid-lines.ts';
import { readGtidSet } from './gtid-set-parser.ts';
import type { ServerUuid } from './identity.ts';
import {
  containsNumber,
  countNumbers,
  equalIntervals,
  IntervalsBuilder,
  intersectIntervals,
  isSubsetIntervals,
  lowestUnused,
  subtractIntervals,
  unionIntervals,
} from './intervals.ts';

function printPair(from: bigint, to: bigint): string {
  return from === to ? `${from}` : `${from}-${to}`;
}

/**
 * An immutable set of GTIDs. Its text is the server's own normal form: UUIDs in order, for each
 * first the numbers without a tag, then the tags in order, entries joined by `,\n`. All
 * operations are linear in the number of intervals.
 */
export class GtidSet {
  static readonly EMPTY = new GtidSet([]);

  /** Sorted by UUID, then tag. */
  readonly #lines: readonly GtidLine[];

  private constructor(lines: readonly GtidLine[]) {
    this.#lines = lines;
  }

  /** Parses a set as the server prints it or people write it; '' is the empty set. @throws refused, with the place */
  static parse(text: string): GtidSet {
    const builder = new GtidSetBuilder();
    readGtidSet(text, (uuid, tag, from, to) => builder.addRange(uuid, tag, from, to));
    return builder.build();
  }

  /** The set of the given GTIDs. */
  static of(...gtids: readonly Gtid[]): GtidSet {
    const builder = new GtidSetBuilder();
    for (const gtid of gtids) builder.add(gtid);
    return builder.build();
  }

  /** The union of many sets, O(n log n) in all their intervals; a fold of `union` would be quadratic. */
  static unionAll(sets: Iterable<GtidSet>): GtidSet {
    const builder = new GtidSetBuilder();
    for (const set of sets) builder.addSet(set);
    return builder.build();
  }

  /** Makes a set of lines that are sorted, distinct and not empty; for GtidSetBuilder only. */
  static fromSortedLines(lines: readonly GtidLine[]): GtidSet {
    return lines.length === 0 ? GtidSet.EMPTY : new GtidSet(lines);
  }

  /** The server's normal form; '' for the empty set. */
  toString(): string {
    let text = '';
    let uuid = '';
    for (const line of this.#lines) {
      if (line.uuid !== uuid) text += `${uuid === '' ? '' : ',\n'}${line.uuid}`;
      uuid = line.uuid;
      if (line.tag !== '') text += `:${line.tag}`;
      for (const [from, to] of pairsOf(line.intervals)) text += `:${printPair(from, to)}`;
    }
    return text;
  }

  /** JSON holds the canonical text. */
  toJSON(): string {
    return this.toString();
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** GTIDs in either set. */
  union(other: GtidSet): GtidSet {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    return GtidSet.fromSortedLines(mergeLines(this.#lines, other.#lines, unionIntervals));
  }

  /** GTIDs of this set that are not in the other. */
  subtract(other: GtidSet): GtidSet {
    if (other.isEmpty) return this;
    return GtidSet.fromSortedLines(mergeLines(this.#lines, other.#lines, subtractIntervals));
  }

  /** GTIDs in both sets. */
  intersect(other: GtidSet): GtidSet {
    return GtidSet.fromSortedLines(mergeLines(this.#lines, other.#lines, intersectIntervals));
  }

  /** True where the other set holds all of this one. */
  isSubsetOf(other: GtidSet): boolean {
    let j = 0;
    return this.#lines.every((line) => {
      let right = other.#lines[j];
      while (right !== undefined && compareNames(right.uuid, right.tag, line.uuid, line.tag) < 0) {
        j += 1;
        right = other.#lines[j];
      }
      const same = right !== undefined && right.uuid === line.uuid && right.tag === line.tag;
      return same && isSubsetIntervals(line.intervals, (right as GtidLine).intervals);
    });
  }

  /** True where the set holds this GTID; a binary search. */
  contains(gtid: Gtid): boolean {
    const line = this.#find(gtid.uuid, gtid.tag);
    return line !== undefined && containsNumber(line.intervals, gtid.number);
  }

  equals(other: GtidSet): boolean {
    return (
      this.#lines.length === other.#lines.length &&
      this.#lines.every((line, index) => {
        const right = other.#lines[index] as GtidLine;
        return (
          line.uuid === right.uuid &&
          line.tag === right.tag &&
          equalIntervals(line.intervals, right.intervals)
        );
      })
    );
  }

  /** How many GTIDs the set holds. */
  count(): bigint {
    return this.#lines.reduce((sum, line) => sum + countNumbers(line.intervals), 0n);
  }

  /** The lowest number not used under this UUID and tag: the one GTID_NEXT=AUTOMATIC would give. @throws refused where all are used */
  next(uuid: ServerUuid, tag: string): bigint {
    const number = lowestUnused(this.#find(uuid, tag)?.intervals ?? NO_NUMBERS);
    if (number <= MAX_GTID_NUMBER) return number;
    throw new AppError({
      code: 'GtidsExhausted',
      kind: 'refused',
      message: `Every GTID number of ${uuid} is used, so that server can commit no further transaction.`,
      hint: 'Give the server a new server_uuid.',
      facts: { uuid, tag },
    });
  }

  /** Each interval on its own, in canonical order: `uuid:4`, `uuid:6-9`, `uuid:tag:1-3`. */
  ranges(): string[] {
    return this.#lines.flatMap((line) => {
      const name = line.tag === '' ? line.uuid : `${line.uuid}:${line.tag}`;
      return Array.from(pairsOf(line.intervals), ([from, to]) => `${name}:${printPair(from, to)}`);
    });
  }

  /** Calls back for each interval, both ends included, in canonical order. */
  forEachRange(visit: (uuid: ServerUuid, tag: string, from: bigint, to: bigint) => void): void {
    for (const line of this.#lines) {
      for (const [from, to] of pairsOf(line.intervals)) visit(line.uuid, line.tag, from, to);
    }
  }

  #find(uuid: ServerUuid, tag: string): GtidLine | undefined {
    let low = 0;
    let high = this.#lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const line = this.#lines[middle] as GtidLine;
      if (compareNames(line.uuid, line.tag, uuid, tag) < 0) low = middle + 1;
      else high = middle;
    }
    const line = this.#lines[low];
    return line !== undefined && line.uuid === uuid && line.tag === tag ? line : undefined;
  }
}

interface OpenLine {
  readonly uuid: ServerUuid;
  readonly tag: string;
  readonly numbers: IntervalsBuilder;
}

/** Collects GTIDs into a set. Adding in ascending order is O(1); any order is O(n log n) in all. */
export class GtidSetBuilder {
  readonly #lines = new Map<string, Map<string, OpenLine>>();
  #last: OpenLine | null = null;

  add(gtid: Gtid): void {
    this.#line(gtid.uuid, gtid.tag).numbers.add(gtid.number, gtid.number);
  }

  addNumber(uuid: ServerUuid, tag: string, number: bigint): void {
    this.#line(uuid, tag).numbers.add(number, number);
  }

  /** Adds `from` to `to`, both included; the caller has checked that `from` is not above `to`. */
  addRange(uuid: ServerUuid, tag: string, from: bigint, to: bigint): void {
    this.#line(uuid, tag).numbers.add(from, to);
  }

  addSet(set: GtidSet): void {
    set.forEachRange((uuid, tag, from, to) => this.addRange(uuid, tag, from, to));
  }

  /** The set of all added so far; more may be added after. */
  build(): GtidSet {
    const lines: GtidLine[] = [];
    for (const byTag of this.#lines.values()) {
      for (const { uuid, tag, numbers } of byTag.values())
        lines.push({ uuid, tag, intervals: numbers.build() });
    }
    return GtidSet.fromSortedLines(lines.sort((a, b) => compareNames(a.uuid, a.tag, b.uuid, b.tag)));
  }

  #line(uuid: ServerUuid, tag: string): OpenLine {
    const last = this.#last;
    if (last !== null && last.uuid === uuid && last.tag === tag) return last;
    let byTag = this.#lines.get(uuid);
    if (byTag === undefined) {
      byTag = new Map();
      this.#lines.set(uuid, byTag);
    }
    let line = byTag.get(tag);
    if (line === undefined) {
      line = { uuid, tag, numbers: new IntervalsBuilder() };
      byTag.set(tag, line);
    }
    this.#last = line;
    return line;
  }
}
