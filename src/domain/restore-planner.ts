import { type BaseCandidate, beginsAmongTemporaryTables, chooseBase } from './base-choice.ts';
import { type Boundary, type BoundaryQuestion, resolveBoundary } from './boundary.ts';
import type { BoundaryAnswers } from './boundary-cut.ts';
import { type ChosenLogs, chooseLogs } from './choose-logs.ts';
import { AppError } from './errors.ts';
import { GtidSet } from './gtid-set.ts';
import type { PlanFacts, PlanRequest } from './plan-facts.ts';
import { archivedBefore, loggedBefore, type Timeline } from './plan-timeline.ts';
import { plannedSegment } from './planned-segment.ts';
import { anonymousReasons, countInversions, type Selected } from './replay-selection.ts';
import { estimateSeconds } from './restore-estimate.ts';
import type { PlannedBase, PlanReason, PlanVerdict, RestorePlan } from './restore-plan.ts';

const NO_ANSWERS: BoundaryAnswers = new Map();

/**
 * Says which segment must be read before the plan can be made. Ask again with its answer, until
 * there is nothing left: one or two segments, hardly ever three. `latest` reads the last segment,
 * to name the last transaction.
 */
export function boundaryQuestion(
  facts: PlanFacts,
  request: PlanRequest,
  answers: BoundaryAnswers = NO_ANSWERS,
): BoundaryQuestion {
  const resolution = resolveBoundary(facts, request, answers);
  return resolution.kind === 'read' ? resolution.question : { kind: 'answered' };
}

/** What every plan says, whatever its verdict. */
function planOf(
  facts: PlanFacts,
  request: PlanRequest,
  line: Timeline | null,
  verdict: PlanVerdict,
): Omit<RestorePlan, 'lastIncluded' | 'firstExcluded'> {
  return {
    repositoryId: facts.repositoryId,
    cluster: facts.cluster,
    timeline: line?.timeline ?? request.timeline ?? 0,
    catalogSequence: facts.catalogSequence,
    target: request.targetText,
    verdict,
    base: null,
    segments: [],
    expectedGtids: '',
    skippedGtids: request.skip.toString(),
    transactions: 0,
    bytes: { base: 0, segments: 0 },
    estimatedSeconds: 0,
  };
}

function refusedVerdict(reason: PlanReason, target: GtidSet, missing: GtidSet): PlanVerdict {
  return {
    status: 'REFUSED',
    targetGtid: target.toString(),
    verifiedRanges: target.subtract(missing).ranges(),
    missingRanges: missing.ranges(),
    dryRunSafe: false,
    reasons: [reason],
  };
}

function missingOf(reason: PlanReason): GtidSet {
  return reason.code === 'missing-transactions' ? GtidSet.parse(reason.gtids) : GtidSet.EMPTY;
}

function plannedBase({ entry }: BaseCandidate): PlannedBase {
  const { backup, object, stores } = entry;
  return {
    backupId: backup.backupId,
    gtidExecuted: GtidSet.parse(backup.coordinates.gtidExecuted).toString(),
    finishedAt: backup.finishedAt,
    serverVersion: backup.serverVersion,
    dataBytes: backup.dataBytes,
    tarBytes: backup.tarBytes,
    object,
    stores,
  };
}

/** Reasons that forbid the restore, and reasons that only tell of it. */
interface Reasons {
  readonly against: readonly PlanReason[];
  readonly notes: readonly PlanReason[];
}

function weigh(
  line: Timeline,
  boundary: Boundary,
  base: BaseCandidate,
  target: GtidSet,
  selection: ChosenLogs,
  request: PlanRequest,
): Reasons {
  const against = anonymousReasons(line, boundary, base);
  const absent = selection.missing.subtract(selection.blocked);
  if (!absent.isEmpty) against.push({ code: 'missing-transactions', gtids: absent.toString() });
  if (!selection.blocked.isEmpty)
    against.push({ code: 'blocked-transactions', gtids: selection.blocked.toString() });
  const outOfRange = request.skip.subtract(target.subtract(base.gtids));
  if (!outOfRange.isEmpty) against.push({ code: 'skip-not-in-range', gtids: outOfRange.toString() });
  const { backupId, finishedAt } = base.entry.backup;
  const notes: PlanReason[] = [{ code: 'base-chosen', backupId, finishedAt }];
  const replayed = selection.selected.map(({ segment }) => segment);
  const split = beginsAmongTemporaryTables(base) ? base.split : null;
  for (const { facts } of replayed.filter((segment) => segment.facts.temporaryTables > 0)) {
    const list = facts === split?.facts ? against : notes;
    list.push({ code: 'temporary-tables', binlog: facts.binlog });
  }
  const skipped = request.skip.intersect(target);
  if (!skipped.isEmpty) notes.push({ code: 'skips', gtids: skipped.toString() });
  const cut = line.segments[boundary.index];
  if (selection.choice !== 'first')
    notes.push({ code: 'other-logs', because: selection.choice, binlogs: selection.selected.length });
  const count = countInversions(cut === undefined || replayed.includes(cut) ? replayed : [...replayed, cut]);
  if (count > 0) notes.push({ code: 'clock-inversions', count });
  return { against, notes };
}

