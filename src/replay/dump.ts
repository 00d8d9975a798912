import { once } from 'node:events';
import type { ChecksumAlgorithm } from '../binlog/format-description.ts';
import type { DumpStep } from './dump-plan.ts';
import type { PacketStream } from './packet-stream.ts';
import { artificialRotate, heartbeatEvent } from './protocol/artificial-events.ts';
import type { DumpRequest } from './protocol/commands.ts';
import { eofPayload } from './protocol/packets.ts';
import type { SessionSettings } from './protocol/queries.ts';
import { bytesAhead, ReadAhead } from './read-ahead.ts';
import { SegmentSender } from './segment-sender.ts';

/** Plaintext kept ready per file; two files are open at most. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;

/** Receives what was sent, at each chunk. */
export interface DumpObserver {
  fileStarted(step: DumpStep): void;
  sent(bytes: number, transactions: number): void;
  everythingSent(): void;
}

export interface DumpOptions {
  readonly steps: readonly DumpStep[];
  /** The file name that is told to a replica that has everything already. */
  readonly lastFile: string;
  readonly request: DumpRequest;
  readonly settings: SessionSettings;
  readonly serverId: number;
  readonly packets: PacketStream;
  readonly observer: DumpObserver;
  /** Aborted when the replica is gone. */
  readonly signal: AbortSignal;
}

/**
 * Sends the planned transactions of every step, then heartbeats until the replica leaves (or EOF where it
 * asked not to wait). Events go out whole and checked, in file order.
 * @throws corrupt, or what reading a segment threw; the packet stream is then at an event's border or inside one
 */
export async function runDump(options: DumpOptions): Promise<void> {
  const dump = new Dump(options);
  try {
    await dump.run();
  } finally {
    await dump.close();
  }
}

class Dump {
  readonly #options: DumpOptions;
  readonly #heartbeat: NodeJS.Timeout | null;
  readonly #readers: (ReadAhead<Uint8Array> | null)[];
  #where: { fileName: string; position: number };
  #checksum: ChecksumAlgorithm;
  #lastSentMs = performance.now();

  constructor(options: DumpOptions) {
    const { settings, steps, lastFile } = options;
    this.#options = options;
    this.#readers = steps.map(() => null);
    this.#checksum = settings.checksum;
    this.#where = { fileName: steps[0]?.segment.binlog ?? lastFile, position: 4 };
    const periodMs = settings.heartbeatMs;
    this.#heartbeat =
      periodMs > 0 ? setInterval(() => this.#beat(periodMs), Math.max(10, periodMs / 4)) : null;
  }

  async run(): Promise<void> {
    const { steps, request, packets, observer, signal } = this.#options;
    for (let i = 0; i < steps.length && !signal.aborted; i += 1) {
      const step = steps[i] as DumpStep;
      const reader = this.#reader(i);
      if (i + 1 < steps.length) this.#reader(i + 1);
      await this.#sendFile(step, reader);
      await reader.close();
    }
    if (signal.aborted) return;
    if (steps.length === 0) this.#rotateTo(this.#where.fileName);
    if (request.atEnd === 'end-of-file') packets.payload(eofPayload());
    packets.flush();
    observer.everythingSent();
    if (request.atEnd === 'heartbeat' && !signal.aborted) await once(signal, 'abort');
  }

  async close(): Promise<void> {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    await Promise.all(this.#readers.map((reader) => reader?.close()));
  }

  #reader(index: number): ReadAhead<Uint8Array> {
    const existing = this.#readers[index];
    if (existing !== null && existing !== undefined) return existing;
    const { segment } = this.#options.steps[index] as DumpStep;
    const reader = new ReadAhead(segment.open, bytesAhead(READ_AHEAD_BYTES));
    this.#readers[index] = reader;
    return reader;
  }

  async #sendFile(step: DumpStep, reader: ReadAhead<Uint8Array>): Promise<void> {
    const { packets, signal, observer } = this.#options;
    this.#rotateTo(step.segment.binlog);
    observer.fileStarted(step);
    const sender = new SegmentSender(step, packets);
    while (!sender.finished && !signal.aborted) {
      if (!reader.ready) packets.flush();
      const chunk = await reader.next();
      if (chunk === null) break;
      await this.#sendChunk(sender, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    }
    if (!signal.aborted) sender.end();
  }

  async #sendChunk(sender: SegmentSender, chunk: Buffer): Promise<void> {
    const { packets, signal, observer } = this.#options;
    const before = { bytes: sender.sentBytes, transactions: sender.sentTransactions };
    let at = 0;
    while (at < chunk.length && !sender.finished && !signal.aborted) {
      at = sender.push(chunk, at);
      this.#checksum = sender.checksum ?? this.#checksum;
      this.#where = { ...this.#where, position: sender.sentPosition };
      await packets.drained();
    }
    const bytes = sender.sentBytes - before.bytes;
    if (bytes > 0) this.#lastSentMs = performance.now();
    observer.sent(bytes, sender.sentTransactions - before.transactions);
  }

  #rotateTo(fileName: string): void {
    const { packets, serverId } = this.#options;
    const rotate = artificialRotate(fileName, serverId, this.#checksum);
    this.#where = { fileName, position: 4 };
    packets.event(rotate, 0, rotate.length);
  }

  /** Between two events only: a heartbeat inside a large one would break it. */
  #beat(periodMs: number): void {
    const { packets, serverId, request, signal } = this.#options;
    const now = performance.now();
    if (signal.aborted || !packets.atBoundary || packets.full || now - this.#lastSentMs < periodMs) return;
    const event = heartbeatEvent(this.#where, serverId, request.heartbeat, this.#checksum);
    packets.event(event, 0, event.length);
    packets.flush();
    this.#lastSentMs = now;
  }
}
