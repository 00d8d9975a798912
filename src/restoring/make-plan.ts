import { BinlogScanner } from '../binlog/scanner.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { BoundaryQuestion } from '../domain/boundary.ts';
import { type BoundaryAnswer, type BoundaryAnswers, BoundaryFold } from '../domain/boundary-cut.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { Baseline, PlanFacts, PlanRequest } from '../domain/plan-facts.ts';
import { explainReason } from '../domain/plan-reasons.ts';
import type { RestorePlan } from '../domain/restore-plan.ts';
import { boundaryQuestion, planRestore } from '../domain/restore-planner.ts';
import { planServe, type ReplicaState, type ServePlan } from '../domain/serve-plan.ts';
import { parseTarget } from '../domain/target.ts';
import { type FalloverReader, readSegmentFrom } from './fallover.ts';

/** What the user asked for, as text. */
export interface PlanInput {
  readonly target: string;
  /** GTID set; empty for none. */
  readonly skipGtids: string;
  /** null: the newest that has segments. */
  readonly timeline: number | null;
}

/** A catalog, and where the binlogs that it names are read. */
export interface PlannedArchive {
  readonly state: CatalogState;
  readonly reader: FalloverReader;
}

/**
 * Plans a restore from what a store holds; changes nothing anywhere. Reads the catalog's state that is
 * given, and of the binlogs only the one or two at the target.
 * @throws usage where the target or the set cannot be parsed; what reading a segment throws
 */
export async function makeRestorePlan(
  archive: PlannedArchive,
  input: PlanInput,
  signal?: AbortSignal,
): Promise<RestorePlan> {
  const facts = planFacts(archive.state);
  const request = requestOf(input);
  return planRestore(facts, request, await answerAll(archive.reader, facts, request, signal));
}

/** Plans what a replica of the user's is served, the same way. @throws as `makeRestorePlan` */
export async function makeServePlan(
  archive: PlannedArchive,
  input: PlanInput,
  replica: ReplicaState,
  signal?: AbortSignal,
): Promise<ServePlan> {
  const facts = planFacts(archive.state);
  const request = requestOf(input);
  return planServe(facts, request, replica, await answerAll(archive.reader, facts, request, signal));
}

function requestOf(input: PlanInput): PlanRequest {
  return {
    target: parseTarget(input.target),
    targetText: input.target,
    skip: GtidSet.parse(input.skipGtids),
    timeline: input.timeline,
  };
}

async function answerAll(
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

/** Throws the reasons of a refused plan as one error. @throws refused `PlanRefused` */
export function requirePass(plan: RestorePlan): void {
  if (plan.verdict.status === 'PASS') return;
  const reasons = plan.verdict.reasons.map(explainReason);
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

/** What a plan needs of a catalog. */
export function planFacts(state: CatalogState): PlanFacts {
  return {
    repositoryId: state.repositoryId,
    cluster: state.cluster,
    catalogSequence: state.head.sequence,
    segments: state.allSegments(),
    backups: state.backups(),
    baselines: baselinesOf(state),
  };
}

function baselinesOf(state: CatalogState): Baseline[] {
  const segments = state.allSegments();
  return state.handoffs().flatMap(({ sequence, route }) => {
    if (route.kind !== 'source' || route.continuity.kind !== 'continues') return [];
    const { timeline, baselineGtids: gtids } = route.continuity;
    const place = segments.findIndex((segment) => segment.sequence > sequence);
    const from = place < 0 ? segments.length : place;
    return [{ timeline, serverUuid: route.to.serverUuid, from, gtids }];
  });
}

async function answerBoundary(
  reader: FalloverReader,
  question: Extract<BoundaryQuestion, { kind: 'read' }>,
  signal: AbortSignal | undefined,
): Promise<BoundaryAnswer> {
  const { segment, object } = question.segment;
  const fold = new BoundaryFold(question.cut, question.skip, question.repeats);
  const scanner = new BinlogScanner({ file: segment.binlog, visitor: { transaction: (it) => fold.add(it) } });
  for await (const chunk of readSegmentFrom(reader, { ...segment, object }, signal)) {
    scanner.push(chunk);
    if (fold.done) return fold.answer();
  }
  return fold.answer();
}
