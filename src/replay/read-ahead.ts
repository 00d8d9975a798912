/** Opens a segment; the signal ends the reading of it early. */
export type OpenSegment = (signal: AbortSignal) => AsyncIterable<Uint8Array>;

/**
 * Reads an async iterable into memory before it is asked for, up to `maxBytes` (and one chunk), so that
 * the next file is there when the current one ends. Reading begins at construction.
 */
export class ReadAhead {
  readonly #maxBytes: number;
  readonly #abort = new AbortController();
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  #bytes = 0;
  #state: 'reading' | 'ended' | 'failed' = 'reading';
  #error: unknown = null;
  #wakeReader: () => void = () => undefined;
  #wakeWriter: () => void = () => undefined;

  constructor(open: OpenSegment, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#done = this.#fill(open);
  }

  /** True where `next` would answer at once. */
  get ready(): boolean {
    return this.#chunks.length > 0 || this.#state !== 'reading';
  }

  /** The next chunk; null at the end. @throws what the iterable threw, after the chunks before it */
  async next(): Promise<Uint8Array | null> {
    while (!this.ready) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      this.#wakeWriter();
      return chunk;
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

  async #fill(open: OpenSegment): Promise<void> {
    const { signal } = this.#abort;
    try {
      for await (const chunk of open(signal)) {
        if (signal.aborted) break;
        this.#chunks.push(chunk);
        this.#bytes += chunk.length;
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
    while (this.#bytes >= this.#maxBytes && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }
}
