import { freeNow } from '../process/lent-memory.ts';

/** More than the header of a message has. */
const HEADER_BYTES = 64 * 1024;
/** Frame headers and tags are 32 bytes of each 4 MiB of a message: less than one byte of so many. */
const BYTES_FOR_ONE = 64 * 1024;

/**
 * Chunks that were given to a cipher, which keeps some MiB of them back and does not say of which it is done. It
 * never gives out more bytes than it has taken, but for what frames them: what comes out tells.
 */
export class SpentInput {
  #waiting: { readonly chunk: Uint8Array; readonly endsAt: number }[] = [];
  #givenBytes = 0;
  #outBytes = 0;

  /** Passes the input on, and remembers it. */
  async *watch(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      this.#givenBytes += chunk.length;
      this.#waiting.push({ chunk, endsAt: this.#givenBytes });
      yield chunk;
    }
  }

  /** Frees what was taken for certain, now that so many bytes more have come out. */
  free(outBytes: number): void {
    this.#outBytes += outBytes;
    const taken = this.#outBytes - HEADER_BYTES - Math.ceil(this.#outBytes / BYTES_FOR_ONE);
    const firstKept = this.#waiting.findIndex(({ endsAt }) => endsAt > taken);
    const count = firstKept < 0 ? this.#waiting.length : firstKept;
    for (const { chunk } of this.#waiting.splice(0, count)) freeAtItsEnd(chunk);
  }
}

/** Frees the memory that ends with the chunk; Node's slabs, where others have slices, stay. */
function freeAtItsEnd({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const isLast = byteOffset + byteLength === buffer.byteLength;
  if (isLast && buffer.byteLength > Buffer.poolSize) freeNow(new Uint8Array(buffer));
}
