import type { BackupFacts, Coordinates, PreparedXa } from '../domain/catalog-entry.ts';
import type { BackupId, RepositoryId, ServerUuid, Sha256 } from '../domain/identity.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { LeftBehind } from './left-behind.ts';

/** What is asked for. The id is drawn once, by whoever starts the backup: every phase may run again with it. */
export interface BackupRequest {
  readonly backupId: BackupId;
}

/** The timeline on which a backup lies by one store's catalog; null where its source has none yet. */
export interface StoreLine {
  readonly store: string;
  readonly timeline: number | null;
  /** Last entry of that catalog then: all that it names was in the history of the source. */
  readonly sequence: number;
}

/** After phase 1. Each phase's result holds what the next ones need: plain JSON, small. */
export interface PreparedBackup {
  readonly backupId: BackupId;
  readonly repositoryId: RepositoryId;
  /** Claimed when the backup began; a handoff since then keeps it from being registered. */
  readonly epoch: number;
  /** RFC 3339 UTC. */
  readonly startedAt: string;
  readonly serverUuid: ServerUuid;
  readonly serverVersion: string;
  readonly lowerCaseTableNames: number;
  readonly characterSetServer: string;
  readonly collationServer: string;
  /** Of each store that takes the backup. */
  readonly lines: readonly StoreLine[];
  /** `stand-by`: a replica of the server that is archived, on whose timeline its backup lies. */
  readonly origin: 'archived' | 'stand-by';
  /** Id of the source whose logs the backup waits for. */
  readonly archivedBy: string;
  /** Stores that do not get it, so far. */
  readonly left: readonly LeftBehind[];
  /** What the operator should know and what does not stand in the way. */
  readonly notes: readonly string[];
}

/** After phase 2. */
export interface ClonedBackup extends PreparedBackup {
  /** No transaction in the clone was committed after this. RFC 3339 UTC. */
  readonly clonedAt: string;
  /** `gtid_purged` of the source after the clone. */
  readonly gtidPurged: string;
}

/** After phase 3. */
export interface CapturedBackup extends ClonedBackup {
  readonly coordinates: Coordinates;
  readonly preparedXa: readonly PreparedXa[];
  readonly schemaSha256: Sha256;
}

export interface StoredBase {
  readonly store: string;
  readonly object: StoredObject;
}

/** After phase 4. */
export interface UploadedBackup extends CapturedBackup {
  /** Size of the files that went into the tar. */
  readonly dataBytes: number;
  readonly tarBytes: number;
  readonly tarSha256: Sha256;
  /** One per store that has it, in the order of the configuration. */
  readonly objects: readonly StoredBase[];
}

/** After phase 5: what the catalog of each store says that has it. */
export interface RegisteredBackup {
  readonly backupId: BackupId;
  readonly registered: readonly {
    readonly store: string;
    readonly sequence: number;
    readonly backup: BackupFacts;
    readonly object: StoredObject;
  }[];
  readonly left: readonly LeftBehind[];
  readonly notes: readonly string[];
}
