/**
 * Reads exact counts from a stream of chunks. Holds one chunk; copies only what straddles two.
 * Ending early closes the stream.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  #consumed = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
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
    const pieces: Uint8Array[] = [];
    for (let missing = count; missing > 0; ) {
      const piece = await this.atMost(missing);
      if (piece === undefined) return undefined;
      pieces.push(piece);
      missing -= piece.length;
    }
    const [first] = pieces;
    return first !== undefined && pieces.length === 1 ? asBuffer(first) : Buffer.concat(pieces, count);
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
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else this.#chunk = next.value;
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
