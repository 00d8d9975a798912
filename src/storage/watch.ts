import type { StoreConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { ObjectStore } from './object-store.ts';

export type StoreOperation = 'create' | 'read' | 'head' | 'list';

/** Is told of every request to a store of the configuration. */
export interface StoreWatcher {
  /** `elapsedMs`: of a create or head until it was answered, of a read or list until its first bytes. */
  answered(operation: StoreOperation, elapsedMs: number): void;
  /** The store could not be used: out of reach, full, denied, not proven. */
  failed(operation: StoreOperation, error: AppError): void;
}

const watchers = new WeakMap<StoreConfig, StoreWatcher>();

/** Has every store that is opened by this very configuration watched. */
export function watchStore(config: StoreConfig, watcher: StoreWatcher): void {
  watchers.set(config, watcher);
}

/** The store itself where nobody watches it; else one that tells its watcher. */
export function watched(config: StoreConfig, store: ObjectStore): ObjectStore {
  const watcher = watchers.get(config);
  return watcher === undefined ? store : new WatchedStore(store, watcher);
}

class WatchedStore implements ObjectStore {
  readonly id: string;
  readonly kind: ObjectStore['kind'];
  readonly location: string;
  readonly #store: ObjectStore;
  readonly #watcher: StoreWatcher;

  constructor(store: ObjectStore, watcher: StoreWatcher) {
    this.id = store.id;
    this.kind = store.kind;
    this.location = store.location;
    this.#store = store;
    this.#watcher = watcher;
  }

  create: ObjectStore['create'] = (...args) => this.#ask('create', () => this.#store.create(...args));
  head: ObjectStore['head'] = (...args) => this.#ask('head', () => this.#store.head(...args));
  read: ObjectStore['read'] = (...args) => this.#stream('read', () => this.#store.read(...args));
  list: ObjectStore['list'] = (...args) => this.#stream('list', () => this.#store.list(...args));
  close: ObjectStore['close'] = () => this.#store.close();

  async #ask<T>(operation: StoreOperation, request: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      const answer = await request();
      this.#watcher.answered(operation, performance.now() - startedAt);
      return answer;
    } catch (error) {
      throw this.#noted(operation, error, startedAt);
    }
  }

  async *#stream<T>(operation: StoreOperation, request: () => AsyncIterable<T>): AsyncGenerator<T> {
    const startedAt = performance.now();
    let silent = true;
    const answered = (): void => {
      if (silent) this.#watcher.answered(operation, performance.now() - startedAt);
      silent = false;
    };
    try {
      for await (const item of request()) {
        answered();
        yield item;
      }
      answered();
    } catch (error) {
      throw this.#noted(operation, error, startedAt);
    }
  }

  /** Only what the store itself did not do counts against it: not the body that was to be stored, not an abort. */
  #noted(operation: StoreOperation, error: unknown, startedAt: number): unknown {
    if (!(error instanceof AppError) || error.facts['location'] !== this.location) return error;
    if (error.code === 'ObjectMissing') this.#watcher.answered(operation, performance.now() - startedAt);
    else this.#watcher.failed(operation, error);
    return error;
  }
}
