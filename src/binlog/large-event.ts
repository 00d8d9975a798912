import { crc32 } from 'node:zlib';
import { CHECKSUM_BYTES, readU32 } from './event-header.ts';

/** A large event that passes by in parts: its CRC is computed on the way, its checksum collected. */
export class LargeEvent {
  /** Body bytes still to come, without the checksum. */
  #left: number;
  #crc: number;
  readonly #footer = new Uint8Array(CHECKSUM_BYTES);
  readonly #footerWanted: number;
  #footerHave = 0;

  constructor(header: Uint8Array, bodyBytes: number, footerBytes: number) {
    this.#left = bodyBytes;
    this.#crc = crc32(header);
    this.#footerWanted = footerBytes;
  }

  /** Bytes of body and checksum still to come. */
  get left(): number {
    return this.#left + this.#footerWanted - this.#footerHave;
  }

  /** Takes body bytes from a chunk; returns the index behind them. */
  takeBody(chunk: Uint8Array, from: number): number {
    const end = Math.min(chunk.length, from + this.#left);
    if (end > from) this.#crc = crc32(chunk.subarray(from, end), this.#crc);
    this.#left -= end - from;
    return end;
  }

  /** Takes checksum bytes, once the body is whole; returns the index behind them. */
  takeFooter(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#left === 0 && this.#footerHave < this.#footerWanted && at < chunk.length) {
      this.#footer[this.#footerHave++] = chunk[at++] as number;
    }
    return at;
  }

  /** Computed and stored checksum; equal where the event has none. */
  checksums(): { readonly computed: number; readonly stored: number } {
    return { computed: this.#crc, stored: this.#footerWanted === 0 ? this.#crc : readU32(this.#footer, 0) };
  }
}
