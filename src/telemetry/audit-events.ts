/**
 * What is written down for whoever asks later what was done to an archive, and by whom. Plain JSON;
 * GTID sets as text, times in RFC 3339 UTC. No event holds a secret.
 */
export type AuditEvent = RestoreAudit | HandoffAudit | RefusalAudit | GapAudit | PurgeAudit | TornAudit;

/** The end of a restore. */
export interface RestoreAudit {
  readonly action: 'restore';
  readonly outcome: 'handed-over' | 'refused' | 'failed';
  readonly requestId: string;
  readonly cluster: string;
  readonly repositoryId: string | null;
  readonly store: string;
  readonly target: string;
  readonly backupId: string | null;
  readonly expectedGtids: string | null;
  readonly gtidExecuted: string | null;
  readonly skippedGtids: string;
  readonly dataDir: string | null;
  /** One sentence: what was done, or why it was not. */
  readonly detail: string;
}

/** A decision to archive elsewhere: to another store, or from another source. */
export interface HandoffAudit {
  readonly action: 'handoff';
  readonly outcome: 'switched' | 'refused' | 'failed';
  readonly cluster: string;
  /** What is switched. */
  readonly subject: 'store' | 'source';
  readonly from: string;
  readonly to: string;
  /** The epoch that the handoff raised the catalog to; null where it did not get that far. */
  readonly epoch: number | null;
  /** Canonical GTID set that the candidate cannot give; '' for none. */
  readonly missingGtids: string;
  readonly detail: string;
}

/** A binlog that was not archived: it went to the dead letters. */
export interface RefusalAudit {
  readonly action: 'refusal';
  readonly cluster: string;
  readonly serverUuid: string;
  readonly binlog: string;
  /** Code of the problem. */
  readonly reason: string;
  readonly detail: string;
}

/** An operator gave transactions up. */
export interface GapAudit {
  readonly action: 'gap-accepted';
  readonly cluster: string;
  readonly source: string;
  readonly serverUuid: string;
  /** The dead letter that was decided. */
  readonly binlog: string;
  /** Canonical GTID set; '' where nothing was lost. */
  readonly lostGtids: string;
  /** The operator's words. */
  readonly reason: string;
}

/** Something was removed for good. */
export interface PurgeAudit {
  readonly action: 'purge';
  readonly outcome: 'purged' | 'refused' | 'failed';
  readonly cluster: string;
  /** `binlogs` of a source, or `objects` of a store. */
  readonly subject: 'binlogs' | 'objects';
  /** Id of the source or store. */
  readonly from: string;
  readonly names: readonly string[];
  readonly detail: string;
}

/** Written by the next append where a crash had cut the line before: its bytes stand before this very line. */
export interface TornAudit {
  readonly action: 'torn-line';
  readonly lengthBytes: number;
  readonly sha256: string;
}
