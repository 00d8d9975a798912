/**
 * Framing of MySQL's client/server protocol: packets of at most 2^24 - 1 bytes with a 3-byte
 * length and a sequence number, and the few replies that a replication source gives.
 * Source: MySQL's Doxygen, "Protocol Basics".
 */
import { AppError } from '../../domain/errors.ts';

/** The largest payload of one packet; a payload of this length or more goes on in the next packet. */
export const MAX_PACKET_PAYLOAD = 0xffffff;
export const PACKET_HEADER_BYTES = 4;

/** SERVER_STATUS_AUTOCOMMIT */
const STATUS = 0x0002;
const TYPE_VAR_STRING = 0xfd;
const UTF8MB4_GENERAL_CI = 45;

/** One whole payload of a client. */
export interface Packet {
  /** Number of its last part; the reply counts on from here. */
  readonly sequence: number;
  readonly payload: Buffer;
}

/** Puts the packets of a byte stream together; holds at most `maxBytes`. */
export class PacketReader {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Fewer bytes hold no further packet, so they need not be put together. */
  #wantedBytes = PACKET_HEADER_BYTES;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds bytes as they arrived. @throws refused where a client sends more than `maxBytes` without an end */
  push(chunk: Uint8Array): void {
    if (this.#bytes + chunk.length > this.#maxBytes) {
      throw new AppError({
        code: 'PacketTooLarge',
        kind: 'refused',
        message: `A client of the archive source sent a packet of more than ${this.#maxBytes} bytes; its connection is closed.`,
        facts: { maxBytes: this.#maxBytes },
      });
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** Takes the next whole payload; null where more bytes are needed. */
  next(): Packet | null {
    if (this.#bytes < this.#wantedBytes) return null;
    const all = Buffer.concat(this.#chunks);
    const parts: Buffer[] = [];
    let offset = 0;
    for (;;) {
      const start = offset + PACKET_HEADER_BYTES;
      const end = all.length < start ? start : start + all.readUIntLE(offset, 3);
      if (all.length < end) return this.#keep(all, end);
      parts.push(all.subarray(start, end));
      const sequence = all.readUInt8(offset + 3);
      offset = end;
      if (end - start === MAX_PACKET_PAYLOAD) continue;
      this.#keep(all.subarray(offset), PACKET_HEADER_BYTES);
      return { sequence, payload: Buffer.concat(parts) };
    }
  }

  #keep(rest: Buffer, wantedBytes: number): null {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    this.#wantedBytes = wantedBytes;
    return null;
  }
}

/** Frames payloads, each shorter than 2^24 - 1 bytes, as packets from `sequence` on. */
export function framePackets(payloads: readonly Buffer[], sequence: number): Buffer {
  const parts: Buffer[] = [];
  payloads.forEach((payload, index) => {
    const header = Buffer.alloc(PACKET_HEADER_BYTES);
    header.writeUIntLE(payload.length, 0, 3);
    header.writeUInt8((sequence + index) & 0xff, 3);
    parts.push(header, payload);
  });
  return Buffer.concat(parts);
}

/** Reads a length-encoded integer; the caller's buffer must hold it. */
export function readLengthEncoded(buffer: Buffer, offset: number): { value: number; next: number } {
  const first = buffer.readUInt8(offset);
  if (first < 0xfb) return { value: first, next: offset + 1 };
  if (first === 0xfc) return { value: buffer.readUInt16LE(offset + 1), next: offset + 3 };
  if (first === 0xfd) return { value: buffer.readUIntLE(offset + 1, 3), next: offset + 4 };
  return { value: Number(buffer.readBigUInt64LE(offset + 1)), next: offset + 9 };
}

/** Writes a length-encoded integer below 2^53. */
export function lengthEncoded(value: number): Buffer {
  if (value < 0xfb) return Buffer.from([value]);
  if (value <= 0xffff) return Buffer.from([0xfc, value & 0xff, value >> 8]);
  const out = Buffer.alloc(value <= 0xffffff ? 4 : 9);
  out.writeUInt8(value <= 0xffffff ? 0xfd : 0xfe, 0);
  if (value <= 0xffffff) out.writeUIntLE(value, 1, 3);
  else out.writeBigUInt64LE(BigInt(value), 1);
  return out;
}

function lengthEncodedText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([lengthEncoded(bytes.length), bytes]);
}

/** OK: nothing changed, no warnings. */
export function okPayload(): Buffer {
  return Buffer.from([0x00, 0x00, 0x00, STATUS, 0x00, 0x00, 0x00]);
}

/** End of rows, or of a dump that was asked not to wait. */
export function eofPayload(): Buffer {
  return Buffer.from([0xfe, 0x00, 0x00, STATUS, 0x00]);
}

/** An error with its number and SQLSTATE, as a client shows it. */
export function errorPayload(errno: number, sqlState: string, message: string): Buffer {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return Buffer.concat([head, Buffer.from(`#${sqlState}${message}`, 'utf8')]);
}

/** A result of one column and one row, with EOF packets (CLIENT_DEPRECATE_EOF is not offered). */
export function singleValuePayloads(column: string, value: string): Buffer[] {
  const fixed = Buffer.alloc(13);
  fixed.writeUInt8(0x0c, 0);
  fixed.writeUInt16LE(UTF8MB4_GENERAL_CI, 1);
  fixed.writeUInt32LE(1024, 3);
  fixed.writeUInt8(TYPE_VAR_STRING, 7);
  const names = ['def', '', '', '', column, column].map(lengthEncodedText);
  return [
    Buffer.from([1]),
    Buffer.concat([...names, fixed]),
    eofPayload(),
    lengthEncodedText(value),
    eofPayload(),
  ];
}
