import { randomUUID } from 'node:crypto';
import { Duplex } from 'node:stream';
import { createConnection } from 'mysql2/promise';
import { MAGIC } from '../../binlog/event-header.ts';
import { AppError } from '../../domain/errors.ts';
import type { BinlogName } from '../../domain/identity.ts';
import { toAppError } from '../errors.ts';
import { connectionOptions, describeEndpoint, type MysqlEndpoint } from '../session.ts';
import { type DumpContext, dumpCut, dumpError, dumpStalled } from './errors.ts';
import { type DumpedFrom, LogBytes } from './log-bytes.ts';
import { dumpRequestPacket } from './request.ts';

/** A server is asked not to wait for new events, so it is silent only while it reads an event, of 1 GiB at most. */
const IDLE_MS = 60_000;
const WATCH_MS = 250;
const QUERY_TIMEOUT_MS = 10_000;
const FIRST_EVENT = MAGIC.length;

/** Where a server listens, and who reads. */
export interface DumpAccount {
  readonly endpoint: MysqlEndpoint;
  readonly user: string;
  readonly password: string;
  /** What this client calls itself. It keeps no replica away, whatever it is: see `introduce`. */
  readonly serverId: number;
}

/** What of a log is read. */
export interface DumpRange {
  readonly binlog: BinlogName;
  /** 0 for the whole log; else where an event begins, in bytes. */
  readonly from: number;
  readonly signal: AbortSignal;
  /** How long the server may be silent. Default: a minute. */
  readonly idleMs?: number;
}

/**
 * Reads a log as a replica does, on a connection of its own: the bytes of the server's file in the clear, from
 * `from` to its end, or to what the server has flushed of the open one. Each chunk is the reader's. Bytes come as
 * fast as they are taken; a reader that leaves closes the connection. Needs REPLICATION SLAVE.
 *
 * @throws unavailable (`BinlogNotOnServer`, `DumpCut`, `DumpStalled`, `DumpEndedEarly`, …), refused (access denied;
 *   `BinlogNotServed`), corrupt `BinlogNotServed`, the signal's reason
 */
export async function* dumpBinlog(account: DumpAccount, range: DumpRange): AsyncGenerator<Uint8Array> {
  const { binlog, from, signal } = range;
  const context = { where: describeEndpoint(account.endpoint), user: account.user, binlog };
  signal.throwIfAborted();
  const socket = await openSocket(account, context);
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const position = Math.max(from, FIRST_EVENT);
    socket.write(dumpRequestPacket({ binlog, position, serverId: account.serverId }));
    if (from === 0) yield Uint8Array.from(MAGIC);
    const chunks = chunksOf(socket, context, range.idleMs ?? IDLE_MS);
    yield* logBytes(chunks, from === 0 ? 'start' : 'middle', context);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

async function* logBytes(
  chunks: AsyncIterable<Buffer>,
  start: DumpedFrom,
  context: DumpContext,
): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const log = new LogBytes(start, (bytes) => ready.push(bytes));
  for await (const chunk of chunks) {
    log.push(chunk);
    yield* ready;
    ready = [];
    if (log.ended?.kind === 'error') throw dumpError(log.ended, context);
    if (log.ended !== null) return;
  }
  throw dumpCut(context);
}

/** What a socket receives; it is cut where nothing comes for too long while someone waits for it. */
async function* chunksOf(socket: Duplex, context: DumpContext, idleMs: number): AsyncGenerator<Buffer> {
  // Null while the reader is busy: that the socket rests then is no fault of the server's.
  let waitingSince: number | null = performance.now();
  const watch = setInterval(() => {
    if (waitingSince === null || performance.now() - waitingSince < idleMs) return;
    socket.destroy(dumpStalled(context, idleMs));
  }, WATCH_MS);
  try {
    for await (const chunk of socket) {
      waitingSince = null;
      yield chunk as Buffer;
      waitingSince = performance.now();
    }
  } catch (error) {
    throw error instanceof AppError ? error : dumpCut(context, error);
  } finally {
    clearInterval(watch);
  }
}

/** Logs in with mysql2, which knows every way to do so, and takes the connection over once it is idle. */
async function openSocket(account: DumpAccount, context: DumpContext): Promise<Duplex> {
  const { endpoint, user, password } = account;
  try {
    const connection = await createConnection(connectionOptions(endpoint, user, password, {}));
    // Without a listener the end of the connection would end the process; whoever reads the socket sees it.
    connection.on('error', () => undefined);
    const socket = socketOf(connection);
    try {
      await introduce((sql, values) => connection.query({ sql, values, timeout: QUERY_TIMEOUT_MS }));
    } catch (error) {
      socket.destroy();
      throw error;
    }
    socket.removeAllListeners('data');
    socket.pause();
    return socket;
  } catch (error) {
    throw toAppError(error, context);
  }
}

/**
 * Says how checksums shall come (as they are stored), and who reads. A server ends an older dump of the same
 * replica UUID, or of the same server_id where neither has a UUID; with a UUID that nobody has it ends none.
 * Source: sql/rpl_source.cc, kill_zombie_dump_threads.
 */
async function introduce(query: (sql: string, values: string[]) => Promise<unknown>): Promise<void> {
  await query('SET @source_binlog_checksum = ?, @replica_uuid = ?', ['CRC32', randomUUID()]);
}

/** mysql2 has no word for its socket; a test holds that it is there. */
function socketOf(connection: unknown): Duplex {
  const core = (connection as { readonly connection?: { readonly stream?: unknown } }).connection;
  if (core?.stream instanceof Duplex) return core.stream;
  throw new AppError({
    code: 'DriverWithoutSocket',
    kind: 'bug',
    message: 'This version of mysql2 does not show its socket, so no binlog can be dumped.',
  });
}
