import type { CancellationScope } from '@temporalio/workflow';
import type { CommitSummary } from '../activities/archive.ts';
import type { LogRef } from '../src/archiving/staging.ts';

/** What is under way for one store; each store has one lane at most, and no store waits for another's. */
export interface Lane {
  readonly store: string;
  /** `probe`: its circuit is open, and it is tried now and then. */
  readonly work: 'transfer' | 'fill' | 'probe';
  /** Logs whose staged files it may read. */
  readonly logs: ReadonlySet<string>;
  readonly scope: CancellationScope;
  readonly ended: Promise<void>;
}

/** A closed log that some store lacks. */
export interface WaitingLog {
  readonly log: LogRef;
  /** Ids of the stores that lack it, or of which it is not known. */
  readonly lackedBy: Set<string>;
  /** `archived`: every store that counts has it, and that was told. */
  stands: 'waits' | 'archived';
  summary: CommitSummary | null;
}
