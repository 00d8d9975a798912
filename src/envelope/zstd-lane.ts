import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';

/** One allocation for more than a frame at usual ratios; what is left of it takes the next frame's start. */
const OUTPUT_BYTES = 1024 * 1024;

/**
 * A compressor that makes one whole frame of each block, on libuv's pool, and keeps its memory from
 * block to block: Node's one-shot function allocates a context for each, and leaves the content size
 * out of the frame. One block at a time; several lanes work in parallel.
 */
export class ZstdLane {
  readonly #stream: ZstdCompress;
  #pieces: Buffer[] = [];
  #failure: { readonly error: Error } | undefined;

  constructor(params: Readonly<Record<number, number>>) {
    this.#stream = createZstdCompress({
      params: { ...params },
      // Every write ends a frame, so zstd knows the size of its content beforehand.
      flush: constants.ZSTD_e_end,
      chunkSize: OUTPUT_BYTES,
    });
    this.#stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    this.#stream.on('error', (error) => {
      this.#failure = { error };
    });
  }

  /** One frame, in pieces. */
  compress(block: Uint8Array): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      this.#stream.write(block, (error) => {
        const failed = error ?? this.#failure?.error;
        if (failed !== undefined && failed !== null) return reject(failed);
        const pieces = this.#pieces;
        this.#pieces = [];
        resolve(pieces);
      });
    });
  }

  /** Frees the context at once. */
  close(): void {
    this.#stream.destroy();
  }
}
