import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { Given, isStoresDiffer } from './given.ts';
import { type FailedStore, notWhole } from './not-whole.ts';
import { type RetryPolicy, retryDelayMs } from './retry.ts';
import { readSegment, type SegmentHome, type SegmentIdentity } from './segment-stream.ts';

/** An object that one store did not give whole, and another did. Plain JSON. */
export interface Fallover {
  readonly key: string;
  /** The store that failed, and the one that took over. */
  readonly from: string;
  readonly to: string;
  /** What the first one did, for people. */
  readonly reason: string;
}

/** Where a restore read from another store than it would have. Plain JSON. */
export interface FalloverReport {
  /** How many there were; an object that was read again by a later step may count again. */
  readonly count: number;
  /** The first of them, each once. */
  readonly first: readonly Fallover[];
}

/** An object, and the stores whose catalogs name it, best first. */
export interface ObjectToRead {
  readonly key: string;
  /** What it holds, for people: a binlog of a server, a base backup. */
  readonly what: string;
  readonly stores: readonly string[];
}

/** Opens an object in one store; what comes out is proven by digests, so any store will do. */
export type OpenIn = (home: SegmentHome, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;

/** A binlog, as far as its replacement is told. */
interface ReplacedLog {
  readonly segment: Pick<SegmentIdentity, 'serverUuid' | 'binlog'>;
  readonly object: Pick<ObjectToRead, 'key'>;
  readonly stores: readonly string[];
}

interface Failure {
  readonly home: SegmentHome;
  readonly error: AppError;
}

/** An object of which one store began otherwise than others that had failed: which of them, and what is not told yet. */
interface Suspicion {
  readonly homes: readonly SegmentHome[];
  /** The one that began otherwise. */
  readonly by: SegmentHome;
  readonly untold: readonly Failure[];
}

/** Stores that gave different beginnings of one object. */
export interface DifferingStores {
  /** They gave theirs, and then failed. */
  readonly wrong: readonly string[];
  readonly other: string;
  /** How the first of them failed, for people. */
  readonly reason: string;
}

/** How often an unavailable store is asked for one object while there is another to go to. */
const ATTEMPTS = 3;
const WAIT: RetryPolicy = { firstDelayMs: 250, maxDelayMs: 1_000, patienceMs: 0 };

/**
 * Reads objects from stores in an order, and goes to the next one where an object is missing, fails its
 * digest or its decryption, or where the store is unavailable or refuses. The reader of an object gets each
 * byte once: the next store is read from the beginning, and what was given already is compared, not given again.
 *
 * The stores that are known to hold an object come first. One that was unavailable comes last among them from
 * then on, and is told of once; all else is told for each object.
 */
export class FalloverReader {
  readonly #homes: readonly SegmentHome[];
  readonly #onFallover: (fallover: Fallover) => Promise<void>;
  readonly #away = new Set<string>();
  readonly #suspicions = new Map<string, Suspicion>();
  readonly #lost = new Map<string, AppError>();
  readonly #doubtful = new Set<string>();

  /** @param onFallover waited for before the first byte of the store that took over is given */
  constructor(homes: readonly SegmentHome[], onFallover: (fallover: Fallover) => Promise<void>) {
    this.#homes = homes;
    this.#onFallover = onFallover;
  }

  /** Objects that no store gave whole, by their keys, and why. */
  get lost(): ReadonlyMap<string, AppError> {
    return this.#lost;
  }

  /**
   * After `StoresDiffer` nothing of what was given can be trusted. A reader that can forget it may read the
   * object anew: then the store that began otherwise comes first, and what it gives is proven at its end.
   *
   * @throws where no store gives the object whole: unavailable, where one of them may still hold it, else
   *   of the code and kind that the first one threw, with object and stores by name; corrupt `StoresDiffer`;
   *   config `UnknownStore` without any store
   */
  async *read(object: ObjectToRead, openIn: OpenIn, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { key } = object;
    const given = new Given(this.#homes.length > 1);
    const suspicion = this.#suspicions.get(key);
    const failures: Failure[] = [...(suspicion?.untold ?? [])];
    const tried: SegmentHome[] = [];
    const failed: FailedStore[] = [];
    let isWrong = false;
    for (const home of this.#inOrder(object, suspicion?.homes ?? [])) {
      try {
        for await (const chunk of this.#patiently(home, key, openIn, given, signal)) {
          await this.#tell(key, failures, home);
          yield chunk;
        }
        // The one before may have failed at its very end, with nothing left to give.
        await this.#tell(key, failures, home);
        // What was given by others before was compared with what this one gave.
        if (isWrong) this.#doubtful.delete(key);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (isStoresDiffer(error)) this.#suspicions.set(key, { homes: tried, by: home, untold: failures });
        if (!isOfStore(error)) throw error;
        if (error.code === 'PlaintextDiffers' && given.bytes > 0) {
          this.#doubtful.add(key);
          isWrong = true;
        }
        failures.push({ home, error });
        failed.push({ store: home.store.id, error });
        tried.push(home);
        if (error.kind === 'unavailable') this.#away.add(home.store.id);
      }
    }
    // A store that is away may hold it: then trying again can help, whatever the others lack.
    const away = failed.find(({ error: { kind } }) => kind === 'unavailable')?.error;
    const error = away ?? notWhole(object, failed) ?? noStore();
    this.#lost.set(key, error);
    throw error;
  }

  /**
   * Objects of which a store gave bytes before the digest at their end showed that they were of another
   * one, and that no other store has confirmed.
   */
  get doubtful(): ReadonlySet<string> {
    return this.#doubtful;
  }

  /**
   * After `StoresDiffer`: the stores that gave other bytes before they failed, and the one that began
   * otherwise. Null for an object of which no two differed.
   */
  differing(key: string): DifferingStores | null {
    const suspicion = this.#suspicions.get(key);
    if (suspicion === undefined) return null;
    const { homes, by, untold } = suspicion;
    const reason = untold.find(({ home }) => homes.includes(home))?.error.message ?? '';
    return { wrong: homes.map(({ store }) => store.id), other: by.store.id, reason };
  }

  /** Tells of a binlog that no store gives whole, and of one that holds transactions of it and is read instead. */
  async tellReplaced(lost: ReplacedLog, by: ReplacedLog): Promise<void> {
    const { key } = lost.object;
    const why = this.#lost.get(key)?.message ?? '';
    const reason = `${why} What ${nameOf(lost)} held comes from ${nameOf(by)}.`;
    await this.#onFallover({ key, from: lost.stores.join(', '), to: by.stores[0] ?? '', reason });
  }

  async #tell(key: string, failures: Failure[], to: SegmentHome): Promise<void> {
    for (const { home, error } of failures.splice(0).filter((it) => it.home !== to)) {
      await this.#onFallover({ key, from: home.store.id, to: to.store.id, reason: error.message });
    }
  }

  /** A store whose catalog was not read, or does not name the object, may yet hold it. */
  #inOrder({ stores }: ObjectToRead, suspects: readonly SegmentHome[]): readonly SegmentHome[] {
    const holding = stores.flatMap((id) => this.#homes.filter(({ store }) => store.id === id));
    const isAway = ({ store }: SegmentHome) => this.#away.has(store.id);
    const all = [...new Set([...holding.filter((home) => !isAway(home)), ...holding, ...this.#homes])];
    return [...all.filter((home) => !suspects.includes(home)), ...suspects];
  }

  /** One store, asked again for a moment while it is unavailable; the only one is the caller's to wait for. */
  async *#patiently(
    home: SegmentHome,
    key: string,
    openIn: OpenIn,
    given: Given,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const attempts = this.#homes.length > 1 ? ATTEMPTS : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        yield* given.rest(openIn(home, signal), key, home.store.id);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isMomentary(error) || attempt === attempts) throw error;
        const abort = signal === undefined ? {} : { signal };
        await sleep(retryDelayMs(WAIT, attempt, Math.random()), undefined, abort);
      }
    }
  }
}

/**
 * Streams the plaintext of an archived binlog, as `readSegment` does, from whichever store gives it.
 * @throws what `FalloverReader.read` throws
 */
export function readSegmentFrom(
  reader: FalloverReader,
  segment: SegmentIdentity & Pick<ObjectToRead, 'stores'>,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  const { stores, object, serverUuid, binlog } = segment;
  const wanted = { key: object.key, what: `Binlog ${binlog} of ${serverUuid}`, stores };
  return reader.read(wanted, (home, abort) => readSegment(home, segment, abort), signal);
}

function nameOf({ segment }: ReplacedLog): string {
  return `${segment.serverUuid}/${segment.binlog}`;
}

/** True where another store may do better; a wrong use or a bug of ours is the same in each. */
function isOfStore(error: unknown): error is AppError {
  if (!(error instanceof AppError)) return false;
  const { kind } = error;
  return !isStoresDiffer(error) && kind !== 'usage' && kind !== 'bug';
}

/** True where asking again at once may help. One that was silent was asked, and waited for, by its guard. */
function isMomentary(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'unavailable' && error.code !== 'StoreStalled';
}

function noStore(): AppError {
  return new AppError({
    code: 'UnknownStore',
    kind: 'config',
    message: 'The store that the restore was planned with is not configured any more, so it cannot go on.',
    hint: 'Put it back into pitrail.yaml.',
  });
}
