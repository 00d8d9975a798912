import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { parseSha256, type Sha256 } from '../domain/identity.ts';

/** Length and SHA-256 of bytes that pass by. */
export class RunningSha256 {
  readonly #hash = createHash('sha256');
  #lengthBytes = 0;

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#lengthBytes += bytes.length;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** The digest of all; to be asked once. */
  finish(): Sha256 {
    return parseSha256(this.#hash.digest('hex'));
  }
}

/** CRC-32 (zlib's polynomial) of bytes that pass by. */
export class RunningCrc32 {
  #value = 0;

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value);
  }

  /** 8 hexadecimal digits. */
  finish(): string {
    return this.#value.toString(16).padStart(8, '0');
  }
}
