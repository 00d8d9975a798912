import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { catalogKey } from '../domain/object-keys.ts';
import { fullJitterMs } from '../domain/routing/backoff.ts';
import { type Circuit, CLOSED_CIRCUIT, STORE_TRY, stepCircuit } from '../domain/routing/circuit.ts';
import { isStoreFailure, storeFailureKind, storeRemedy } from '../domain/routing/store-failures.ts';
import { effectivePolicies, type StandIn } from '../domain/routing/store-handoff.ts';
import type { StorePolicy } from '../domain/routing/store-policy.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** A store that does not get a backup, because it failed; `sync` brings it there. Plain JSON. */
export interface LeftBehind {
  readonly store: string;
  readonly code: string;
  readonly message: string;
}

/** What became of work on one store. */
export type StoreOutcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'left'; readonly left: LeftBehind };

/** Counts the failures of one store as its circuit in archiving does: after three in a row it is left behind. */
export class StoreTries {
  readonly #store: string;
  #circuit: Circuit = CLOSED_CIRCUIT;
  #attempt = 0;

  constructor(store: string) {
    this.#store = store;
  }

  /** Counts a failure; null while the store is to be tried again. @throws the error, where it is no failure of the store */
  failed(error: unknown): LeftBehind | null {
    if (!(error instanceof AppError) || !isStoreFailure(error.code)) throw error;
    const { code, message } = error;
    const cause = { code, message };
    const event = {
      kind: 'failed',
      work: 'transfer',
      atMs: Date.now(),
      cause,
      chance: Math.random(),
    } as const;
    this.#circuit = stepCircuit(this.#circuit, event);
    return this.#circuit.kind === 'closed' ? null : { store: this.#store, code, message };
  }

  /** Waits before the next try, with growing pauses. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = fullJitterMs(STORE_TRY.retry, this.#attempt, Math.random());
    this.#attempt += 1;
    await sleep(ms, undefined, { signal });
  }
}

/**
 * Does work on one store, and again with growing pauses, until it succeeds or the store has failed three
 * times in a row. After a failure it is asked for something small first, before much is done again.
 * @throws what the work throws that is no failure of the store
 */
export async function tryStore<T>(
  store: ObjectStore,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<StoreOutcome<T>> {
  const tries = new StoreTries(store.id);
  for (let isFirst = true; ; isFirst = false) {
    try {
      if (!isFirst) await store.head(catalogKey(1), { signal });
      return { kind: 'done', value: await work() };
    } catch (error) {
      signal.throwIfAborted();
      const left = tries.failed(error);
      if (left !== null) return { kind: 'left', left };
    }
    await tries.pause(signal);
  }
}

/** How the stores of a cluster count by its configuration. */
export type StorePolicies = readonly { readonly store: string; readonly policy: StorePolicy }[];

/** A backup needs a store that counts, stand-ins taken into account; where none does, any. Pure. */
export function isEnough(
  having: readonly string[],
  policies: StorePolicies,
  standIns: readonly StandIn[],
): boolean {
  const counting = effectivePolicies(policies, standIns).filter(({ policy }) => policy === 'required');
  return having.length > 0 && (counting.length === 0 || counting.some(({ store }) => having.includes(store)));
}

/** Tells that too few stores are there for a backup. */
export function tooFewStores(backupId: string, left: readonly LeftBehind[]): AppError {
  const reasons = left.map(({ store, message }) => `${store}: ${message}`).join(' ');
  const code = left[0]?.code ?? 'StoreUnreachable';
  return new AppError({
    code,
    kind: storeFailureKind(code),
    message: `No store that counts can take the base backup ${backupId} now, so it is registered nowhere. ${reasons}`,
    hint: storeRemedy(code),
    facts: { backupId, stores: left.map(({ store }) => store) },
  });
}
