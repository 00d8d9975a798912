import { crc32 } from 'node:zlib';
import { ChecksumRow } from './checksum-row.ts';
import { EventFrame, viewOf } from './event-frame.ts';
import { CHECKSUM_BYTES, FLAG, HEADER_BYTES, readU32 } from './event-header.ts';
import { EVENT } from './event-types.ts';
import type { ChecksumAlgorithm } from './format-description.ts';
import type { Frame, FrameSink, FrameSource } from './frame.ts';
import { LargeEvent } from './large-event.ts';
import { MAX_PREVIOUS_GTIDS_BYTES } from './previous-gtids.ts';
import { corruptAt } from './problem.ts';

/** An event larger than this is streamed, and the sink's `event` gets this much of it. */
export const KEPT_BYTES = 1024 * 1024;

const NOTHING = new Uint8Array(0);
const FLAGS_OFFSET = 17;

/** What is left of an event that was cut. */
export interface CutEvent {
  readonly offset: number;
  readonly haveBytes: number;
  /** Null where not even its header is whole. */
  readonly header: { readonly type: number; readonly sizeBytes: number } | null;
}

/**
 * Cuts a stream of bytes into events and verifies each checksum. Chunks are read in place; an
 * event that lies across chunks is put together, up to 1 MiB, and streamed where it is larger.
 * Memory is bounded by that, whatever the sizes in the input say.
 */
export class EventFramer {
  readonly #sink: FrameSink;
  readonly #source: FrameSource;
  readonly #frame: EventFrame;
  /** Null until FORMAT_DESCRIPTION has said it. */
  #checksum: ChecksumAlgorithm | null;
  /** Start of an event whose rest is in the next chunk; or its kept beginning while it is streamed. */
  #carry: Uint8Array = NOTHING;
  #carried = 0;
  #large: LargeEvent | null = null;

  constructor(options: {
    readonly file: string;
    readonly startOffset: number;
    readonly checksum: ChecksumAlgorithm | null;
    readonly source: FrameSource;
    readonly sink: FrameSink;
  }) {
    this.#sink = options.sink;
    this.#source = options.source;
    this.#checksum = options.checksum;
    this.#frame = new EventFrame(options.file, options.startOffset);
  }

  /** Sets what FORMAT_DESCRIPTION says of the events after it. */
  setChecksum(algorithm: ChecksumAlgorithm): void {
    this.#checksum = algorithm;
  }

  /** Offset just after the last whole event. */
  get offset(): number {
    return this.#frame.endOffset;
  }

  /** Takes the next bytes. They may be reused by the caller afterwards. @throws corrupt */
  push(chunk: Uint8Array): void {
    let at = 0;
    if (this.#large !== null) at = this.#continueLarge(this.#large, chunk, 0);
    else if (this.#carried > 0) at = this.#fillCarry(chunk);
    if (this.#carried > 0) return;
    at = this.#wholeEvents(chunk, at);
    if (at < chunk.length) this.#keepRest(chunk, at);
  }

  /** Ends the input. Returns what is left of an event that was cut; null where the input ends at a border. */
  end(): CutEvent | null {
    if (this.#carried === 0) return null;
    const { type, sizeBytes, endOffset: offset } = this.#frame;
    const haveBytes = this.#large === null ? this.#carried : sizeBytes - this.#large.left;
    return { offset, haveBytes, header: haveBytes < HEADER_BYTES ? null : { type, sizeBytes } };
  }

  /** The fast path: events that lie whole in the chunk. */
  #wholeEvents(chunk: Uint8Array, from: number): number {
    const view = viewOf(chunk);
    const last = chunk.length - HEADER_BYTES;
    const row = new ChecksumRow();
    let at = from;
    while (at <= last) {
      const size = view.getUint32(at + 9, true);
      if (size > chunk.length - at) break;
      if (at >= row.end && this.#checksum === 'crc32') row.verify(view, chunk, at);
      this.#readHeader(view, at);
      this.#finishWhole(chunk, at, at < row.end ? row.state : 'unverified');
      at += size;
    }
    return at;
  }

  #readHeader(view: DataView, at: number): void {
    const frame = this.#frame;
    const sizeBytes = view.getUint32(at + 9, true);
    frame.view = view;
    frame.headerStart = at;
    frame.offset = frame.endOffset;
    frame.type = view.getUint8(at + 4);
    frame.sizeBytes = sizeBytes;
    frame.bodyBytes = sizeBytes - HEADER_BYTES - this.#footerOf(frame.type);
    if (frame.bodyBytes < 0) {
      throw corruptAt(frame, 'absurd-length', `an event of ${sizeBytes} bytes is too short to be one`);
    }
    if (this.#source === 'file') this.#checkPlace(frame);
  }

  /** Refuses an event by its header, before its length is believed. */
  #checkPlace(frame: Frame): void {
    const end = frame.offset + frame.sizeBytes;
    if ((frame.flags & (FLAG.RELAY_LOG | FLAG.ARTIFICIAL)) !== 0) {
      throw corruptAt(
        frame,
        'relay-log',
        'it carries a mark of replication, so this is a relay log or a stream, not a binlog',
      );
    }
    if (frame.logPos !== end % 0x1_0000_0000) {
      throw corruptAt(
        frame,
        'position-mismatch',
        `its header says that it ends at ${frame.logPos}, and by its place and length it ends at ${end}`,
      );
    }
  }

  /** FORMAT_DESCRIPTION always has a checksum, whatever algorithm it announces. */
  #footerOf(type: number): number {
    return type === EVENT.FORMAT_DESCRIPTION || this.#checksum === 'crc32' ? CHECKSUM_BYTES : 0;
  }

  #finishWhole(bytes: Uint8Array, at: number, state: 'verified' | 'unverified'): void {
    const frame = this.#frame;
    frame.endOffset = frame.offset + frame.sizeBytes;
    frame.bytes = bytes;
    frame.bodyStart = at + HEADER_BYTES;
    frame.bodyEnd = frame.bodyStart + frame.bodyBytes;
    frame.extent = 'whole';
    if (state === 'unverified' && frame.bodyEnd < at + frame.sizeBytes) this.#verifyWhole(bytes, at);
    this.#sink.event(frame);
  }

  #verifyWhole(bytes: Uint8Array, at: number): void {
    const frame = this.#frame;
    let view = bytes.subarray(at, frame.bodyEnd);
    if (frame.type === EVENT.FORMAT_DESCRIPTION && (frame.flags & FLAG.IN_USE) !== 0) {
      // The server computes this checksum with the in-use flag cleared, so that closing needs no new one.
      view = Uint8Array.from(view);
      view[FLAGS_OFFSET] = (view[FLAGS_OFFSET] as number) & ~FLAG.IN_USE;
    }
    this.#compare(crc32(view), readU32(bytes, frame.bodyEnd));
  }

