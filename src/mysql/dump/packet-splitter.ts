import { dumpMalformed } from './errors.ts';

const HEADER_BYTES = 4;
/** A payload whose packet is this long goes on in the next one. */
const FULL_PACKET = 0xffffff;

/** Where payloads go, in parts. */
export interface PayloadSink {
  /** The next part, `chunk[start, end)`; false takes no more. */
  part(chunk: Buffer, start: number, end: number): boolean;
  /** The payload is whole; false takes no more. */
  endOfPayload(): boolean;
}

/**
 * Cuts the answer to one command into payloads as it arrives. Parts are handed on as they come, so memory does not
 * depend on what a length says. Source: MySQL's Doxygen, "Protocol Basics".
 */
export class PacketSplitter {
  readonly #sink: PayloadSink;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerHave = 0;
  #left = 0;
  #isFull = false;
  /** The command was packet 0. */
  #sequence = 1;

  constructor(sink: PayloadSink) {
    this.#sink = sink;
  }

  /** Takes bytes as they arrived. @throws unavailable `DumpMalformed` */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at = this.#takeHeader(chunk, at);
        if (this.#headerHave > 0) return;
      }
      const end = Math.min(chunk.length, at + this.#left);
      if (end > at && !this.#sink.part(chunk, at, end)) return;
      this.#left -= end - at;
      at = end;
      if (this.#left === 0 && !this.#isFull && !this.#sink.endOfPayload()) return;
    }
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + HEADER_BYTES - this.#headerHave);
    chunk.copy(this.#header, this.#headerHave, at, end);
    this.#headerHave += end - at;
    if (this.#headerHave < HEADER_BYTES) return end;
    this.#headerHave = 0;
    this.#left = this.#header.readUIntLE(0, 3);
    this.#isFull = this.#left === FULL_PACKET;
    const sequence = this.#header.readUInt8(3);
    if (sequence !== this.#sequence) {
      throw dumpMalformed(`packet ${sequence} came where packet ${this.#sequence} was due`);
    }
    this.#sequence = (sequence + 1) & 0xff;
    return end;
  }
}
