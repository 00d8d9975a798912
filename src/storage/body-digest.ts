import type { Sha256 } from '../domain/identity.ts';
import { RunningCrc32, RunningSha256 } from '../envelope/digest.ts';
import { bodyLengthDiffers } from './refusals.ts';

/** Length and digests of a whole body, on its way into parts. */
export class BodyDigest {
  readonly #sha256 = new RunningSha256();
  readonly #crc32 = new RunningCrc32();

  async *watch(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      this.#sha256.update(chunk);
      this.#crc32.update(chunk);
      yield chunk;
    }
    signal?.throwIfAborted();
  }

  get lengthBytes(): number {
    return this.#sha256.lengthBytes;
  }

  /** CRC-32 of all that has passed. */
  get crc32(): string {
    return this.#crc32.finish();
  }

  /** Refuses a body of another length than was announced, before anything becomes visible. @throws corrupt */
  checkLength(objectKey: string, announcedBytes: number | undefined): void {
    if (announcedBytes === undefined || announcedBytes === this.lengthBytes) return;
    throw bodyLengthDiffers(objectKey, announcedBytes, this.lengthBytes);
  }

  /** To be asked once. */
  finish(): { readonly lengthBytes: number; readonly sha256: Sha256; readonly crc32: string } {
    return { lengthBytes: this.lengthBytes, sha256: this.#sha256.finish(), crc32: this.crc32 };
  }
}
