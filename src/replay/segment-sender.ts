import { CHECKSUM_BYTES, HEADER_BYTES } from '../binlog/event-header.ts';
import { EVENT } from '../binlog/event-types.ts';
import type { ChecksumAlgorithm } from '../binlog/format-description.ts';
import { decodeGtidEvent } from '../binlog/gtid-event.ts';
import { UuidFormatter } from '../binlog/uuid.ts';
import { assertNever } from '../domain/errors.ts';
import type { Gtid } from '../domain/gtid.ts';
import { bodyFrame } from './body-frame.ts';
import type { DumpStep } from './dump-plan.ts';
import { corruptFile, type EventSink, EventWalker } from './event-walker.ts';
import type { PacketStream } from './packet-stream.ts';
import { sentFormatDescription } from './protocol/artificial-events.ts';
import { type FilterEvent, TransactionFilter } from './transaction-filter.ts';

/** Puts the wanted transactions of one file into the packet stream, event by event, as its bytes arrive. */
export class SegmentSender implements EventSink {
  readonly #step: DumpStep;
  readonly #packets: PacketStream;
  readonly #walker: EventWalker;
  readonly #filter: TransactionFilter;
  readonly #uuids = new UuidFormatter();
  readonly #name: string;
  readonly #event: FilterEvent & { type: number; flags: number };
  #current: { buffer: Buffer; start: number; end: number } = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  #checksum: ChecksumAlgorithm | null = null;
  #large: 'send' | 'skip' | 'none' = 'none';
  #finished = false;
  #sentBytes = 0;
  /** End of the last event that was sent. */
  #sentPosition = 4;

  constructor(step: DumpStep, packets: PacketStream) {
    const { segment } = step;
    this.#step = step;
    this.#packets = packets;
    this.#name = `${segment.serverUuid}/${segment.binlog}`;
    this.#walker = new EventWalker(this.#name, segment.lengthBytes, this);
    this.#filter = new TransactionFilter(step.wanted);
    this.#event = { type: 0, flags: 0, gtid: () => this.#decodeGtid() };
  }

  /** Checksum of the file's events; null before its FORMAT_DESCRIPTION. */
  get checksum(): ChecksumAlgorithm | null {
    return this.#checksum;
  }

  get sentPosition(): number {
    return this.#sentPosition;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get sentTransactions(): number {
    return this.#filter.sentCount;
  }

  /** True when the rest of the file is not needed. */
  get finished(): boolean {
    return this.#finished;
  }

  get wantsMore(): boolean {
    return !this.#finished && !this.#packets.full;
  }

  /** Takes bytes from `start`; answers where it stopped, before the chunk's end where the stream is full. @throws corrupt */
  push(chunk: Buffer, start: number): number {
    return this.#walker.push(chunk, start);
  }

  /** Says that the file has no more bytes. @throws corrupt where it is cut, or a planned transaction is not in it */
  end(): void {
    if (!this.#finished) this.#walker.end();
    const missing = this.#filter.missing();
    if (missing.isEmpty) return;
    throw this.#corrupt(`the catalog has ${missing} in this file, and it is not there`);
  }

  event(type: number, buffer: Buffer, start: number, end: number): void {
    if (type === EVENT.FORMAT_DESCRIPTION && this.#checksum === null) {
      this.#sendFormat(buffer, start, end);
      return;
    }
    this.#current = { buffer, start, end };
    if (this.#decide(type, (buffer[start + 17] as number) | ((buffer[start + 18] as number) << 8)) !== 'send')
      return;
    this.#packets.event(buffer, start, end);
    this.#sentBytes += end - start;
    this.#sentPosition = this.#walker.offset + end - start;
  }

  beginLarge(type: number, header: Buffer, sizeBytes: number): void {
    this.#large = this.#decide(type, header.readUInt16LE(17));
    if (this.#large !== 'send') return;
    this.#packets.beginEvent(sizeBytes);
    this.#sentBytes += sizeBytes;
    this.#sentPosition = this.#walker.offset + sizeBytes;
  }

  largePiece(buffer: Buffer, start: number, end: number): void {
    if (this.#large === 'send') this.#packets.piece(buffer, start, end);
  }

  #decide(type: number, flags: number): 'send' | 'skip' {
    this.#event.type = type;
    this.#event.flags = flags;
    const decision = this.#filter.decide(this.#event);
    switch (decision.kind) {
      case 'send':
      case 'skip':
        return decision.kind;
      case 'finished':
        this.#finished = true;
        return 'skip';
      case 'corrupt':
        throw this.#corrupt(decision.reason);
      default:
        return assertNever(decision);
    }
  }

  #decodeGtid(): Gtid {
    const { buffer, start, end } = this.#current;
    const bodyEnd = end - (this.#checksum === 'crc32' ? CHECKSUM_BYTES : 0);
    const frame = bodyFrame(this.#name, this.#event.type, buffer, start + HEADER_BYTES, bodyEnd);
    const { gtid } = decodeGtidEvent(frame, this.#uuids);
    if (gtid === null) throw this.#corrupt('a GTID event has no GTID');
    return gtid;
  }

  #sendFormat(buffer: Buffer, start: number, end: number): void {
    const sent = sentFormatDescription(buffer.subarray(start, end), this.#step.start);
    this.#checksum = buffer[end - CHECKSUM_BYTES - 1] === 1 ? 'crc32' : 'none';
    this.#packets.event(sent, 0, sent.length);
    this.#sentBytes += sent.length;
    this.#sentPosition = this.#walker.offset + sent.length;
  }

  #corrupt(reason: string): Error {
    return corruptFile(this.#name, this.#walker.offset, reason);
  }
}
