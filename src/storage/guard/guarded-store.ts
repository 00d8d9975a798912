import type { StoreRules } from '../../config/types.ts';
import { catalogKey } from '../../domain/object-keys.ts';
import type {
  CreateOptions,
  CreateOutcome,
  ListedObject,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
} from '../object-store.ts';
import { storeStalled } from '../refusals.ts';
import { RateGate } from './rate-gate.ts';
import { answeredWithin, type Patience, type Silence, SilenceWatch } from './silence.ts';

/**
 * A store that is partitioned fails within seconds, one that is slow does not: uploads of large parts
 * over a thin line stand still for longer than it takes to ask.
 */
const DEFAULT_PATIENCE: Patience = {
  askAfterMs: 1000,
  answerMs: 2500,
  questions: 2,
  idleMs: 120_000,
};

export interface GuardOptions {
  /** In each direction; null: no limit. */
  readonly limitBytesPerSecond: number | null;
  readonly patience: Patience;
}

/** What fits into one small request. */
const LITTLE_BYTES = 1024 * 1024;

interface SignalOption {
  readonly signal?: AbortSignal;
}

/** Puts a store under a limit of bytes per second, and makes it fail in seconds where it hangs. */
export function guardStore(inner: ObjectStore, options: GuardOptions): ObjectStore {
  return new GuardedStore(inner, options);
}

/** Guards a store as its rules in pitrail.yaml say. */
export function guardByRules(store: ObjectStore, { limitBytesPerSecond }: StoreRules): ObjectStore {
  return guardStore(store, { limitBytesPerSecond, patience: DEFAULT_PATIENCE });
}

/**
 * Guards a store against silence alone. The limit of pitrail.yaml is that of a worker: who restores, or looks, takes
 * what the line gives.
 */
export function guardSilence(store: ObjectStore): ObjectStore {
  return guardStore(store, { limitBytesPerSecond: null, patience: DEFAULT_PATIENCE });
}

class GuardedStore implements ObjectStore {
  readonly id: string;
  readonly kind: ObjectStore['kind'];
  readonly location: string;
  readonly #inner: ObjectStore;
  readonly #up: RateGate;
  readonly #down: RateGate;
  readonly #silence: Silence;

  constructor(inner: ObjectStore, { limitBytesPerSecond, patience }: GuardOptions) {
    this.id = inner.id;
    this.kind = inner.kind;
    this.location = inner.location;
    this.#inner = inner;
    this.#up = new RateGate(limitBytesPerSecond);
    this.#down = new RateGate(limitBytesPerSecond);
    // The first entry of the catalog: small, and in every store that is in use.
    const ask = (signal: AbortSignal) => inner.head(catalogKey(1), { signal });
    this.#silence = { location: inner.location, patience, ask };
  }

  async create(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: CreateOptions = {},
  ): Promise<CreateOutcome> {
    const isLittle = (options.lengthBytes ?? Number.POSITIVE_INFINITY) <= LITTLE_BYTES;
    const watch = new SilenceWatch(this.#silence, isLittle ? 'little' : 'much');
    const work = this.#inner.create(key, this.#sent(body, watch, options.signal), {
      ...options,
      signal: eitherSignal(options.signal, watch.signal),
      onProgress: (acknowledgedBytes) => {
        watch.moved();
        options.onProgress?.(acknowledgedBytes);
      },
    });
    try {
      return await watch.during(work);
    } finally {
      watch.end();
    }
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const watch = new SilenceWatch(this.#silence, 'little');
    const signal = eitherSignal(options.signal, watch.signal);
    const chunks = this.#inner.read(key, { ...options, signal })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await watch.during(chunks.next());
        if (next.done === true) return;
        watch.expectMuch();
        await this.#down.pass(next.value.length, options.signal);
        yield next.value;
      }
    } finally {
      watch.end();
      // The abort ends it; one that hangs all the same is not waited for.
      chunks.return?.()?.catch(() => undefined);
    }
  }

  async head(key: string, { signal }: SignalOption = {}): Promise<ObjectInfo | undefined> {
    const stop = new AbortController();
    const { answerMs } = this.#silence.patience;
    try {
      const asked = this.#inner.head(key, { signal: eitherSignal(signal, stop.signal) });
      return await answeredWithin(asked, answerMs, () => storeStalled(this.location, answerMs));
    } finally {
      stop.abort();
    }
  }

  async *list(prefix: string, { signal }: SignalOption = {}): AsyncGenerator<ListedObject> {
    const watch = new SilenceWatch(this.#silence, 'much');
    const either = eitherSignal(signal, watch.signal);
    const names = this.#inner.list(prefix, { signal: either })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await watch.during(names.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      watch.end();
      names.return?.()?.catch(() => undefined);
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** The body as it is sent: while it is waited for, the store is not to blame. */
  async *#sent(
    body: AsyncIterable<Uint8Array>,
    watch: SilenceWatch,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    watch.pause();
    try {
      for await (const chunk of this.#up.paced(body, signal)) {
        watch.resume();
        yield chunk;
        watch.pause();
      }
    } finally {
      watch.resume();
    }
  }
}

function eitherSignal(given: AbortSignal | undefined, own: AbortSignal): AbortSignal {
  return given === undefined ? own : AbortSignal.any([given, own]);
}
