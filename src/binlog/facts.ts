import type { Gtid } from '../domain/gtid.ts';
import type { GtidSet } from '../domain/gtid-set.ts';
import type { Sha256 } from '../domain/identity.ts';
import type { Micros } from '../domain/time.ts';
import type { ChecksumAlgorithm } from './format-description.ts';
import type { Frame } from './frame.ts';
import type { GtidEvent } from './gtid-event.ts';
import type { BinlogProblem } from './problem.ts';
import type { Statement } from './sql.ts';

/** What a transaction is made of. */
export type TransactionShape =
  /** BEGIN … COMMIT. */
  | 'group'
  /** One statement, such as DDL. */
  | 'statement'
  /** XA START … XA PREPARE; with one phase it is committed by that. */
  | 'xa-prepare'
  | 'xa-one-phase'
  /** XA COMMIT or XA ROLLBACK of a prepared one. */
  | 'xa-finish'
  /** Compressed; its content, which may also be an XA PREPARE, is not opened here. */
  | 'payload'
  | 'incident';

/** One whole transaction. */
export interface TransactionFact {
  /** Null where it is anonymous. */
  readonly gtid: Gtid | null;
  /** Offset of its GTID event. */
  readonly startOffset: number;
  readonly endOffset: number;
  readonly lastCommitted: bigint;
  readonly sequenceNumber: bigint;
  /** `immediate_commit_timestamp`. */
  readonly committedAtMicros: Micros | null;
  /** Server that ran it first; others than the log's own in a replica's log. */
  readonly serverId: number;
  /** `statement`: part of it may be logged as statements; `row`: only rows. */
  readonly format: 'row' | 'statement';
  readonly shape: TransactionShape;
  /** With its GTID event; what is inside a payload does not count. */
  readonly events: number;
  /** Size that a payload declares for its content, not verified; null for the other shapes. */
  readonly uncompressedBytes: number | null;
}

/** The transaction that is under way. */
export interface OpenTransaction {
  readonly gtidEvent: GtidEvent;
  readonly startOffset: number;
  readonly serverId: number;
}

/** One event. The frame is reused: copy what is kept. */
export interface EventFact {
  readonly frame: Frame;
  /** Null outside of transactions. */
  readonly transaction: OpenTransaction | null;
}

/** One QUERY or EXECUTE_LOAD_QUERY. The views are reused: copy what is kept. */
export interface QueryFact {
  readonly transaction: OpenTransaction;
  readonly offset: number;
  readonly endOffset: number;
  readonly schema: string;
  /** Text, or its beginning (1 MiB) where it is larger. */
  readonly sql: Uint8Array;
  readonly extent: 'whole' | 'prefix';
  readonly statement: Statement;
}

/** Called while a log is scanned, in file order; what it throws ends the scan. */
export interface ScanVisitor {
  /** After the transaction's last event. */
  transaction?(fact: TransactionFact): void;
  /** After the event was verified; costs a call for every event. */
  event?(fact: EventFact): void;
  query?(fact: QueryFact): void;
  /** Part of the body of an event above 1 MiB, before it is verified. */
  piece?(fact: EventFact, bytes: Uint8Array, start: number, end: number): void;
}

/** Everything a log says of itself, and everything that is wrong with it. */
export interface ScanReport {
  readonly file: string;
  /** Null, like the next ones, where the file has no valid FORMAT_DESCRIPTION. */
  readonly serverVersion: string | null;
  /** Header time of FORMAT_DESCRIPTION. */
  readonly createdAt: Micros | null;
  readonly serverId: number | null;
  readonly checksum: ChecksumAlgorithm | null;
  /** Null where the file was not read so far. */
  readonly previousGtids: GtidSet | null;
  readonly gtids: GtidSet;
  /** Whole transactions, anonymous ones included. */
  readonly transactions: number;
  readonly anonymousTransactions: number;
  /** All events, FORMAT_DESCRIPTION and ROTATE included. */
  readonly events: number;
  /** Bytes that were read. */
  readonly lengthBytes: number;
  readonly firstCommit: Micros | null;
  readonly lastCommit: Micros | null;
  readonly maxCommit: Micros | null;
  readonly clockInversions: number;
  /** True where the log ends in ROTATE or STOP and nothing is wrong with it. */
  readonly closed: boolean;
  readonly closedBy: 'rotate' | 'stop' | null;
  /** Name of the next log, from ROTATE. */
  readonly nextBinlog: string | null;
  readonly inUse: boolean;
  readonly sha256: Sha256 | null;
  readonly problems: readonly BinlogProblem[];
  /** CREATE, ALTER and DROP EVENT, and DROP DATABASE, which takes its events with it. */
  readonly eventDdl: number;
  /** XA PREPARE without XA COMMIT or XA ROLLBACK in the same file; those inside a payload are not seen. */
  readonly xaPrepares: number;
  readonly temporaryTables: number;
  /** Compressed transactions. */
  readonly payloads: number;
  /** The largest size that one of them declares for its content; whoever opens it must be bounded. */
  readonly largestPayloadBytes: number;
}
