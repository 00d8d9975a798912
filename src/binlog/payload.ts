import { constants, createZstdDecompress, type ZstdDecompress } from 'node:zlib';
import type { PayloadHeader } from './events.ts';
import type { FrameSink } from './frame.ts';
import { EventFramer } from './framer.ts';
import { corruptAt, type Place } from './problem.ts';

/** A payload that would grow larger than this is not opened; a transaction is never that large. */
const MAX_PAYLOAD_BYTES = 64 * 1024 ** 3;
const OUTPUT_BYTES = 256 * 1024;
/** Largest window that zstd's levels 1 to 22 make: 128 MiB. A frame that wants more is refused. */
const WINDOW_LOG_MAX = 27;

/**
 * Opens a TRANSACTION_PAYLOAD as a stream: compressed bytes in, events out. What comes out is
 * bounded by the size that the payload declares, and memory by zstd's window and 1 MiB, however
 * small the compressed bytes are. Events inside have no checksums and no positions.
 */
export class PayloadOpener {
  readonly #place: Place;
  readonly #declaredBytes: number;
  readonly #framer: EventFramer;
  readonly #zstd: ZstdDecompress | null;
  #outBytes = 0;
  #failure: unknown = null;

  /** @param place of the payload event; copied */
  constructor(options: {
    readonly place: Place;
    readonly header: PayloadHeader;
    readonly sink: FrameSink;
    readonly maxBytes?: number;
  }) {
    const { file, offset, type } = options.place;
    this.#place = { file, offset, type };
    this.#declaredBytes = options.header.uncompressedBytes;
    if (this.#declaredBytes > (options.maxBytes ?? MAX_PAYLOAD_BYTES)) {
      throw corruptAt(
        this.#place,
        'payload',
        `it declares ${this.#declaredBytes} bytes, which is more than is opened`,
      );
    }
    this.#framer = new EventFramer({
      file: `${file}, payload at ${offset}`,
      startOffset: 0,
      checksum: 'none',
      source: 'payload',
      sink: options.sink,
    });
    this.#zstd = options.header.compression === 'zstd' ? this.#decompressor() : null;
  }

  /** Takes compressed bytes; done when all that they hold has gone to the sink. @throws corrupt, and what the sink throws */
  async write(bytes: Uint8Array): Promise<void> {
    const zstd = this.#zstd;
    if (zstd === null) {
      this.#take(bytes);
      return;
    }
    await new Promise<void>((resolve) => {
      zstd.once('close', resolve);
      zstd.write(bytes, () => {
        zstd.off('close', resolve);
        resolve();
      });
    });
    this.#rethrow();
  }

  /** Ends the payload. @throws corrupt where it is cut, or holds another number of bytes than declared */
  async end(): Promise<void> {
    const zstd = this.#zstd;
    if (zstd !== null && !zstd.closed) {
      await new Promise<void>((resolve) => {
        zstd.once('close', resolve);
        zstd.end();
      });
      this.#rethrow();
    }
    const cut = this.#framer.end();
    if (cut !== null || this.#outBytes !== this.#declaredBytes) {
      throw corruptAt(
        this.#place,
        'payload',
        `it declares ${this.#declaredBytes} bytes and holds ${this.#outBytes}, or ends inside an event`,
      );
    }
  }

  /** Frees the decompressor where the payload is not read to its end. */
  discard(): void {
    this.#zstd?.destroy();
  }

  #decompressor(): ZstdDecompress {
    const zstd = createZstdDecompress({
      chunkSize: OUTPUT_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    });
    zstd.on('data', (chunk: Buffer) => {
      try {
        if (this.#failure === null) this.#take(chunk);
      } catch (error) {
        this.#failure = error;
        zstd.destroy();
      }
    });
    zstd.on('error', (error) => {
      this.#failure ??= corruptAt(this.#place, 'payload', `it cannot be decompressed: ${error.message}`);
    });
    return zstd;
  }

  #take(chunk: Uint8Array): void {
    this.#outBytes += chunk.length;
    if (this.#outBytes > this.#declaredBytes) {
      throw corruptAt(this.#place, 'payload', `it declares ${this.#declaredBytes} bytes and holds more`);
    }
    this.#framer.push(chunk);
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
