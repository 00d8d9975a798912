import type { HandoffReason, HandoffRoute, SourceRef } from '../catalog-entry.ts';
import type { ServerUuid } from '../identity.ts';
import type { Circuit } from './circuit.ts';
import type { StorePolicy } from './store-policy.ts';

/** The source that is archived now. */
export interface CurrentSource {
  readonly source: string;
  /** null where it was never reached. */
  readonly serverUuid: ServerUuid | null;
  /** Snapshot of `gtid_executed`, taken after the candidate's: what the candidate has and this lacks is errant. */
  readonly reach:
    | { readonly kind: 'reachable'; readonly gtidExecuted: string }
    | { readonly kind: 'unreachable'; readonly forSeconds: number };
  /** Whether a worker polls the queue of its host. */
  readonly queue: { readonly kind: 'served' } | { readonly kind: 'silent'; readonly forSeconds: number };
  /** Age of the oldest transaction that it has executed and that is not archived; 0 where there is none. */
  readonly lagSeconds: number;
}

/** How a server gets transactions of another one. */
export type Replication =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'replica';
      readonly state: 'running' | 'stopped';
      /** Received into its relay logs, applied or not. */
      readonly receivedGtids: string;
    };

/** A server that may take over. */
export type CandidateReach =
  | { readonly kind: 'unreachable'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'reachable';
      readonly serverUuid: ServerUuid;
      readonly gtidMode: string;
      readonly logBin: 'ON' | 'OFF';
      /** Whether it writes what it applies into its own logs. */
      readonly logReplicaUpdates: 'ON' | 'OFF';
      readonly gtidExecuted: string;
      readonly gtidPurged: string;
      readonly replication: Replication;
    };

/** A handoff as it stands in a catalog. */
export interface StandingHandoff {
  readonly epoch: number;
  readonly reason: HandoffReason;
  readonly route: HandoffRoute;
}

/** What one store's catalog says of the history that is to go on. */
export type StoreManifest = {
  readonly store: string;
  /** As it counts now: a store that stands in for another is required. */
  readonly policy: StorePolicy;
  readonly circuit: Circuit;
} & (
  | { readonly kind: 'unread'; readonly code: string }
  | {
      readonly kind: 'read';
      readonly epoch: number;
      /** The newest handoff to a source; null before the first. */
      readonly lastHandoff: StandingHandoff | null;
      /** The timeline that goes on; null where nothing is archived. */
      readonly timeline: number | null;
      /** All that is archived on it, or was logged before its first log, or was given up; canonical. */
      readonly coveredGtids: string;
    }
);

/** What a server that is not the archive's continuation means. */
export type ContinuityPolicy = 'refuse' | 'resync';

/** Everything that decides a handoff. Plain JSON. */
export interface HandoffFacts {
  /** `watch`: only where something is wrong with the current source. */
  readonly trigger: 'operator' | 'watch';
  readonly current: CurrentSource;
  readonly candidate: { readonly source: string; readonly reach: CandidateReach };
  readonly stores: readonly StoreManifest[];
  readonly policy: ContinuityPolicy;
  readonly limits: HandoffLimits;
}

/** From when on a source counts as failed; in seconds. */
export interface HandoffLimits {
  readonly lagSeconds: number;
  readonly unreachableSeconds: number;
  readonly silentSeconds: number;
}

/** The source that holds the archive, by a handoff. */
export function holderOf(handoff: StandingHandoff | null): SourceRef | null {
  return handoff !== null && handoff.route.kind === 'source' ? handoff.route.to : null;
}
