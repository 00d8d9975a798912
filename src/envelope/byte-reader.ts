import { leaveAlone } from '../process/lent-memory.ts';

/**
 * Reads exact counts from a stream of chunks. Holds one chunk; copies only what straddles two.
 * Ending early closes the stream.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #onRead: (chunk: Uint8Array) => void;
  #whole: Uint8Array = new Uint8Array(0);
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  #consumed = 0;

  /**
   * `onRead` gets each chunk when all of it was handed out and more is asked for; where it frees the
   * chunk, pieces are valid until then.
   */
  constructor(source: AsyncIterable<Uint8Array>, onRead: (chunk: Uint8Array) => void = leaveAlone) {
    this.#source = source[Symbol.asyncIterator]();
    this.#onRead = onRead;
  }

  /** Bytes handed out so far. */
  get consumed(): number {
    return this.#consumed;
  }

  /** True where no byte is left. */
  async atEnd(): Promise<boolean> {
    await this.#fill();
    return this.#chunk.length === 0;
  }

  /** Exactly `count` bytes in one piece; undefined where the stream ends before them. */
  async exactly(count: number): Promise<Buffer | undefined> {
    if (count === 0) return Buffer.alloc(0);
    const first = await this.atMost(count);
    if (first === undefined || first.length === count) return first && asBuffer(first);
    const whole = Buffer.allocUnsafe(count);
    whole.set(first);
    for (let filled = first.length; filled < count; ) {
      const piece = await this.atMost(count - filled);
      if (piece === undefined) return undefined;
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  /** The next 1 to `count` bytes, without a copy; undefined at the end. */
  async atMost(count: number): Promise<Uint8Array | undefined> {
    await this.#fill();
    if (this.#chunk.length === 0) return undefined;
    const piece = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(piece.length);
    this.#consumed += piece.length;
    return piece;
  }

  /** Closes the stream; called when done or when giving up. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
    this.#ended = true;
  }

  async #fill(): Promise<void> {
    while (this.#chunk.length === 0 && !this.#ended) {
      this.#onRead(this.#whole);
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      this.#whole = next.done === true ? new Uint8Array(0) : next.value;
      this.#chunk = this.#whole;
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
