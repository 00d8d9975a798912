import type { ErrorKind } from '../domain/errors.ts';
import type { ServerUuid, Sha256 } from '../domain/identity.ts';
import type { LogRef } from './staging.ts';

/** A log on the dead-letter list, told apart from others of its name. */
export interface LetterRef {
  readonly serverUuid: string;
  readonly binlog: string;
  /** Empty where the beginning of the log could not be read. */
  readonly createdAt: string;
  readonly lengthBytes: number;
}

/** Why a log cannot be archived as it is. */
export interface LogProblem extends LetterRef {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string;
}

/** A log that is to be archived in this round. */
export interface PlannedLog {
  readonly log: LogRef;
  /** The log behind it, whose PREVIOUS_GTIDS prove its end; null where there is none. */
  readonly successor: LogRef | null;
  /** Ids of the stores that lack it. */
  readonly stores: readonly string[];
}

/** The log that the server writes now. */
export interface OpenLog {
  readonly binlog: string;
  readonly ageSeconds: number;
  readonly holds: 'transactions' | 'nothing';
}

/** What a look at a source found, and what is to be done. Plain JSON, bounded in size. */
export interface Discovery {
  readonly serverUuid: ServerUuid;
  /** To be staged at once, before the server can purge them. */
  readonly stage: readonly LogRef[];
  /** To be archived, in this order. */
  readonly archive: readonly PlannedLog[];
  /** Staged, but archived everywhere or given up: to be released. */
  readonly release: readonly LogRef[];
  /** What only an operator can decide. */
  readonly problems: readonly LogProblem[];
  /** Closed logs that are not in every store. */
  readonly backlog: { readonly logs: number; readonly bytes: number };
  readonly open: OpenLog | null;
  readonly heads: readonly { readonly store: string; readonly sequence: number; readonly sha256: Sha256 }[];
  readonly archivedThrough: {
    readonly serverUuid: string;
    readonly binlog: string;
    readonly timeline: number;
    readonly lastCommit: string | null;
  } | null;
}
