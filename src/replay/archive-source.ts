import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { type SourceNotice, serveConnection } from './connection.ts';
import { runDump } from './dump.ts';
import { type DumpStep, planDump, type SourceSegment } from './dump-plan.ts';
import type { PacketStream } from './packet-stream.ts';
import type { DumpRequest } from './protocol/commands.ts';
import type { SessionSettings } from './protocol/queries.ts';

export type { SourceNotice } from './connection.ts';

const LOOPBACK = ['127.0.0.1', '::1'] as const;

export interface ArchiveSourceOptions {
  /** In the order in which they are to be sent. */
  readonly segments: readonly SourceSegment[];
  /** Loopback only, as the protocol is spoken without TLS; port 0 takes a free one. */
  readonly listen: { readonly host: '127.0.0.1' | '::1'; readonly port: number };
  readonly user: string;
  readonly password: string;
  readonly onNotice: (notice: SourceNotice) => void;
}

/** What the source does for its replica right now. */
export type SourceState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'sending'; readonly serverUuid: string; readonly binlog: string }
  /** The replica that is connected has been sent all that it did not have. */
  | { readonly kind: 'everything-sent' };

export interface SourceProgress {
  readonly state: SourceState;
  /** Bytes of events sent since the start, over all connections. */
  readonly bytesSent: number;
  readonly transactionsSent: number;
  /** Dumps begun; more than one means that the replica came again. */
  readonly dumps: number;
}

export interface ArchiveSource {
  readonly host: string;
  readonly port: number;
  progress(): SourceProgress;
  /** Why the last dump ended early; null where it did not, or a later one went on past it. */
  failure(): AppError | null;
  /** Cuts every connection and stops listening. */
  close(): Promise<void>;
}

/**
 * Starts a TCP server that serves archived transactions over MySQL's replication protocol: to each replica
 * exactly those of `segments[].send` that it does not have, file by file. It sends nothing past them, so
 * a replica needs no UNTIL. Memory is bounded by two files' read-ahead a connection.
 * @throws refused where the host is not a loopback address, or the port is taken
 */
export async function startArchiveSource(options: ArchiveSourceOptions): Promise<ArchiveSource> {
  const source = new RunningSource(options);
  await source.listen();
  return source;
}

class RunningSource implements ArchiveSource {
  readonly #options: ArchiveSourceOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #serving = new Set<Promise<void>>();
  /** Random, so that it is never the id of a server whose events are sent. */
  readonly #identity = { serverId: randomInt(2 ** 31, 2 ** 32 - 1), serverUuid: randomUUID() };
  #connections = 0;
  #dumping: Socket | null = null;
  #state: SourceState = { kind: 'waiting' };
  #bytesSent = 0;
  #transactionsSent = 0;
  #dumps = 0;
  #failure: AppError | null = null;

  constructor(options: ArchiveSourceOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get host(): string {
    return this.#options.listen.host;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : this.#options.listen.port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options.listen;
    if (!LOOPBACK.includes(host)) throw refusedToListen(host, port, 'it is not a loopback address');
    this.#server.listen(port, host);
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      throw refusedToListen(host, port, (error as NodeJS.ErrnoException).code ?? 'unknown reason', error);
    }
  }

  progress(): SourceProgress {
    return {
      state: this.#state,
      bytesSent: this.#bytesSent,
      transactionsSent: this.#transactionsSent,
      dumps: this.#dumps,
    };
  }

  failure(): AppError | null {
    return this.#failure;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([closed, ...this.#serving]);
  }

  #accept(socket: Socket): void {
    this.#connections += 1;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const { user, password, onNotice } = this.#options;
    const serving = serveConnection(socket, {
      id: this.#connections,
      identity: this.#identity,
      user,
      password,
      onNotice,
      dump: (request, settings, packets, signal) => this.#dump(socket, request, settings, packets, signal),
    }).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }

  /** One dump at a time: a replica that comes again has lost its former connection. */
  async #dump(
    socket: Socket,
    request: DumpRequest,
    settings: SessionSettings,
    packets: PacketStream,
    signal: AbortSignal,
  ): Promise<void> {
    this.#dumping?.destroy();
    this.#dumping = socket;
    this.#dumps += 1;
    const { segments, onNotice } = this.#options;
    const steps = planDump(segments, request.has);
    const transactions = GtidSet.unionAll(steps.map((step) => step.wanted)).count();
    onNotice({
      kind: 'dump-started',
      has: request.has.toString(),
      files: steps.length,
      transactions: transactions.toString(),
    });
    const lastFile = segments.at(-1)?.binlog ?? 'archive.000001';
    const serverId = this.#identity.serverId;
    try {
      await runDump({
        steps,
        lastFile,
        request,
        settings,
        serverId,
        packets,
        observer: this.#observer(socket),
        signal,
      });
    } catch (error) {
      this.#failed(error, signal);
      throw error;
    } finally {
      if (this.#dumping === socket) {
        this.#dumping = null;
        this.#state = { kind: 'waiting' };
      }
    }
  }

  #observer(socket: Socket) {
    return {
      fileStarted: ({ segment }: DumpStep) => {
        const { serverUuid, binlog } = segment;
        if (this.#dumping === socket) this.#state = { kind: 'sending', serverUuid, binlog };
      },
      sent: (bytes: number, transactions: number) => {
        this.#bytesSent += bytes;
        this.#transactionsSent += transactions;
        if (transactions > 0) this.#failure = null;
      },
      everythingSent: () => {
        this.#failure = null;
        if (this.#dumping === socket) this.#state = { kind: 'everything-sent' };
        this.#options.onNotice({ kind: 'everything-sent' });
      },
    };
  }

  #failed(error: unknown, signal: AbortSignal): void {
    // What a reader throws because the replica left says nothing of the archive.
    if (signal.aborted) return;
    this.#failure = error instanceof AppError ? error : readingFailed(error);
    this.#options.onNotice({ kind: 'dump-failed', error: this.#failure });
  }
}

function readingFailed(cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError({
    code: 'SegmentUnreadable',
    kind: 'unavailable',
    message: `A segment could not be read to its end (${reason}); the replica's connection was cut, and it comes again.`,
    cause,
  });
}

function refusedToListen(host: string, port: number, reason: string, cause?: unknown): AppError {
  return new AppError({
    code: 'CannotListen',
    kind: 'refused',
    message: `The archive source cannot listen on ${host}:${port} (${reason}), so nothing can be replayed from it.`,
    hint: 'Use 127.0.0.1 or ::1 with port 0, which takes a free one.',
    facts: { host, port },
    cause,
  });
}
