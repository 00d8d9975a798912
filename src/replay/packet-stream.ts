import type { Socket } from 'node:net';
import { MAX_PACKET_PAYLOAD, PACKET_HEADER_BYTES } from './protocol/packets.ts';

const BUFFER_BYTES = 512 * 1024;
/** Buffers handed to the socket and not yet taken by the kernel; more would only fill memory. */
const MAX_IN_FLIGHT = 4;

/**
 * Frames binlog events as packets and coalesces them into large socket writes. Events go in synchronously;
 * the caller asks `full` between events and waits with `drained`, so memory stays bounded.
 */
export class PacketStream {
  readonly #socket: Socket;
  readonly #free: Buffer[] = [];
  #current: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;
  #inFlight = 0;
  #sequence = 0;
  /** Bytes of the event being written in pieces that have not come yet; 0 between events. */
  #eventLeft = 0;
  #packetLeft = 0;
  #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => this.#wake());
  }

  /** True between events, where another packet may be put in. */
  get atBoundary(): boolean {
    return this.#eventLeft === 0;
  }

  get full(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT && !this.#socket.destroyed;
  }

  /** Resolves when the socket took what was waiting, or is closed. */
  async drained(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Numbers the packets of a dump; the request was packet `sequence - 1`. */
  startAt(sequence: number): void {
    this.#sequence = sequence & 0xff;
  }

  /** Writes one whole event, `buffer[start, end)`, of fewer than 2^24 - 2 bytes. */
  event(buffer: Buffer, start: number, end: number): void {
    this.#header(end - start + 1);
    this.#current[this.#used] = 0;
    this.#used += 1;
    this.#copy(buffer, start, end);
  }

  /** Begins an event of any size; its bytes follow by `piece`. */
  beginEvent(sizeBytes: number): void {
    this.#eventLeft = sizeBytes;
    this.#nextPacket(sizeBytes + 1);
    this.#current[this.#used] = 0;
    this.#used += 1;
    this.#packetLeft -= 1;
  }

  /** Adds bytes of the event begun last. */
  piece(buffer: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      if (this.#packetLeft === 0) this.#nextPacket(this.#eventLeft);
      const to = Math.min(end, from + this.#packetLeft);
      this.#copy(buffer, from, to);
      this.#packetLeft -= to - from;
      this.#eventLeft -= to - from;
      from = to;
    }
    if (this.#eventLeft === 0 && this.#lastWasFull && this.#packetLeft === 0) this.#nextPacket(0);
  }

  /** Writes a payload that is no event, such as EOF or an error. */
  payload(bytes: Buffer): void {
    this.#header(bytes.length);
    this.#copy(bytes, 0, bytes.length);
  }

  /** Hands to the socket what was collected. */
  flush(): void {
    if (this.#used > 0) this.#submit();
  }

  #lastWasFull = false;

  /** A payload of k * (2^24 - 1) bytes needs an empty packet as its end. */
  #nextPacket(payloadLeft: number): void {
    this.#packetLeft = Math.min(payloadLeft, MAX_PACKET_PAYLOAD);
    this.#lastWasFull = this.#packetLeft === MAX_PACKET_PAYLOAD;
    this.#header(this.#packetLeft);
  }

  /** Leaves room for one byte after the header, so that header and marker lie together. */
  #header(length: number): void {
    if (this.#used + PACKET_HEADER_BYTES + 1 > BUFFER_BYTES) this.#submit();
    const out = this.#current;
    const at = this.#used;
    out[at] = length & 0xff;
    out[at + 1] = (length >> 8) & 0xff;
    out[at + 2] = length >> 16;
    out[at + 3] = this.#sequence;
    this.#sequence = (this.#sequence + 1) & 0xff;
    this.#used = at + PACKET_HEADER_BYTES;
  }

  #copy(buffer: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      if (this.#used === BUFFER_BYTES) this.#submit();
      const copied = buffer.copy(this.#current, this.#used, from, end);
      this.#used += copied;
      from += copied;
    }
  }

  #submit(): void {
    const full = this.#current;
    this.#inFlight += 1;
    this.#socket.write(full.subarray(0, this.#used), () => {
      this.#inFlight -= 1;
      if (this.#free.length < MAX_IN_FLIGHT) this.#free.push(full);
      this.#wake();
    });
    this.#current = this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#used = 0;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
