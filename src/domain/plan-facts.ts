import type { BackupFacts } from './catalog-entry.ts';
import type { GtidSet } from './gtid-set.ts';
import type { ServerUuid } from './identity.ts';
import type { SegmentFacts, StoredObject } from './segment.ts';
import type { RecoveryTarget } from './target.ts';

export interface CatalogSegment {
  readonly timeline: number;
  readonly segment: SegmentFacts;
  readonly object: StoredObject;
}

export interface CatalogBackup {
  readonly backup: BackupFacts;
  readonly object: StoredObject;
}

/** What the server of a handoff had executed and no log of it holds. */
export interface Baseline {
  readonly timeline: number;
  readonly serverUuid: ServerUuid;
  /** It counts for the segments from this place in `PlanFacts.segments` on. */
  readonly from: number;
  readonly gtids: string;
}

/** What a catalog says, as far as a plan needs it. */
export interface PlanFacts {
  readonly repositoryId: string;
  readonly cluster: string;
  /** Sequence of the last catalog entry that was read. */
  readonly catalogSequence: number;
  /** In catalog order, which on each timeline is the order of commit. */
  readonly segments: readonly CatalogSegment[];
  readonly backups: readonly CatalogBackup[];
  /** Of each handoff by which a timeline goes on, in order. */
  readonly baselines: readonly Baseline[];
}

/** What the user asked for. */
export interface PlanRequest {
  readonly target: RecoveryTarget;
  /** The target as the user wrote it. */
  readonly targetText: string;
  /** Transactions to leave out. */
  readonly skip: GtidSet;
  /** null: the newest timeline that has segments. */
  readonly timeline: number | null;
}
