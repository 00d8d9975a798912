/**
 * Moves the wanted bytes of a chunk together, in place, so that a chunk with thousands of small events is handed on
 * as one.
 */
export class Gathered {
  readonly #emit: (bytes: Uint8Array) => void;
  #chunk: Buffer = Buffer.alloc(0);
  /** What is kept and not handed on yet: `chunk[from, to)`. Never beyond what was read of the chunk. */
  #from = 0;
  #to = 0;

  constructor(emit: (bytes: Uint8Array) => void) {
    this.#emit = emit;
  }

  /** Begins a chunk; its bytes are the caller's no more. */
  begin(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#from = 0;
    this.#to = 0;
  }

  /** Keeps bytes of the chunk. */
  keep(start: number, end: number): void {
    if (this.#to !== start) this.#chunk.copyWithin(this.#to, start, end);
    this.#to += end - start;
  }

  /** Keeps bytes from elsewhere, where the chunk was read up to `readTo`. */
  insert(bytes: Buffer, readTo: number): void {
    if (readTo - this.#to >= bytes.length) {
      this.#to += bytes.copy(this.#chunk, this.#to);
      return;
    }
    this.flush();
    this.#emit(Uint8Array.from(bytes));
    this.#from = readTo;
    this.#to = readTo;
  }

  /** Hands on what was kept. */
  flush(): void {
    if (this.#to > this.#from) this.#emit(this.#chunk.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
