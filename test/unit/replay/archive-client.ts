import { once } from 'node:events';
import { connect } from 'node:net';
import { scramblePassword } from '../../../src/replay/protocol/handshake.ts';
import { framePackets, PacketReader } from '../../../src/replay/protocol/packets.ts';

export interface Received {
  /** Events as they came, whole. */
  readonly events: Buffer[];
  readonly end:
    | { readonly kind: 'eof' }
    | { readonly kind: 'error'; readonly message: string }
    | { readonly kind: 'cut' };
}

export interface AskOptions {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Encoded as COM_BINLOG_DUMP_GTID has it; empty for a replica that has nothing. */
  readonly has?: Buffer;
  readonly statements?: readonly string[];
}

/** Connects as a replica, asks for everything without waiting, and collects what comes until the end. */
export async function askForDump(options: AskOptions): Promise<Received> {
  const client = new Client(options.port);
  try {
    return await client.run(options);
  } finally {
    client.close();
  }
}

class Client {
  readonly #socket;
  readonly #reader = new PacketReader(2 ** 30);
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.#wake();
    });
    for (const event of ['error', 'end', 'close']) {
      this.#socket.on(event, () => {
        this.#closed = true;
        this.#wake();
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async run({ user, password, has = Buffer.alloc(0), statements = [] }: AskOptions): Promise<Received> {
    await once(this.#socket, 'connect');
    const greeting = (await this.#payload()) as Buffer;
    this.#send(loginPayload(user, scramblePassword(password, nonceOf(greeting))), 1);
    const first = await this.#payload();
    if (first?.[0] === 0xff)
      return { events: [], end: { kind: 'error', message: first.toString('utf8', 9) } };
    await this.#payload();
    for (const sql of statements) {
      this.#send(Buffer.from(`\x03${sql}`), 0);
      const answer = await this.#payload();
      if (answer?.[0] === 0xff)
        return { events: [], end: { kind: 'error', message: answer.toString('utf8', 9) } };
    }
    this.#send(dumpPayload(has), 0);
    return this.#collect();
  }

  async #collect(): Promise<Received> {
    const events: Buffer[] = [];
    for (;;) {
      const payload = await this.#payload();
      if (payload === null) return { events, end: { kind: 'cut' } };
      if (payload[0] === 0xfe) return { events, end: { kind: 'eof' } };
      if (payload[0] === 0xff)
        return { events, end: { kind: 'error', message: payload.toString('utf8', 9) } };
      events.push(payload.subarray(1));
    }
  }

  #send(payload: Buffer, sequence: number): void {
    this.#socket.write(framePackets([payload], sequence));
  }

  async #payload(): Promise<Buffer | null> {
    for (;;) {
      const packet = this.#reader.next();
      if (packet !== null) return packet.payload;
      if (this.#closed) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function nonceOf(greeting: Buffer): Buffer {
  const id = greeting.indexOf(0, 1) + 1;
  const first = greeting.subarray(id + 4, id + 12);
  return Buffer.concat([first, greeting.subarray(id + 4 + 8 + 9 + 10, id + 4 + 8 + 9 + 10 + 12)]);
}

function loginPayload(user: string, scramble: Buffer): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(0x200 | 0x8000 | 0x80000);
  return Buffer.concat([
    head,
    Buffer.from(`${user}\0`),
    Buffer.from([scramble.length]),
    scramble,
    Buffer.from('caching_sha2_password\0'),
  ]);
}

function dumpPayload(has: Buffer): Buffer {
  const head = Buffer.alloc(23);
  head.writeUInt8(0x1e, 0);
  head.writeUInt16LE(0x01, 1);
  head.writeUInt32LE(99, 3);
  head.writeBigUInt64LE(4n, 11);
  head.writeUInt32LE(has.length, 19);
  return Buffer.concat([head, has]);
}
