import type { Circuit } from './circuit.ts';

/** `required`: nothing counts as archived without it. `catch-up`: gets everything too, but nobody waits for it. */
export type StorePolicy = 'required' | 'catch-up';

/** One store, as routing sees it. Plain JSON. */
export interface RoutedStore {
  readonly store: string;
  readonly policy: StorePolicy;
  readonly circuit: Circuit;
}

/** One closed log of a source, oldest first in lists. Plain JSON. */
export interface RoutedLog {
  readonly binlog: string;
  readonly lengthBytes: number;
  /** Stores whose catalog names it. */
  readonly heldBy: readonly string[];
}

/** Whether a log counts as archived, and what it lacks. */
export type ArchivedJudgement =
  | { readonly kind: 'archived'; readonly catchingUp: readonly string[] }
  | {
      readonly kind: 'pending';
      readonly requiredLack: readonly string[];
      readonly heldBy: readonly string[];
    };

/**
 * A log is archived when every required store holds it, read back. Where no store is required (which
 * the configuration refuses), nothing ever is.
 */
export function judgeArchived(
  log: RoutedLog,
  stores: readonly Pick<RoutedStore, 'store' | 'policy'>[],
): ArchivedJudgement {
  const lacking = stores.filter(({ store }) => !log.heldBy.includes(store));
  const required = stores.filter(({ policy }) => policy === 'required');
  const requiredLack = lacking.filter(({ policy }) => policy === 'required').map(({ store }) => store);
  if (required.length === 0 || requiredLack.length > 0) {
    return { kind: 'pending', requiredLack, heldBy: log.heldBy };
  }
  return { kind: 'archived', catchingUp: lacking.map(({ store }) => store) };
}

/** What one store lacks of a source. */
export interface StoreBacklog {
  readonly store: string;
  readonly logs: number;
  readonly bytes: number;
  /** The oldest log that it lacks: what its pipeline does next; null where it has all. */
  readonly next: string | null;
}

/** The backlog of each store, in the order of the stores. */
export function backlogs(
  logs: readonly RoutedLog[],
  stores: readonly Pick<RoutedStore, 'store'>[],
): StoreBacklog[] {
  return stores.map(({ store }) => {
    const lacking = logs.filter(({ heldBy }) => !heldBy.includes(store));
    const bytes = lacking.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    return { store, logs: lacking.length, bytes, next: lacking[0]?.binlog ?? null };
  });
}

/** Where uploads go now. */
export interface StoreRoute {
  /** Stores that take uploads. */
  readonly active: readonly string[];
  /** Stores whose circuit is not closed: their backlog grows, and only a probe goes there. */
  readonly heldBack: readonly string[];
  readonly standing: /** Every required store takes uploads. */
    | { readonly kind: 'normal' }
    /** A required store is held back; what is uploaded goes to the others, and is not archived yet. */
    | { readonly kind: 'rerouted'; readonly from: readonly string[]; readonly to: readonly string[] }
    /** No store takes uploads: logs are staged only. */
    | { readonly kind: 'staging-only'; readonly from: readonly string[] };
}

/** Decides from the circuits where uploads go. */
export function routeStores(stores: readonly RoutedStore[]): StoreRoute {
  const active = stores.filter(({ circuit }) => circuit.kind === 'closed').map(({ store }) => store);
  const held = stores.filter(({ circuit }) => circuit.kind !== 'closed');
  const heldBack = held.map(({ store }) => store);
  const from = held.filter(({ policy }) => policy === 'required').map(({ store }) => store);
  if (active.length === 0) return { active, heldBack, standing: { kind: 'staging-only', from: heldBack } };
  if (from.length === 0) return { active, heldBack, standing: { kind: 'normal' } };
  return { active, heldBack, standing: { kind: 'rerouted', from, to: active } };
}
