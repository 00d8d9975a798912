import type { BackupFacts } from './catalog-entry.ts';
import type { GtidSet } from './gtid-set.ts';
import type { ServerUuid } from './identity.ts';
import type { SegmentFacts, StoredObject } from './segment.ts';
import type { RecoveryTarget } from './target.ts';

export interface CatalogSegment {
  readonly timeline: number;
  readonly segment: SegmentFacts;
  readonly object: StoredObject;
  /** Those that hold it, best first; empty where it cannot be read from any. */
  readonly stores: readonly string[];
}

export interface CatalogBackup {
  readonly backup: BackupFacts;
  readonly object: StoredObject;
  readonly stores: readonly string[];
}

/** What the server of a handoff had executed and no log of it holds. */
export interface Baseline {
  readonly timeline: number;
  readonly serverUuid: ServerUuid;
  /** It counts for the segments from this place in `PlanFacts.segments` on. */
  readonly from: number;
  readonly gtids: string;
}

/** What the catalogs of one or more stores say, as far as a plan needs it. */
export interface PlanFacts {
  readonly repositoryId: string;
  readonly cluster: string;
  /** Sequence of the last entry that was read of the catalog, with several stores of the first one's. */
  readonly catalogSequence: number;
  /** On each timeline in the order of commit. */
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
