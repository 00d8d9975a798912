import type { Socket } from 'node:net';
import { framePackets, type Packet, PacketReader } from './protocol/packets.ts';

/** A dump request names a whole GTID set, so it may be long. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;

/** A socket that takes and gives payloads. */
export class PacketSocket {
  readonly #socket: Socket;
  readonly #reader = new PacketReader(MAX_REQUEST_BYTES);
  readonly #gone = new AbortController();
  #wake: () => void = () => undefined;
  #failure: unknown = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    for (const event of ['error', 'end', 'close']) socket.on(event, () => this.#ended());
  }

  /** Aborted when the other side is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The next payload; null when the other side is gone. @throws refused where it sends too much */
  async next(): Promise<Packet | null> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const packet = this.#reader.next();
      if (packet !== null) return packet;
      if (this.#gone.signal.aborted) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(payloads: readonly Buffer[], sequence: number): void {
    this.#socket.write(framePackets(payloads, sequence));
  }

  /** Half-closes and waits until all was written, or the other side is gone. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      // A socket that is destroyed already never calls back.
      if (this.#socket.destroyed) resolve();
      this.#socket.once('close', () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  #received(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#failure = error;
      this.#gone.abort();
    }
    this.#wake();
  }

  #ended(): void {
    this.#gone.abort();
    this.#wake();
  }
}