  #compare(computed: number, stored: number): void {
    if (computed === stored) return;
    const hex = (value: number): string => value.toString(16).padStart(8, '0');
    throw corruptAt(
      this.#frame,
      'checksum-mismatch',
      `its checksum is ${hex(stored)} and its bytes give ${hex(computed)}`,
    );
  }

  /** Keeps the beginning of an event whose rest has not come. */
  #keepRest(chunk: Uint8Array, at: number): void {
    const rest = chunk.length - at;
    if (rest < HEADER_BYTES) {
      this.#append(chunk, at, chunk.length);
      return;
    }
    this.#append(chunk, at, at + HEADER_BYTES);
    this.#readHeader(viewOf(this.#carry), 0);
    this.#afterHeader(chunk, at + HEADER_BYTES);
  }

  /** Decides, with the header known and carried, whether the event is put together or streamed. */
  #afterHeader(chunk: Uint8Array, at: number): number {
    const frame = this.#frame;
    if (frame.type === EVENT.PREVIOUS_GTIDS && frame.sizeBytes > MAX_PREVIOUS_GTIDS_BYTES) {
      throw corruptAt(frame, 'too-large', `a GTID set of ${frame.sizeBytes} bytes is more than can be read`);
    }
    if (frame.sizeBytes <= KEPT_BYTES || frame.type === EVENT.PREVIOUS_GTIDS)
      return this.#fillEvent(chunk, at);
    const footer = frame.sizeBytes - HEADER_BYTES - frame.bodyBytes;
    this.#large = new LargeEvent(this.#carry.subarray(0, HEADER_BYTES), frame.bodyBytes, footer);
    return this.#continueLarge(this.#large, chunk, at);
  }

  /** Completes a carried header, then its event, from the start of a chunk. */
  #fillCarry(chunk: Uint8Array): number {
    let at = 0;
    if (this.#carried < HEADER_BYTES) {
      at = Math.min(HEADER_BYTES - this.#carried, chunk.length);
      this.#append(chunk, 0, at);
      if (this.#carried < HEADER_BYTES) return at;
      this.#readHeader(viewOf(this.#carry), 0);
      return this.#afterHeader(chunk, at);
    }
    return this.#fillEvent(chunk, at);
  }

  #fillEvent(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#frame.sizeBytes - this.#carried);
    this.#append(chunk, at, end);
    if (this.#carried < this.#frame.sizeBytes) return end;
    this.#carried = 0;
    this.#finishWhole(this.#carry, 0, 'unverified');
    if (this.#carry.length > KEPT_BYTES) this.#carry = NOTHING;
    return end;
  }

  #append(chunk: Uint8Array, start: number, end: number): void {
    const length = this.#carried + end - start;
    if (length > this.#carry.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(this.#carry.length * 2, KEPT_BYTES), 4096));
      grown.set(this.#carry.subarray(0, this.#carried));
      this.#carry = grown;
      this.#frame.view = viewOf(grown);
    }
    this.#carry.set(chunk.subarray(start, end), this.#carried);
    this.#carried = length;
  }

  #continueLarge(large: LargeEvent, chunk: Uint8Array, from: number): number {
    const end = large.takeBody(chunk, from);
    if (end > from) {
      const kept = Math.min(end, from + KEPT_BYTES - this.#carried);
      if (kept > from) this.#append(chunk, from, kept);
      this.#sink.piece(this.#frame, chunk, from, end);
    }
    const at = large.takeFooter(chunk, end);
    if (large.left === 0) this.#finishLarge(large);
    return at;
  }

  #finishLarge(large: LargeEvent): void {
    const frame = this.#frame;
    const { computed, stored } = large.checksums();
    this.#compare(computed, stored);
    frame.endOffset = frame.offset + frame.sizeBytes;
    frame.bytes = this.#carry;
    frame.bodyStart = HEADER_BYTES;
    frame.bodyEnd = this.#carried;
    frame.extent = 'prefix';
    this.#large = null;
    this.#carried = 0;
    this.#sink.event(frame);
  }
}
