/** Opens a segment; the signal ends the reading of it early. */
export type OpenSegment = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** How much is kept ready, and how much of that an item counts for. */
export interface ReadAheadBound<T> {
  readonly most: number;
  readonly weigh: (item: T) => number;
}

/** Keeps up to so many bytes of chunks ready. */
export function bytesAhead(most: number): ReadAheadBound<Uint8Array> {
  return { most, weigh: (chunk) => chunk.length };
}

/**
 * Reads an async iterable into memory before it is asked for, up to a bound (and one item), so that
 * the next file is there when the current one ends. Reading begins at construction.
 */
export class ReadAhead<T> {
  readonly #bound: ReadAheadBound<T>;
  readonly #abort = new AbortController();
  readonly #items: T[] = [];
  readonly #done: Promise<void>;
  #weight = 0;
  #state: 'reading' | 'ended' | 'failed' = 'reading';
  #error: unknown = null;
  #wakeReader: () => void = () => undefined;
  #wakeWriter: () => void = () => undefined;

  constructor(open: (signal: AbortSignal) => AsyncIterable<T>, bound: ReadAheadBound<T>) {
    this.#bound = bound;
    this.#done = this.#fill(open);
  }

  /** True where `next` would answer at once. */
  get ready(): boolean {
    return this.#items.length > 0 || this.#state !== 'reading';
  }

  /** The next item; null at the end. @throws what the iterable threw, after the items before it */
  async next(): Promise<T | null> {
    while (!this.ready) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#weight -= this.#bound.weigh(item);
      this.#wakeWriter();
      return item;
    }
    if (this.#state === 'failed') throw this.#error;
    return null;
  }

  /** Stops reading and lets the iterable clean up. What it throws while being stopped says nothing new. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#wakeWriter();
    await this.#done;
  }

  async #fill(open: (signal: AbortSignal) => AsyncIterable<T>): Promise<void> {
    const { signal } = this.#abort;
    try {
      for await (const item of open(signal)) {
        if (signal.aborted) break;
        this.#items.push(item);
        this.#weight += this.#bound.weigh(item);
        this.#wakeReader();
        await this.#room(signal);
      }
      this.#state = 'ended';
    } catch (error) {
      this.#error = error;
      this.#state = 'failed';
    }
    this.#wakeReader();
  }

  async #room(signal: AbortSignal): Promise<void> {
    while (this.#weight >= this.#bound.most && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }
}
