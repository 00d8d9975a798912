import { crc32 } from 'node:zlib';
import { CHECKSUM_BYTES, FLAG, HEADER_BYTES, MAGIC, readU32 } from '../binlog/event-header.ts';
import { EVENT } from '../binlog/event-types.ts';
import type { ChecksumAlgorithm } from '../binlog/format-description.ts';
import { AppError } from '../domain/errors.ts';

/** Events up to this size are checked before their first byte leaves; larger ones before their last. */
export const WHOLE_EVENT_BYTES = 1024 * 1024;

/** Receives the events of one file in order, each with its CRC checked as its file has it. */
export interface EventSink {
  /** A whole event, `buffer[start, end)`; the bytes are valid during the call only. */
  event(type: number, buffer: Buffer, start: number, end: number): void;
  /** An event larger than WHOLE_EVENT_BYTES begins; `header` holds its 19 bytes, which come again as a piece. */
  beginLarge(type: number, header: Buffer, sizeBytes: number): void;
  /** Bytes of the large event. Its last four come alone, after its CRC was found right. */
  largePiece(buffer: Buffer, start: number, end: number): void;
  /** False ends the walk after the current event, until the caller goes on. */
  readonly wantsMore: boolean;
}

/** The error for bytes that no server wrote: nothing of them may be applied. */
export function corruptFile(file: string, offset: number, reason: string): AppError {
  return new AppError({
    code: 'CorruptSegment',
    kind: 'corrupt',
    message: `${file} is damaged at offset ${offset}: ${reason}. Nothing from there on is sent to the replica.`,
    hint: 'Compare the stored object with the catalog (pitrail verify), and restore from another store or to a target before this file.',
    facts: { file, offset, reason },
  });
}

interface LargeEvent {
  readonly sizeBytes: number;
  left: number;
  crc: number;
  readonly tail: Buffer;
}

/**
 * Walks the events of one plaintext binlog as its bytes arrive: follows lengths, checks positions and CRCs,
 * and holds at most one event of WHOLE_EVENT_BYTES. It never searches for a header.
 */
export class EventWalker {
  readonly #file: string;
  readonly #lengthBytes: number;
  readonly #sink: EventSink;
  /** Bytes of an event whose end has not come. */
  readonly #carry = Buffer.allocUnsafeSlow(WHOLE_EVENT_BYTES);
  #carried = 0;
  #large: LargeEvent | null = null;
  #checksum: 'unknown' | ChecksumAlgorithm = 'unknown';
  /** Offset in the file of the next event, or of the one being carried. */
  #offset = 0;

  /** `file` is for messages; `lengthBytes` is the length that the catalog has of it. */
  constructor(file: string, lengthBytes: number, sink: EventSink) {
    this.#file = file;
    this.#lengthBytes = lengthBytes;
    this.#sink = sink;
  }

  /** Offset behind the last whole event. */
  get offset(): number {
    return this.#offset;
  }

