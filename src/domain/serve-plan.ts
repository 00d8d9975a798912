import { resolveBoundary } from './boundary.ts';
import type { BoundaryAnswers } from './boundary-cut.ts';
import { chooseLogs } from './choose-logs.ts';
import { AppError } from './errors.ts';
import type { GtidSet } from './gtid-set.ts';
import type { PlanFacts, PlanRequest } from './plan-facts.ts';
import { loggedBefore } from './plan-timeline.ts';
import type { Selected } from './replay-selection.ts';
import type { PlanReason, TransactionRef } from './restore-plan.ts';

/** What an archive source that stands alone serves to a replica of the user's. */
export type ServePlan =
  | { readonly kind: 'refused'; readonly reason: PlanReason }
  | {
      readonly kind: 'ready';
      readonly timeline: number;
      readonly selected: readonly Selected[];
      /** A replica must have all of this already; the rest up to the target is sent. */
      readonly required: GtidSet;
      /** `gtid_executed` of the replica at the end, as far as it comes from this history. */
      readonly target: GtidSet;
      readonly lastIncluded: TransactionRef | null;
      readonly firstExcluded: TransactionRef | null;
    };

/** What the replica has. */
export type ReplicaState =
  /** At least all that was logged before the archive begins. */
  { readonly kind: 'as-old-as-the-archive' } | { readonly kind: 'has'; readonly gtids: GtidSet };

/**
 * Plans what a replica needs to come exactly to the target. What it lacks and nobody holds is refused.
 * `answers` must hold all that `boundaryQuestion` asked for. @throws bug where a question is open
 */
export function planServe(
  facts: PlanFacts,
  request: PlanRequest,
  replica: ReplicaState,
  answers: BoundaryAnswers,
): ServePlan {
  const resolution = resolveBoundary(facts, request, answers);
  if (resolution.kind === 'refused') return { kind: 'refused', reason: resolution.reason };
  if (resolution.kind === 'read') throw unanswered(resolution.question.segment.segment.binlog);
  const { line, boundary } = resolution;
  const target = loggedBefore(line, boundary.index).union(boundary.partial).subtract(request.skip);
  const required = replica.kind === 'has' ? replica.gtids : loggedBefore(line, 0);
  const { selected, missing } = chooseLogs(line, target.subtract(required));
  if (!missing.isEmpty) {
    return { kind: 'refused', reason: { code: 'missing-transactions', gtids: missing.toString() } };
  }
  const { last: lastIncluded, firstExcluded } = boundary;
  return { kind: 'ready', timeline: line.timeline, selected, required, target, lastIncluded, firstExcluded };
}

function unanswered(binlog: string): AppError {
  return new AppError({
    code: 'BoundaryUnanswered',
    kind: 'bug',
    message: `The plan needs the transactions of ${binlog} first.`,
  });
}
