import { AppError } from '../domain/errors.ts';
import { eventName } from './event-types.ts';

/** What can be wrong with a binlog; stable names. */
export type ProblemCode =
  | 'empty'
  | 'not-a-binlog'
  | 'encrypted'
  | 'relay-log'
  | 'unsupported-version'
  | 'checksum-mismatch'
  | 'absurd-length'
  | 'position-mismatch'
  | 'malformed-event'
  | 'unknown-event'
  | 'unexpected-event'
  | 'format-description-missing'
  | 'second-format-description'
  | 'previous-gtids-missing'
  | 'second-previous-gtids'
  | 'too-large'
  | 'transaction-without-gtid'
  | 'gtid-inside-transaction'
  | 'transaction-order'
  | 'transaction-length'
  | 'duplicate-gtid'
  | 'sequence-number'
  | 'table-map-missing'
  | 'statement-context-missing'
  | 'incident'
  | 'after-end'
  | 'in-use-but-closed'
  | 'cut-inside-event'
  | 'cut-inside-transaction'
  | 'payload';

/** Where in a file something was found. */
export interface Place {
  readonly file: string;
  /** Offset of the event's first byte. */
  readonly offset: number;
  /** Event type; null where none was read. */
  readonly type: number | null;
}

/** One thing that is wrong with a binlog. Plain JSON. */
export interface BinlogProblem {
  readonly file: string;
  readonly offset: number;
  /** Name of the event type; null where no event was read. */
  readonly eventType: string | null;
  readonly code: ProblemCode;
  /** A sentence for people. */
  readonly reason: string;
}

/** Code of the AppError that the scanner throws. */
export const BINLOG_CORRUPT = 'BinlogCorrupt';

/** Describes a problem at a place. */
export function problemAt(place: Place, code: ProblemCode, reason: string): BinlogProblem {
  const eventType = place.type === null ? null : eventName(place.type);
  return { file: place.file, offset: place.offset, eventType, code, reason };
}

const HINTS: Partial<Record<ProblemCode, string>> = {
  empty: 'Give a binlog; a server writes at least 150 bytes into a new one.',
  'not-a-binlog': 'Give a binlog of MySQL 8.0 or later, as SHOW BINARY LOGS lists it.',
  encrypted: 'Read the log over the replication protocol, or set binlog_encryption=OFF and rotate.',
  'relay-log': "Give the source's own binlog; a relay log is a copy with other offsets.",
  'cut-inside-event': 'If the server is writing this log, wait until it is closed; else get the file again.',
  'in-use-but-closed': 'If the server closes this log right now, read it again in a moment.',
};

/** The error for a problem: kind corrupt, its facts hold file, offset, event type, code and reason. */
export function corruptAt(place: Place, code: ProblemCode, reason: string): AppError {
  return errorOf(problemAt(place, code, reason));
}

/** The error for a problem of a report. */
export function errorOf(problem: BinlogProblem): AppError {
  const event = problem.eventType === null ? '' : ` (${problem.eventType})`;
  return new AppError({
    code: BINLOG_CORRUPT,
    kind: 'corrupt',
    message: `${problem.file} at offset ${problem.offset}${event}: ${problem.reason}. Nothing from there on can be trusted.`,
    hint: HINTS[problem.code] ?? 'Get the file again from the server that wrote it, and compare lengths.',
    facts: { ...problem },
  });
}

/** The problem that an error of the scanner carries; null for any other error. */
export function problemOf(error: unknown): BinlogProblem | null {
  if (!(error instanceof AppError) || error.code !== BINLOG_CORRUPT) return null;
  return { ...(error.facts as unknown as BinlogProblem) };
}
