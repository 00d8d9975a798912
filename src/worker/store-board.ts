import type { PitrailConfig } from '../config/types.ts';
import type { AppError } from '../domain/errors.ts';
import { type StoreOperation, type StoreWatcher, watchStore } from '../storage/watch.ts';
import { storeAnswered } from '../telemetry/sync-events.ts';

/** What this process has seen of one store. Times in milliseconds since 1970. */
export interface StoreUse {
  readonly cluster: string;
  readonly store: string;
  readonly provider: string;
  readonly lastSuccessMs: number | null;
  /** Null since the last success. */
  readonly failing: { readonly sinceMs: number; readonly code: string; readonly message: string } | null;
}

/** Keeps in mind how every store of the configuration answers this process, for health and metrics. */
export class StoreBoard {
  readonly #entries: readonly Entry[];

  constructor(config: PitrailConfig, now: () => number) {
    this.#entries = config.clusters.flatMap((cluster) =>
      cluster.stores.map((store) => {
        const entry = new Entry({ cluster: cluster.name, store: store.id, provider: store.kind }, now);
        watchStore(store, entry);
        return entry;
      }),
    );
  }

  /** Every store, in the order of the configuration. */
  uses(): readonly StoreUse[] {
    return this.#entries.map((entry) => entry.use);
  }

  /** The store that an error names by its location, where it has failed before; undefined for none. */
  storeAt(location: unknown): StoreUse | undefined {
    return this.#entries.find((entry) => entry.location !== null && entry.location === location)?.use;
  }
}

class Entry implements StoreWatcher {
  use: StoreUse;
  location: string | null = null;
  readonly #now: () => number;

  constructor(place: Pick<StoreUse, 'cluster' | 'store' | 'provider'>, now: () => number) {
    this.use = { ...place, lastSuccessMs: null, failing: null };
    this.#now = now;
  }

  answered(operation: StoreOperation, elapsedMs: number): void {
    this.use = { ...this.use, lastSuccessMs: this.#now(), failing: null };
    storeAnswered(this.use, operation, elapsedMs);
  }

  failed(_operation: StoreOperation, error: AppError): void {
    const { location } = error.facts;
    if (typeof location === 'string') this.location = location;
    const sinceMs = this.use.failing?.sinceMs ?? this.#now();
    this.use = { ...this.use, failing: { sinceMs, code: error.code, message: error.message } };
  }
}