/** Seconds for the chosen work; a segment that is sent in part counts in part. */
function estimate(
  base: PlannedBase,
  selected: readonly Selected[],
  storedBytes: number,
  transactions: number,
): number {
  const replayedBytes = selected.reduce((sum, { segment, send }) => {
    const share = Number(send.count()) / Math.max(1, segment.facts.transactions);
    return sum + segment.facts.lengthBytes * share;
  }, 0);
  return estimateSeconds({
    storedBytes,
    unpackedBytes: base.tarBytes,
    replayedTransactions: transactions,
    replayedBytes,
  });
}

function planFrom(
  facts: PlanFacts,
  request: PlanRequest,
  line: Timeline,
  boundary: Boundary,
  base: BaseCandidate,
  prefix: GtidSet,
): RestorePlan {
  const target = prefix.union(base.foreign);
  const expected = target.subtract(request.skip);
  const selection = chooseLogs(line, expected.subtract(base.gtids));
  const { selected, missing } = selection;
  const { against, notes } = weigh(line, boundary, base, target, selection, request);
  const status = against.length === 0 ? 'PASS' : 'REFUSED';
  const verdict: PlanVerdict = {
    status,
    targetGtid: expected.toString(),
    verifiedRanges: expected.subtract(missing).ranges(),
    missingRanges: missing.ranges(),
    dryRunSafe: status === 'PASS',
    reasons: [...against, ...notes],
  };
  const planned = plannedBase(base);
  const bytes = {
    base: planned.object.lengthBytes,
    segments: selected.reduce((sum, { segment }) => sum + segment.entry.object.lengthBytes, 0),
  };
  const transactions = Number(selected.reduce((sum, { send }) => sum + send.count(), 0n));
  return {
    ...planOf(facts, request, line, verdict),
    base: planned,
    segments: selected.map((chosen) => plannedSegment(chosen, expected, base.gtids)),
    expectedGtids: expected.toString(),
    transactions,
    lastIncluded: boundary.last,
    firstExcluded: boundary.firstExcluded,
    bytes,
    estimatedSeconds: estimate(planned, selected, bytes.base + bytes.segments, transactions),
  };
}

/**
 * Plans a restore: the exact prefix of the commit order up to the target, the newest base that
 * holds nothing behind it, and from which segments the rest is sent. What cannot be reached
 * exactly is REFUSED with its reasons. `answers` must hold all that `boundaryQuestion` asked for.
 * @throws bug where a question is open; corrupt where a segment contradicts the catalog
 */
export function planRestore(facts: PlanFacts, request: PlanRequest, answers: BoundaryAnswers): RestorePlan {
  const resolution = resolveBoundary(facts, request, answers);
  if (resolution.kind === 'read') {
    throw new AppError({
      code: 'BoundaryUnanswered',
      kind: 'bug',
      message: `The plan needs the transactions of ${resolution.question.segment.segment.binlog} first.`,
    });
  }
  if (resolution.kind === 'refused') {
    const verdict = refusedVerdict(resolution.reason, GtidSet.EMPTY, missingOf(resolution.reason));
    const plan = planOf(facts, request, resolution.line, verdict);
    return { ...plan, lastIncluded: null, firstExcluded: null };
  }
  const { line, boundary } = resolution;
  const prefix = loggedBefore(line, boundary.index).union(boundary.partial);
  const choice = chooseBase(line, facts.backups, boundary, prefix, request);
  if (choice.kind === 'chosen') return planFrom(facts, request, line, boundary, choice.base, prefix);
  const archived = archivedBefore(line, boundary.index).union(boundary.partial);
  const verdict = refusedVerdict(choice.reason, prefix, prefix.subtract(archived));
  const { last: lastIncluded, firstExcluded } = boundary;
  return { ...planOf(facts, request, line, verdict), lastIncluded, firstExcluded };
}
