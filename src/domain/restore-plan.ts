import type { BackupId } from './identity.ts';
import type { StoredObject } from './segment.ts';

/** A transaction in a binlog, as people name it. */
export interface TransactionRef {
  readonly gtid: string;
  /** `immediate_commit_timestamp`, RFC 3339 UTC with six decimals. */
  readonly committedAt: string | null;
  readonly serverUuid: string;
  readonly binlog: string;
  /** Offset of its GTID event. */
  readonly position: number;
}

/** Why a plan is as it is; each prints as one sentence. */
export type PlanReason =
  | { readonly code: 'base-chosen'; readonly backupId: string; readonly finishedAt: string }
  | { readonly code: 'no-base'; readonly oldestBackup: string | null }
  | {
      readonly code: 'before-oldest-backup';
      readonly backupId: string;
      readonly finishedAt: string;
      /** The state of that backup itself, as a target; null where its binlog is not archived. */
      readonly nearestTarget: string | null;
    }
  | { readonly code: 'nothing-archived'; readonly timeline: number | null }
  | { readonly code: 'no-commit-times'; readonly binlog: string }
  | { readonly code: 'after-end-of-archive'; readonly nearest: string; readonly nearestTarget: string }
  | { readonly code: 'unknown-gtid'; readonly gtid: string; readonly nearestTarget: string | null }
  | { readonly code: 'ambiguous-gtid'; readonly gtid: string; readonly binlogs: readonly string[] }
  | { readonly code: 'unknown-binlog'; readonly binlog: string }
  | { readonly code: 'ambiguous-binlog'; readonly binlog: string; readonly serverUuids: readonly string[] }
  | { readonly code: 'inside-transaction'; readonly gtid: string; readonly nearestTarget: string }
  | { readonly code: 'among-repeated'; readonly binlog: string; readonly nearestTarget: string | null }
  | { readonly code: 'missing-transactions'; readonly gtids: string }
  /** In logs that could only be applied behind others which nobody holds. */
  | { readonly code: 'blocked-transactions'; readonly gtids: string }
  /** Another choice of logs than the first that hold each transaction. */
  | { readonly code: 'other-logs'; readonly because: 'cheaper' | 'missing'; readonly binlogs: number }
  | { readonly code: 'anonymous-transactions'; readonly binlog: string; readonly count: number }
  | { readonly code: 'clock-inversions'; readonly count: number }
  | { readonly code: 'temporary-tables'; readonly binlog: string }
  | { readonly code: 'skip-not-in-range'; readonly gtids: string }
  | { readonly code: 'skips'; readonly gtids: string };

/**
 * The gate's answer. `missingRanges` names what the target needs and nobody holds: never empty
 * with a reason `missing-transactions`, always empty with `PASS`. A target that cannot be placed
 * at all is refused by its reason, with nothing missing.
 */
export interface PlanVerdict {
  readonly status: 'PASS' | 'REFUSED';
  readonly targetGtid: string;
  readonly verifiedRanges: readonly string[];
  readonly missingRanges: readonly string[];
  readonly dryRunSafe: boolean;
  readonly reasons: readonly PlanReason[];
}

/** One archived binlog and what of it is to be sent; each stands in a plan once. */
export interface PlannedSegment {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly serverVersion: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  readonly object: StoredObject;
  /** Those that hold it, best first. */
  readonly stores: readonly string[];
  /** GTIDs of this file that replay sends, canonical. Never empty. */
  readonly send: string;
  /** `part`: of its transactions some are not in the restored server: behind the target, or left out. */
  readonly extent: 'whole' | 'part';
  readonly eventDdl: number;
  /** As in `SegmentFacts`. */
  readonly xaPrepares: number;
}

export interface PlannedBase {
  readonly backupId: BackupId;
  readonly gtidExecuted: string;
  readonly finishedAt: string;
  readonly serverVersion: string;
  readonly dataBytes: number;
  readonly tarBytes: number;
  readonly object: StoredObject;
  /** Those that hold it, best first. */
  readonly stores: readonly string[];
}

/** Everything a restore does, before it does anything. Plain JSON; lies as `plan.json` in the work folder. */
export interface RestorePlan {
  readonly repositoryId: string;
  readonly cluster: string;
  readonly timeline: number;
  /** As in `PlanFacts`. */
  readonly catalogSequence: number;
  /** The target as the user wrote it. */
  readonly target: string;
  readonly verdict: PlanVerdict;
  readonly base: PlannedBase | null;
  readonly segments: readonly PlannedSegment[];
  /** `gtid_executed` of the restored server, exactly. */
  readonly expectedGtids: string;
  readonly skippedGtids: string;
  readonly transactions: number;
  readonly lastIncluded: TransactionRef | null;
  readonly firstExcluded: TransactionRef | null;
  /** Stored bytes to fetch. */
  readonly bytes: { readonly base: number; readonly segments: number };
  readonly estimatedSeconds: number;
}
