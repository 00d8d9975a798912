import type { CatalogState } from '../catalog/fold.ts';
import type { ArchiveDecision } from '../domain/archive-plan.ts';
import type { ServerFacts } from '../mysql/facts.ts';
import type { Discovery, LetterRef, OutOfReach, StoreFailure } from './discovery.ts';
import type { ServerLogs } from './log-order.ts';
import type { SourceLog } from './source-logs.ts';
import type { LogRef } from './staging.ts';

/** A store whose catalog is known. */
export interface KnownStore {
  readonly id: string;
  readonly state: CatalogState;
}

/**
 * Everything that decides what is done with the logs of one server. `stores` are those that decide:
 * what they lack is to be archived, and what cannot follow in one of them is a problem.
 */
export interface ServerView extends ServerLogs {
  readonly gtidMode: 'ON' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE' | 'OFF';
  /** How its logs are reached. */
  readonly mode: 'host' | 'remote';
  /** In how many servers' logs each transaction shall be archived. */
  readonly redundancy: number;
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up: left alone, and missed by nobody. */
  readonly givenUp: readonly LetterRef[];
  /** Stores that decide nothing: nobody waits for them, or they are filled from another store first. */
  readonly followers: readonly KnownStore[];
  /** Ids of stores whose catalog is not known now: nothing counts as held by them. */
  readonly unknown: readonly string[];
  /** Ids of the stores without which nothing counts as archived. */
  readonly required: readonly string[];
}

/** A closed log, its decision, and where it lies. */
export interface Decided {
  readonly source: SourceLog;
  readonly ref: LogRef | null;
  readonly decision: ArchiveDecision;
  readonly lies: 'staged' | 'listed';
  /** `settled`: archived in every store that decides, or never to be. */
  readonly stands: 'pending' | 'set-aside' | 'settled';
  /** What each known store says of it, by id. */
  readonly byStore: ReadonlyMap<string, ArchiveDecision>;
}

/** What a round does, and what each store lacks. */
export interface RoundDecision
  extends Pick<Discovery, 'stage' | 'archive' | 'release' | 'problems' | 'backlog'> {
  readonly stores: readonly StoreNeed[];
  /** Stems of logs that a store which counts lacks. */
  readonly pending: ReadonlySet<string>;
  /** Stems of all that lies staged after this round. */
  readonly lies: ReadonlySet<string>;
}

/** What a store lacks of a source. */
export interface StoreNeed {
  readonly store: string;
  /** Closed logs that it lacks; all that are wanted where it is not known. */
  readonly backlog: { readonly logs: number; readonly bytes: number };
  /** The oldest of them. */
  readonly next: string | null;
  /** A store from which it must be filled, because what it lacks next does not lie staged; else null. */
  readonly fillFrom: string | null;
  readonly outOfReach: OutOfReach | null;
}

/** What became of reading one catalog. `known`: as it was when it was read before. */
export interface StoreRead {
  readonly store: string;
  readonly status: 'read' | 'known' | 'unknown';
  readonly failure: StoreFailure | null;
}

/** A look at a source, before anything is decided. */
export interface SourceView {
  readonly facts: ServerFacts;
  /** Servers that this source was before and whose logs still lie staged, oldest first. */
  readonly earlier: readonly ServerView[];
  readonly present: ServerView;
  /** What became of reading each store. */
  readonly reads: readonly StoreRead[];
}
