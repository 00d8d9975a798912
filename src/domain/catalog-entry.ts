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

/** A source of the configuration, and the server that it was. */
export interface SourceRef {
  readonly source: string;
  readonly serverUuid: ServerUuid;
}

/** The source before a handoff; its server may never have been reached. */
export interface FormerSource {
  readonly source: string;
  readonly serverUuid: ServerUuid | null;
}

/** How the history goes on behind a handoff to another source. */
export type Continuity =
  /** On the same timeline: the new source has all that is archived, and the archive all that it cannot give. */
  | {
      readonly kind: 'continues';
      readonly timeline: number;
      /** What the new source has executed and none of its logs holds, canonical: its `gtid_purged`. */
      readonly baselineGtids: string;
    }
  /** On a timeline of its own, behind a new base backup. */
  | {
      readonly kind: 'resync';
      /** Archived, but not on the new source: it comes from another history. */
      readonly lostGtids: string;
      /** On the new source, but neither archived nor in its logs any more. */
      readonly gapGtids: string;
    };

/** What a handoff moves. */
export type HandoffRoute =
  | {
      readonly kind: 'source';
      readonly from: FormerSource;
      readonly to: SourceRef;
      readonly continuity: Continuity;
    }
  /** Store `to` counts for what is archived in the place of store `from`. */
  | { readonly kind: 'store'; readonly from: string; readonly to: string };

/** Why a handoff was made. */
export type HandoffReason =
  | 'operator'
  | 'source-unreachable'
  | 'queue-silent'
  | 'lag'
  | 'circuit-open'
  | 'switch-back';

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
    }
  /** The boundary of a handoff. It alone raises the epoch, by one: writers of the one before are fenced. */
  | {
      readonly kind: 'handoff';
      readonly route: HandoffRoute;
      readonly reason: HandoffReason;
      readonly detail: string;
    }
  /** What became of a handoff. */
  | {
      readonly kind: 'handoff-validated';
      /** The epoch that the handoff raised. */
      readonly handoffEpoch: number;
      readonly verdict: 'validated' | 'failed';
      /** null where no transaction was archived behind it yet. */
      readonly lagSeconds: number | null;
      readonly lagTransactions: number;
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
  /** Who wrote: `host/process id/worker role`, and `/source` where it is written for one. */
  readonly writer: string;
  /** Raised by a `handoff` entry, and by it alone; an entry of an older epoch is refused. */
  readonly epoch: number;
  /** RFC 3339 UTC with six decimals. */
  readonly writtenAt: string;
  readonly body: CatalogBody;
  /** Ed25519 over the canonical JSON without this field, base64; null where no signing key is configured. */
  readonly signature: string | null;
}
