import type { BinlogName, ServerUuid, Sha256 } from './identity.ts';

/** How the end of a closed binlog was proven. */
export type ClosedBy = 'rotate' | 'stop' | 'recovery';

/**
 * One closed binlog of one server: everything a plan needs to know of it without reading it.
 * This is what a `segment-archived` catalog entry holds, so it is plain JSON: GTID sets are
 * canonical text, times are RFC 3339 UTC with six decimals.
 */
export interface SegmentFacts {
  readonly serverUuid: ServerUuid;
  readonly binlog: BinlogName;
  readonly serverVersion: string;
  /** Header time of FORMAT_DESCRIPTION, whole seconds; tells two files of one name apart. */
  readonly createdAt: string;
  /** From PREVIOUS_GTIDS: all that was logged before this file. */
  readonly previousGtids: string;
  /** The GTIDs of the transactions in this file. */
  readonly gtids: string;
  readonly transactions: number;
  readonly anonymousTransactions: number;
  /** Commit times (`immediate_commit_timestamp`) in file order; null where the file has none. */
  readonly firstCommit: string | null;
  readonly lastCommit: string | null;
  /** The latest commit time anywhere in the file; differs from lastCommit when the clock stepped back. */
  readonly maxCommit: string | null;
  /** How many transactions carry an earlier time than one before them in this file. */
  readonly clockInversions: number;
  readonly lengthBytes: number;
  readonly sha256: Sha256;
  readonly closedBy: ClosedBy;
  /** Statements that touch events: CREATE, ALTER, DROP EVENT, DROP DATABASE; a restore reads them again for the statuses. */
  readonly eventDdl: number;
  /** Transactions that leave an XA transaction prepared (XA PREPARE without its end in the same file). */
  readonly xaPrepares: number;
  /** CREATE TEMPORARY TABLE statements in the file. */
  readonly temporaryTables: number;
}

/** A stored object, as it lies in the store. */
export interface StoredObject {
  readonly key: string;
  readonly lengthBytes: number;
  /** SHA-256 of the stored bytes. */
  readonly sha256: Sha256;
  /** CRC-32 (zlib's polynomial) of the stored bytes, 8 hexadecimal digits. */
  readonly crc32: string;
  readonly compression: 'zstd';
  readonly encryption: 'aws-encryption-sdk' | 'none';
}