  /** Walks on from `start` and answers where it stopped: the chunk's length, or less where the sink is full. @throws corrupt */
  push(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length && this.#sink.wantsMore) {
      if (this.#large !== null) at = this.#pushLarge(this.#large, chunk, at);
      else if (this.#offset === 0) at = this.#pushMagic(chunk, at);
      else if (this.#carried > 0) at = this.#pushCarried(chunk, at);
      else at = this.#pushWhole(chunk, at);
    }
    return at;
  }

  /** Says that no more bytes come. @throws corrupt where an event is cut off */
  end(): void {
    const between = this.#carried === 0 && this.#large === null;
    if (between && this.#offset === this.#lengthBytes) return;
    if (!between) throw this.#corrupt('the file ends in the middle of an event');
    throw this.#corrupt(`the file ends here, and the catalog has it with ${this.#lengthBytes} bytes`);
  }

  #pushMagic(chunk: Buffer, at: number): number {
    const taken = this.#take(chunk, at, MAGIC.length);
    if (this.#carried < MAGIC.length) return taken;
    if (!this.#carry.subarray(0, MAGIC.length).equals(MAGIC)) throw this.#corrupt('it is not a binary log');
    this.#carried = 0;
    this.#offset = MAGIC.length;
    return taken;
  }

  /** The common case: the event lies whole in the chunk and is not copied. */
  #pushWhole(chunk: Buffer, at: number): number {
    const left = chunk.length - at;
    if (left < HEADER_BYTES) return this.#take(chunk, at, HEADER_BYTES);
    const size = this.#sizeOf(chunk, at);
    if (size > WHOLE_EVENT_BYTES) return this.#beginLarge(chunk, at, size);
    if (left < size) return this.#take(chunk, at, size);
    this.#deliver(chunk, at, at + size);
    return at + size;
  }

  #pushCarried(chunk: Buffer, at: number): number {
    // An event may be nothing but its header, so a whole header is looked at before more bytes come.
    const afterHeader = this.#carried < HEADER_BYTES ? this.#take(chunk, at, HEADER_BYTES) : at;
    if (this.#carried < HEADER_BYTES) return afterHeader;
    const size = this.#sizeOf(this.#carry, 0);
    if (size > WHOLE_EVENT_BYTES) {
      const header = Buffer.from(this.#carry.subarray(0, this.#carried));
      this.#carried = 0;
      this.#beginLarge(header, 0, size);
      return afterHeader;
    }
    const taken = this.#take(chunk, afterHeader, size);
    if (this.#carried === size) {
      this.#carried = 0;
      this.#deliver(this.#carry, 0, size);
    }
    return taken;
  }

  /** Copies into the carry until it holds `wanted` bytes. */
  #take(chunk: Buffer, at: number, wanted: number): number {
    const end = Math.min(chunk.length, at + wanted - this.#carried);
    this.#carried += chunk.copy(this.#carry, this.#carried, at, end);
    return end;
  }

  #sizeOf(buffer: Buffer, at: number): number {
    const size = readU32(buffer, at + 9);
    const least = HEADER_BYTES + (this.#checksum === 'crc32' ? CHECKSUM_BYTES : 0);
    if (size >= least && this.#offset + size <= this.#lengthBytes) return size;
    throw this.#corrupt(`an event claims to have ${size} bytes in a file of ${this.#lengthBytes}`);
  }

  #requirePosition(buffer: Buffer, at: number, size: number): void {
    const end = (this.#offset + size) % 2 ** 32;
    if (readU32(buffer, at + 13) === end) return;
    throw this.#corrupt(`the event's position is ${readU32(buffer, at + 13)}, not its end ${end}`);
  }

  #deliver(buffer: Buffer, start: number, end: number): void {
    const type = buffer[start + 4] as number;
    if (this.#checksum === 'unknown') this.#readFormat(type, buffer, start, end);
    else if (this.#checksum === 'crc32')
      this.#requireCrc(crc32(buffer.subarray(start, end - CHECKSUM_BYTES)), buffer, end);
    this.#requirePosition(buffer, start, end - start);
    this.#sink.event(type, buffer, start, end);
    this.#offset += end - start;
  }

  /** FORMAT_DESCRIPTION always has a CRC, computed without its in-use flag, and names the checksum of the rest. */
  #readFormat(type: number, buffer: Buffer, start: number, end: number): void {
    if (type !== EVENT.FORMAT_DESCRIPTION || end - start < HEADER_BYTES + 58 + CHECKSUM_BYTES) {
      throw this.#corrupt('the file does not begin with FORMAT_DESCRIPTION');
    }
    const plain = Buffer.from(buffer.subarray(start, end));
    plain.writeUInt16LE(plain.readUInt16LE(17) & ~FLAG.IN_USE, 17);
    this.#requireCrc(crc32(plain.subarray(0, -CHECKSUM_BYTES)), buffer, end);
    const algorithm = buffer[end - CHECKSUM_BYTES - 1];
    if (algorithm !== 0 && algorithm !== 1)
      throw this.#corrupt(`checksum algorithm ${algorithm} is not known`);
    this.#checksum = algorithm === 1 ? 'crc32' : 'none';
  }

  #requireCrc(actual: number, buffer: Buffer, end: number): void {
    if (readU32(buffer, end - CHECKSUM_BYTES) !== actual)
      throw this.#corrupt('the checksum of an event is wrong');
  }

  #beginLarge(buffer: Buffer, at: number, size: number): number {
    const type = buffer[at + 4] as number;
    if (this.#checksum === 'unknown') throw this.#corrupt('the file does not begin with FORMAT_DESCRIPTION');
    this.#requirePosition(buffer, at, size);
    const large: LargeEvent = { sizeBytes: size, left: size, crc: 0, tail: Buffer.alloc(CHECKSUM_BYTES) };
    this.#sink.beginLarge(type, buffer.subarray(at, at + HEADER_BYTES), size);
    this.#large = large;
    return this.#pushLarge(large, buffer, at);
  }

  #pushLarge(large: LargeEvent, chunk: Buffer, at: number): number {
    const bodyLeft = large.left - CHECKSUM_BYTES;
    if (bodyLeft > 0) {
      const end = Math.min(chunk.length, at + bodyLeft);
      if (this.#checksum === 'crc32') large.crc = crc32(chunk.subarray(at, end), large.crc);
      this.#sink.largePiece(chunk, at, end);
      large.left -= end - at;
      return end;
    }
    const copied = chunk.copy(
      large.tail,
      CHECKSUM_BYTES - large.left,
      at,
      Math.min(chunk.length, at + large.left),
    );
    large.left -= copied;
    if (large.left === 0) this.#endLarge(large);
    return at + copied;
  }

  #endLarge(large: LargeEvent): void {
    if (this.#checksum === 'crc32') this.#requireCrc(large.crc, large.tail, CHECKSUM_BYTES);
    this.#sink.largePiece(large.tail, 0, CHECKSUM_BYTES);
    this.#offset += large.sizeBytes;
    this.#large = null;
  }

  #corrupt(reason: string): AppError {
    return corruptFile(this.#file, this.#offset, reason);
  }
}
