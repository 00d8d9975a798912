import type { PreparedXa } from '../domain/catalog-entry.ts';
import type { TransactionRef } from '../domain/restore-plan.ts';
import type { Fallover } from './fallover.ts';
import type { FetchedRestore } from './fetch-step.ts';
import type { HandedOverRestore, RestoredServer } from './hand-over-step.ts';
import type { RestoreJob } from './job.ts';
import type { PlannedRestore } from './plan-step.ts';
import type { ReplayedRestore } from './replay-step.ts';
import type { VerifiedRestore } from './verify-step.ts';

/** What a restore did: the result of the workflow and of `pitrail restore --json`. */
export interface RestoreOutcome {
  readonly status: 'restored';
  readonly requestId: string;
  readonly cluster: string;
  /** As it was asked for. */
  readonly target: string;
  readonly dataDir: string;
  readonly server: RestoredServer;
  readonly gtidExecuted: string;
  readonly skippedGtids: string;
  /** null where the base itself is the target. */
  readonly lastApplied: { readonly gtid: string; readonly committedAt: string | null } | null;
  /** null where nothing later is archived. */
  readonly firstExcluded: TransactionRef | null;
  readonly backupId: string;
  /** The store that the base was read from, as planned. */
  readonly store: string;
  /** The stores that were planned with, in order. */
  readonly stores: readonly string[];
  /** Stores that could not be read, and logs that were left out, each with its reason: there may be more than was restored. */
  readonly passedOver: readonly string[];
  /** Objects that one store did not give whole and another did; the first 200. What was restored is exact. */
  readonly fallovers: readonly Fallover[];
  /** How many in all; an object that a later step read again may count again. */
  readonly falloverCount: number;
  readonly transactions: number;
  readonly preparedXa: readonly PreparedXa[];
  readonly eventStatusesSet: number;
  /** Times the throw-away server was started again because it had ended by itself. */
  readonly restarts: number;
  readonly seconds: {
    readonly plan: number;
    readonly fetch: number;
    readonly replay: number;
    readonly verify: number;
    readonly handOver: number;
  };
}

/** What the five steps came to. */
export interface StepResults {
  readonly planned: PlannedRestore;
  readonly fetched: FetchedRestore;
  readonly replayed: ReplayedRestore;
  readonly verified: VerifiedRestore;
  readonly handed: HandedOverRestore;
}

/** Puts the results of the steps together. Pure. */
export function outcomeOf(job: RestoreJob, results: StepResults): RestoreOutcome {
  const { planned, fetched, replayed, verified, handed } = results;
  const { lastIncluded } = planned;
  return {
    status: 'restored',
    requestId: job.requestId,
    cluster: job.cluster,
    target: job.target,
    dataDir: job.targetDir,
    server: handed.server,
    gtidExecuted: verified.gtidExecuted,
    skippedGtids: planned.skippedGtids,
    lastApplied:
      lastIncluded === null ? null : { gtid: lastIncluded.gtid, committedAt: lastIncluded.committedAt },
    firstExcluded: planned.firstExcluded,
    backupId: fetched.backupId,
    store: planned.store,
    stores: planned.stores,
    passedOver: planned.passedOver,
    fallovers: verified.fallovers.first,
    falloverCount: verified.fallovers.count,
    transactions: replayed.transactions,
    preparedXa: verified.preparedXa,
    eventStatusesSet: verified.eventStatusesSet,
    restarts: replayed.restarts,
    seconds: {
      plan: planned.planSeconds,
      fetch: fetched.fetchSeconds,
      replay: replayed.replaySeconds,
      verify: verified.verifySeconds,
      handOver: handed.handOverSeconds,
    },
  };
}

/** True where a store could not be read or did not hold what it should: restored exactly, and yet somebody has to look. */
export function isDegraded({ passedOver, falloverCount }: RestoreOutcome): boolean {
  return passedOver.length > 0 || falloverCount > 0;
}
