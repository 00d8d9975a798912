import { crc32c } from '@node-rs/crc32';

/** CRC-32C (Castagnoli's polynomial) of bytes that pass by. */
export class RunningCrc32c {
  #value = 0;

  update(bytes: Uint8Array): void {
    this.#value = crc32c(bytes, this.#value);
  }

  /** 8 hexadecimal digits. */
  finish(): string {
    return this.#value.toString(16).padStart(8, '0');
  }
}
