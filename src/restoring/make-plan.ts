import { BinlogScanner } from '../binlog/scanner.ts';
import type { BoundaryQuestion } from '../domain/boundary.ts';
import { type BoundaryAnswer, type BoundaryAnswers, BoundaryFold } from '../domain/boundary-cut.ts';
import { AppError } from '../domain/errors.ts';
import { factsWithout } from '../domain/facts-without.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { PlanFacts, PlanRequest } from '../domain/plan-facts.ts';
import { explainReason } from '../domain/plan-reasons.ts';
import type { RestorePlan } from '../domain/restore-plan.ts';
import { boundaryQuestion, planRestore } from '../domain/restore-planner.ts';
import { planServe, type ReplicaState, type ServePlan } from '../domain/serve-plan.ts';
import { parseTarget } from '../domain/target.ts';
import type { CatalogUnion } from '../domain/union/union-builder.ts';
import { type FalloverReader, readSegmentFrom } from './fallover.ts';
import { requireOneHistory } from './read-union.ts';

/** What the user asked for, as text. */
export interface PlanInput {
  readonly target: string;
  /** GTID set; empty for none. */
  readonly skipGtids: string;
  /** null: the newest that has segments. */
  readonly timeline: number | null;
}

/** What catalogs say, and where the binlogs that they name are read. */
export interface PlannedArchive extends CatalogUnion {
  readonly reader: FalloverReader;
}

/**
 * Plans a restore from what the stores hold together; changes nothing anywhere. Of the binlogs only the one or
 * two at the target are read.
 * @throws usage where the target or the set cannot be parsed; conflict `StoresDisagree`; what reading a segment throws
 */
export async function makeRestorePlan(
  archive: PlannedArchive,
  input: PlanInput,
  signal?: AbortSignal,
): Promise<RestorePlan> {
  const request = requestOf(input);
  const { facts, answers } = await answerAll(archive, request, signal);
  return planRestore(facts, request, answers);
}

/** Plans what a replica of the user's is served, the same way. @throws as `makeRestorePlan` */
export async function makeServePlan(
  archive: PlannedArchive,
  input: PlanInput,
  replica: ReplicaState,
  signal?: AbortSignal,
): Promise<ServePlan> {
  const request = requestOf(input);
  const { facts, answers } = await answerAll(archive, request, signal);
  return planServe(facts, request, replica, answers);
}

function requestOf(input: PlanInput): PlanRequest {
  return {
    target: parseTarget(input.target),
    targetText: input.target,
    skip: GtidSet.parse(input.skipGtids),
    timeline: input.timeline,
  };
}

interface Answered {
  readonly facts: PlanFacts;
  readonly answers: BoundaryAnswers;
}

/** Where a log that only names the last transaction is lost in every store, the archive's end is read from others. */
async function answerAll(
  archive: PlannedArchive,
  request: PlanRequest,
  signal: AbortSignal | undefined,
): Promise<Answered> {
  const { reader } = archive;
  requireOneHistory(archive, request.timeline);
  for (let { facts } = archive; ; ) {
    const known = reader.lost.size;
    try {
      return { facts, answers: await answersFor(reader, facts, request, signal) };
    } catch (error) {
      signal?.throwIfAborted();
      if (reader.lost.size === known || request.target.kind !== 'latest') throw error;
      const without = factsWithout(archive.facts, new Set(reader.lost.keys()), request.timeline);
      if (without === null) throw error;
      for (const { lost, by } of without.replaced) await reader.tellReplaced(lost, by);
      facts = without.facts;
    }
  }
}

async function answersFor(
  reader: FalloverReader,
  facts: PlanFacts,
  request: PlanRequest,
  signal: AbortSignal | undefined,
): Promise<BoundaryAnswers> {
  const answers = new Map<number, BoundaryAnswer>();
  for (;;) {
    const question = boundaryQuestion(facts, request, answers);
    if (question.kind === 'answered') return answers;
    answers.set(question.catalogIndex, await answerBoundary(reader, question, signal));
  }
}

/**
 * Throws the reasons of a refused plan as one error.
 * @param passedOver stores that could not be read: they may hold what is missing
 * @throws refused `PlanRefused`
 */
export function requirePass(plan: RestorePlan, passedOver: readonly string[]): void {
  if (plan.verdict.status === 'PASS') return;
  const unread = passedOver.map((reason) => `Passed over was store ${reason}`);
  const reasons = [...plan.verdict.reasons.map(explainReason), ...unread];
  throw new AppError({
    code: 'PlanRefused',
    kind: 'refused',
    message: `${plan.target} cannot be restored exactly, so nothing was done. ${reasons.join(' ')}`,
    hint: 'See the whole plan: pitrail plan --to TARGET. Nothing is restored to another point than the one asked for.',
    facts: {
      target: plan.target,
      reasons: plan.verdict.reasons.map(({ code }) => code),
      missingRanges: plan.verdict.missingRanges,
    },
  });
}

async function answerBoundary(
  reader: FalloverReader,
  question: Extract<BoundaryQuestion, { kind: 'read' }>,
  signal: AbortSignal | undefined,
): Promise<BoundaryAnswer> {
  const { segment, object, stores } = question.segment;
  const fold = new BoundaryFold(question.cut, question.skip, question.repeats);
  const scanner = new BinlogScanner({ file: segment.binlog, visitor: { transaction: (it) => fold.add(it) } });
  for await (const chunk of readSegmentFrom(reader, { ...segment, object, stores }, signal)) {
    scanner.push(chunk);
    if (fold.done) return fold.answer();
  }
  return fold.answer();
}
