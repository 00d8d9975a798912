import type { ErrorKind } from '../domain/errors.ts';
import type { ServerUuid, Sha256 } from '../domain/identity.ts';
import type { RetentionAlarm } from '../domain/routing/retention-alarm.ts';
import type { StoreBoundary } from '../domain/routing/store-boundaries.ts';
import type { StandIn, StoreHandoffFacts } from '../domain/routing/store-handoff.ts';
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
  /** Ids of the stores that take it now. */
  readonly stores: readonly string[];
  /** Ids of all stores that lack it, or of which it is not known. */
  readonly lackedBy: readonly string[];
}

/** The log that the server writes now. */
export interface OpenLog {
  readonly binlog: string;
  readonly ageSeconds: number;
  readonly holds: 'transactions' | 'nothing';
}

/** Why a store could not be used, in the words of its error. */
export interface StoreFailure {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string;
}

/** Logs that a store lacks and never gets: their server has purged them, and its catalog cannot take them from another store. */
export interface OutOfReach {
  /** The store that has them. */
  readonly heldBy: string;
  readonly logs: number;
  readonly transactions: number;
  /** Why the first of them cannot be copied, and how it is called. */
  readonly reason: 'too-late' | 'fenced';
  readonly name: string;
}

/** How a store stands for a source. */
export interface StoreStanding {
  readonly store: string;
  /** `known`: not read now, but before; `unknown`: nothing of its catalog is known. */
  readonly status: 'read' | 'known' | 'unknown';
  readonly failure: StoreFailure | null;
  /** Null where nothing is known. */
  readonly epoch: number | null;
  /** All GTIDs that it holds, of any source, canonical; null where nothing is known. */
  readonly coveredGtids: string | null;
  /** What operators gave up in it, canonical; null where nothing is known. */
  readonly givenUpGtids: string | null;
  /** Closed logs of this source that it lacks. */
  readonly backlog: { readonly logs: number; readonly bytes: number };
  /** A store from which it must be filled before it takes logs; else null. */
  readonly fillFrom: string | null;
  /** What it never gets; else null. */
  readonly outOfReach: OutOfReach | null;
  /** The last log of the present server that it holds. */
  readonly through: { readonly binlog: string; readonly lastCommit: string | null } | null;
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
  readonly stores: readonly StoreStanding[];
  /** Which stores count for others, by the newest handoffs that a catalog names. */
  readonly standIns: readonly StandIn[];
  /** For each of them that can be compared now, whether both catalogs hold the same. */
  readonly comparisons: StoreHandoffFacts['comparisons'];
  /** The handoffs between stores that a store may lack, oldest first. */
  readonly boundaries: readonly StoreBoundary[];
  /** How long the server keeps what is not archived. */
  readonly retention: RetentionAlarm;
  /** Closed logs that are not in every store that counts. */
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
