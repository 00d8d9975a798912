/**
 * Takes the bytes of a log out of the payloads of a dump. Source: sql/rpl_binlog_sender.cc.
 */
import { FLAG, HEADER_BYTES } from '../../binlog/event-header.ts';
import { EVENT, eventName } from '../../binlog/event-types.ts';
import type { DumpEnd } from './dump-end.ts';
import { dumpMalformed } from './errors.ts';
import { Gathered } from './gathered.ts';
import { PacketSplitter, type PayloadSink } from './packet-splitter.ts';

/** Marker of an event, and its header. */
const HEAD_BYTES = 1 + HEADER_BYTES;
const MARKER = { EVENT: 0x00, EOF: 0xfe, ERROR: 0xff } as const;
/** An error of a server is a few hundred bytes; more is none. */
const MAX_STATUS_BYTES = 8 * 1024;

/** Whether a dump begins with a log or in the middle of one. */
export type DumpedFrom = 'start' | 'middle';

/**
 * Gives out what a log holds as the server's file has it, and nothing that the sender made: the ROTATE with which
 * each log begins, heartbeats, and the FORMAT_DESCRIPTION that is sent before a start in the middle. Events are
 * never put together, so memory does not depend on their size.
 */
export class LogBytes implements PayloadSink {
  readonly #packets = new PacketSplitter(this);
  readonly #gathered: Gathered;
  readonly #from: DumpedFrom;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headHave = 0;
  #payload: 'head' | 'forward' | 'skip' | 'status' = 'head';
  /** Bytes of the event that have not come, without its header. */
  #eventLeft = 0;
  #status = Buffer.alloc(0);
  #due: 'rotate' | 'format-description' | 'events' = 'rotate';
  #ended: DumpEnd | null = null;

  /** `emit` gets the log's bytes in order, as views into the pushed chunks. */
  constructor(from: DumpedFrom, emit: (bytes: Uint8Array) => void) {
    this.#from = from;
    this.#gathered = new Gathered(emit);
  }

  /** Null while more is to come. */
  get ended(): DumpEnd | null {
    return this.#ended;
  }

  /** Takes bytes as they arrived; they are changed. @throws unavailable `DumpMalformed` */
  push(chunk: Buffer): void {
    this.#gathered.begin(chunk);
    this.#packets.push(chunk);
    this.#gathered.flush();
  }

  /** For the splitter. */
  part(chunk: Buffer, start: number, end: number): boolean {
    const at = this.#payload === 'head' ? this.#takeHead(chunk, start, end) : start;
    if (this.#ended !== null) return false;
    if (at === end) return true;
    if (this.#payload === 'status') this.#takeStatus(chunk.subarray(at, end));
    else this.#takeBody(at, end);
    return true;
  }

  /** For the splitter. */
  endOfPayload(): boolean {
    if (this.#payload === 'status') this.#ended = statusOf(this.#status);
    else if (this.#payload === 'head') this.#endShort();
    else if (this.#eventLeft > 0) throw dumpMalformed(`an event lacks ${this.#eventLeft} bytes`);
    this.#payload = 'head';
    this.#headHave = 0;
    return this.#ended === null;
  }

  /** Collects marker and header, and decides what becomes of the event. */
  #takeHead(chunk: Buffer, start: number, end: number): number {
    if (this.#headHave === 0 && chunk[start] !== MARKER.EVENT) {
      this.#payload = 'status';
      return start;
    }
    const to = Math.min(end, start + HEAD_BYTES - this.#headHave);
    chunk.copy(this.#head, this.#headHave, start, to);
    this.#headHave += to - start;
    if (this.#headHave < HEAD_BYTES) return to;
    this.#payload = this.#judge();
    if (this.#payload === 'forward') this.#gathered.insert(this.#head.subarray(1), to);
    return to;
  }

  #judge(): 'forward' | 'skip' {
    const type = this.#head.readUInt8(5);
    const sizeBytes = this.#head.readUInt32LE(10);
    const isMade = (this.#head.readUInt16LE(18) & FLAG.ARTIFICIAL) !== 0;
    if (sizeBytes < HEADER_BYTES) throw dumpMalformed(`an event says that it has ${sizeBytes} bytes`);
    this.#eventLeft = sizeBytes - HEADER_BYTES;
    switch (this.#due) {
      case 'rotate':
        if (type !== EVENT.ROTATE || !isMade) throw misplaced(type);
        this.#due = 'format-description';
        return 'skip';
      case 'format-description':
        if (type !== EVENT.FORMAT_DESCRIPTION) throw misplaced(type);
        this.#due = 'events';
        return this.#from === 'start' ? 'forward' : 'skip';
      case 'events':
        if (type === EVENT.ROTATE && isMade) this.#ended = { kind: 'next-log' };
        return isMade || type === EVENT.HEARTBEAT || type === EVENT.HEARTBEAT_V2 ? 'skip' : 'forward';
    }
  }

  #takeBody(start: number, end: number): void {
    if (end - start > this.#eventLeft) throw dumpMalformed('a packet is longer than the event in it');
    this.#eventLeft -= end - start;
    if (this.#payload === 'forward') this.#gathered.keep(start, end);
  }

  #takeStatus(bytes: Buffer): void {
    if (this.#status.length + bytes.length > MAX_STATUS_BYTES) throw dumpMalformed('a packet is no event');
    this.#status = Buffer.concat([this.#status, bytes]);
  }

  /** A payload that ended inside marker and header. */
  #endShort(): never {
    throw dumpMalformed(`a packet of ${this.#headHave} bytes is too short for an event`);
  }
}

function misplaced(type: number): Error {
  return dumpMalformed(`${eventName(type)} came where a log begins`);
}

function statusOf(payload: Buffer): DumpEnd {
  if (payload[0] === MARKER.EOF && payload.length < 9) return { kind: 'no-more' };
  if (payload[0] !== MARKER.ERROR || payload.length < 3) throw dumpMalformed('a packet is no event');
  // `#` and five letters of SQLSTATE stand before the words.
  const words = payload[3] === 0x23 ? payload.toString('utf8', 9) : payload.toString('utf8', 3);
  return { kind: 'error', errno: payload.readUInt16LE(1), message: words };
}
