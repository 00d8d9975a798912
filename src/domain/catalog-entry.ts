import type { BackupId, RepositoryId, ServerUuid, Sha256 } from './identity.ts';
import type { SegmentFacts, StoredObject } from './segment.ts';

/** Version of the catalog format that this code writes. */
export const CATALOG_FORMAT = 1;

/** A transaction left prepared, as XA RECOVER shows it: data in hexadecimal. */
export interface PreparedXa {
  readonly formatId: number;
  readonly gtridLength: number;
  readonly bqualLength: number;
  readonly dataHex: string;
}

/** Where a base backup stands in the history of its source. */
export interface Coordinates {
  readonly gtidExecuted: string;
  readonly gtidPurged: string;
  readonly binlog: string;
  readonly position: number;
}

export interface BackupFacts {
  readonly backupId: BackupId;
  readonly engine: 'clone';
  readonly serverUuid: ServerUuid;
  readonly serverVersion: string;
  readonly coordinates: Coordinates;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly lowerCaseTableNames: number;
  readonly characterSetServer: string;
  readonly collationServer: string;
  /** Size of the data folder before tar and compression. */
  readonly dataBytes: number;
  readonly tarBytes: number;
  /** SHA-256 of the tar stream. */
  readonly tarSha256: Sha256;
  readonly preparedXa: readonly PreparedXa[];
  /** Digest over table definitions (INFORMATION_SCHEMA.COLUMNS, ordered), taken in the started copy. */
  readonly schemaSha256: Sha256;
  /** Timeline on which this backup lies. */
  readonly timeline: number;
}

export type CatalogBody =
  | { readonly kind: 'repository-created'; readonly cluster: string; readonly createdBy: string }
  | {
      readonly kind: 'timeline-started';
      readonly timeline: number;
      readonly parent: number | null;
      readonly serverUuid: ServerUuid;
      readonly reason: 'first' | 'reset' | 'diverged';
      readonly detail: string;
    }
  | {
      readonly kind: 'segment-archived';
      readonly timeline: number;
      readonly segment: SegmentFacts;
      readonly object: StoredObject;
    }
  | {
      readonly kind: 'segment-refused';
      readonly serverUuid: ServerUuid;
      readonly binlog: string;
      readonly reason: string;
      readonly detail: string;
    }
  | { readonly kind: 'backup-registered'; readonly backup: BackupFacts; readonly object: StoredObject }
  | {
      readonly kind: 'gap-accepted';
      readonly timeline: number;
      readonly serverUuid: ServerUuid;
      readonly missingGtids: string;
      readonly detail: string;
    };

/** One entry of the append-only log; stored as canonical JSON under `catalog/{20-digit sequence}.json`. */
export interface CatalogEntry {
  readonly format: typeof CATALOG_FORMAT;
  /** From 1, without holes. */
  readonly sequence: number;
  readonly repositoryId: RepositoryId;
  /** SHA-256 of the previous entry's stored bytes; null in the first. */
  readonly previous: Sha256 | null;
  /** Who wrote: `host/process id/worker role`. */
  readonly writer: string;
  /** Raised by a handoff; an entry of an older epoch is refused. */
  readonly epoch: number;
  /** RFC 3339 UTC with six decimals. */
  readonly writtenAt: string;
  readonly body: CatalogBody;
  /** Ed25519 over the canonical JSON without this field, base64; null where no signing key is configured. */
  readonly signature: string | null;
}
