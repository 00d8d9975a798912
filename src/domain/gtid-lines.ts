import type { ServerUuid } from './identity.ts';
import type { Intervals } from './intervals.ts';

/** The numbers of one UUID under one tag. Never empty inside a set. */
export interface GtidLine {
  readonly uuid: ServerUuid;
  readonly tag: string;
  readonly intervals: Intervals;
}

/** Orders by UUID, then tag; the untagged line comes first. */
export function compareNames(aUuid: string, aTag: string, bUuid: string, bTag: string): number {
  if (aUuid !== bUuid) return aUuid < bUuid ? -1 : 1;
  if (aTag === bTag) return 0;
  return aTag < bTag ? -1 : 1;
}

export const NO_NUMBERS: Intervals = [];

/** Walks two sorted lists once; `combine` gets an empty side where a line is in one list only. */
export function mergeLines(
  a: readonly GtidLine[],
  b: readonly GtidLine[],
  combine: (a: Intervals, b: Intervals) => Intervals,
): GtidLine[] {
  const out: GtidLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    const order =
      left === undefined
        ? 1
        : right === undefined
          ? -1
          : compareNames(left.uuid, left.tag, right.uuid, right.tag);
    const { uuid, tag } = (order <= 0 ? left : right) as GtidLine;
    const fromA = order <= 0 && left !== undefined ? left.intervals : NO_NUMBERS;
    const fromB = order >= 0 && right !== undefined ? right.intervals : NO_NUMBERS;
    const intervals = combine(fromA, fromB);
    if (intervals.length > 0) out.push({ uuid, tag, intervals });
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
  }
  return out;
}

/** The pairs of a flat list, one by one. */
export function* pairsOf(intervals: Intervals): Generator<readonly [bigint, bigint]> {
  for (let i = 0; i < intervals.length; i += 2) {
    yield [intervals[i] as bigint, intervals[i + 1] as bigint];
  }
}
