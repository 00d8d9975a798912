import type { BoundaryAnswer, BoundaryAnswers, BoundaryTransaction, Cut } from './boundary-cut.ts';
import { type Location, locateTarget } from './boundary-location.ts';
import { AppError } from './errors.ts';
import { formatGtid } from './gtid.ts';
import { GtidSet } from './gtid-set.ts';
import type { CatalogSegment, PlanFacts, PlanRequest } from './plan-facts.ts';
import {
  filledBefore,
  filledFrom,
  gapBetween,
  newestTimeline,
  segmentAt,
  type Timeline,
  type TimelineSegment,
  timelineOf,
} from './plan-timeline.ts';
import type { PlanReason, TransactionRef } from './restore-plan.ts';
import { formatInstant } from './time.ts';

/** What must be read before the plan can be made. */
export type BoundaryQuestion =
  /** Nothing: `planRestore` can answer. */
  | { readonly kind: 'answered' }
  /** Push the transactions of this segment through `new BoundaryFold(cut, skip, repeats)`, keep its answer under `catalogIndex`, and ask again. */
  | {
      readonly kind: 'read';
      readonly catalogIndex: number;
      readonly segment: CatalogSegment;
      readonly cut: Cut;
      readonly skip: GtidSet;
      /** Transactions of the segment that stand in others before it, and count there. */
      readonly repeats: GtidSet;
    };

/** The exact end of the prefix. */
export interface Boundary {
  /** Segments before this place belong to the prefix whole. */
  readonly index: number;
  /** GTIDs of the segment at `index` that belong to the prefix. */
  readonly partial: GtidSet;
  readonly partialAnonymous: number;
  /** True where no archived transaction belongs to the prefix. */
  readonly beforeArchive: boolean;
  /** The last transaction of the prefix that is not skipped. */
  readonly last: TransactionRef | null;
  readonly firstExcluded: TransactionRef | null;
}

export type Resolution =
  | { readonly kind: 'refused'; readonly line: Timeline | null; readonly reason: PlanReason }
  | { readonly kind: 'read'; readonly question: Extract<BoundaryQuestion, { kind: 'read' }> }
  | { readonly kind: 'resolved'; readonly line: Timeline; readonly boundary: Boundary };

type Located = Exclude<Location, { kind: 'refused' }>;

/** The last segment before this place with a transaction that is not skipped. */
function lastKeptBefore(line: Timeline, index: number, skip: GtidSet): TimelineSegment | null {
  const kept = ({ facts, gtids }: TimelineSegment) =>
    facts.anonymousTransactions > 0 || !gtids.isSubsetOf(skip);
  return line.segments.slice(0, index).findLast(kept) ?? null;
}

function ask(segment: TimelineSegment, cut: Cut, skip: GtidSet): Resolution {
  const { catalogIndex, entry, repeats } = segment;
  return { kind: 'read', question: { kind: 'read', catalogIndex, segment: entry, cut, skip, repeats } };
}

function corrupt({ facts }: TimelineSegment, fact: string): AppError {
  return new AppError({
    code: 'SegmentContradictsCatalog',
    kind: 'corrupt',
    message: `${facts.binlog} ${fact}, against its catalog entry: no plan can be trusted that uses it.`,
    hint: 'Compare the stored object with its digest: `pitrail verify`.',
    facts: { binlog: facts.binlog, serverUuid: facts.serverUuid },
  });
}

function checkAnswer(segment: TimelineSegment, answer: BoundaryAnswer): void {
  if (!answer.met) throw corrupt(segment, 'does not hold the GTID of the target');
  if (!answer.included.isSubsetOf(segment.gtids))
    throw corrupt(segment, 'holds transactions that are not listed');
}

function reference(segment: TimelineSegment, transaction: BoundaryTransaction | null): TransactionRef | null {
  if (transaction === null) return null;
  const { gtid, committedAtMicros, startOffset } = transaction;
  return {
    gtid: gtid === null ? 'ANONYMOUS' : formatGtid(gtid),
    committedAt: committedAtMicros === null ? null : formatInstant(committedAtMicros),
    serverUuid: segment.facts.serverUuid,
    binlog: segment.facts.binlog,
    position: startOffset,
  };
}

/**
 * Transactions that were logged between the prefix and what follows, and are not archived: their
 * times are not known, so a time target there has no exact answer.
 */
function gapAtTime(line: Timeline, located: Located, answer: BoundaryAnswer | null): GtidSet {
  const inside = located.kind === 'inside' ? segmentAt(line, located.index) : null;
  const included = answer !== null && answer.includedTransactions > 0;
  const excluded = answer !== null && answer.firstExcluded !== null;
  const earlier = included ? inside : filledBefore(line, located.index);
  const later = excluded ? inside : filledFrom(line, inside === null ? located.index : located.index + 1);
  if (earlier === null || later === null || earlier === later) return GtidSet.EMPTY;
  return gapBetween(earlier, later);
}

/**
 * An offset among repeated transactions is a state that this server had, and that is no prefix of the
 * commit order: others had logged more by then, and that comes before.
 */
function amongRepeated(segment: TimelineSegment, answer: BoundaryAnswer): PlanReason | null {
  const { facts, before, executedBefore } = segment;
  if (before.isSubsetOf(executedBefore.union(answer.repeated))) return null;
  const last = answer.lastRepeated;
  const nearestTarget = last === null ? null : `after:${formatGtid(last)}`;
  return { code: 'among-repeated', binlog: facts.binlog, nearestTarget };
}

function refusalOf(
  line: Timeline,
  request: PlanRequest,
  located: Located,
  answer: BoundaryAnswer | null,
): PlanReason | null {
  if (answer !== null && answer.inside !== null) {
    const gtid = answer.inside.gtid === null ? 'ANONYMOUS' : formatGtid(answer.inside.gtid);
    const { facts } = segmentAt(line, located.index);
    const start = `file:${facts.serverUuid}/${facts.binlog}:${answer.inside.startOffset}`;
    const nearestTarget = answer.inside.gtid === null ? start : `before:${gtid}`;
    return { code: 'inside-transaction', gtid, nearestTarget };
  }
  if (request.target.kind === 'file' && answer !== null)
    return amongRepeated(segmentAt(line, located.index), answer);
  if (request.target.kind !== 'time') return null;
  const gap = gapAtTime(line, located, answer);
  return gap.isEmpty ? null : { code: 'missing-transactions', gtids: gap.toString() };
}

function resolveAt(
  line: Timeline,
  request: PlanRequest,
  located: Located,
  answer: BoundaryAnswer | null,
  answers: BoundaryAnswers,
): Resolution {
  const { index } = located;
  const inside = located.kind === 'inside' ? segmentAt(line, index) : null;
  const lastSegment = answer?.last ? inside : lastKeptBefore(line, index, request.skip);
  const nextSegment = answer?.firstExcluded ? inside : filledFrom(line, inside === null ? index : index + 1);
  const neighbours = [
    { segment: lastSegment, cut: { kind: 'all' } },
    { segment: nextSegment, cut: { kind: 'nothing' } },
  ] as const;
  for (const { segment, cut } of neighbours) {
    if (segment !== null && !answers.has(segment.catalogIndex)) return ask(segment, cut, request.skip);
  }
  const last = lastSegment === null ? null : (answers.get(lastSegment.catalogIndex)?.last ?? null);
  const next = nextSegment === null ? null : (answers.get(nextSegment.catalogIndex)?.firstExcluded ?? null);
  const boundary: Boundary = {
    index,
    partial: answer?.included ?? GtidSet.EMPTY,
    partialAnonymous: answer?.includedAnonymous ?? 0,
    beforeArchive: filledBefore(line, index) === null && (answer?.includedTransactions ?? 0) === 0,
    last: lastSegment === null ? null : reference(lastSegment, last),
    firstExcluded: nextSegment === null ? null : reference(nextSegment, next),
  };
  return { kind: 'resolved', line, boundary };
}

/** Finds the exact end of the target's prefix, or what must be read first, or why there is none. */
export function resolveBoundary(
  facts: PlanFacts,
  request: PlanRequest,
  answers: BoundaryAnswers,
): Resolution {
  const timeline = request.timeline ?? newestTimeline(facts);
  const line = timeline === null ? null : timelineOf(facts, timeline);
  if (line === null) return { kind: 'refused', line, reason: { code: 'nothing-archived', timeline } };
  const located = locateTarget(line, request.target, answers);
  if (located.kind === 'refused') return { kind: 'refused', line, reason: located.reason };
  let answer: BoundaryAnswer | null = null;
  if (located.kind === 'inside') {
    const segment = segmentAt(line, located.index);
    answer = answers.get(segment.catalogIndex) ?? null;
    if (answer === null) return ask(segment, located.cut, request.skip);
    checkAnswer(segment, answer);
  }
  const reason = refusalOf(line, request, located, answer);
  if (reason !== null) return { kind: 'refused', line, reason };
  return resolveAt(line, request, located, answer, answers);
}
