import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
import { AppError } from '../domain/errors.ts';
import { traceFields } from '../telemetry/trace.ts';
import { toAppError } from './errors.ts';
import { type TlsChoice, tcpOptions } from './tcp-options.ts';

/** Where a server listens. */
export type MysqlEndpoint =
  | { readonly socket: string }
  | { readonly host: string; readonly port: number; readonly tls: TlsChoice };

export interface SessionOptions {
  readonly database?: string;
  readonly connectTimeoutMs?: number;
}

/** What a statement that returns no rows did. */
export interface Written {
  readonly affectedRows: number;
  readonly warnings: number;
}

type Parameter = string | number | bigint | null | Uint8Array;

/**
 * One connection. BIGINT and DECIMAL values are strings always, dates and times are strings as the server
 * prints them, binary values are Buffers; the caller decodes rows at the edge.
 */
export interface MysqlSession {
  /** `server_uuid`, lower case. */
  readonly serverUuid: string;
  readonly serverVersion: string;
  /** The id in the process list. */
  readonly threadId: number;
  /** For people: `/run/mysqld.sock` or `host:port`. */
  readonly where: string;
  /** Rows of a statement. Parameters replace `?`. @throws unavailable, refused, bug */
  query<T>(sql: string, params?: readonly Parameter[]): Promise<T[]>;
  /** Runs a statement whose rows, if any, do not matter. @throws unavailable, refused, bug */
  run(sql: string, params?: readonly Parameter[]): Promise<Written>;
  /** Ends the session; never throws, and may be called twice. */
  close(): Promise<void>;
}

/** For people and messages: the socket, or host:port. */
export function describeEndpoint(endpoint: MysqlEndpoint): string {
  return 'socket' in endpoint ? endpoint.socket : `${endpoint.host}:${endpoint.port}`;
}

/**
 * Connects and asks who answers. The session runs in UTC with `utf8mb4`.
 * @throws unavailable (nothing answers; names the server), refused (access denied; names the user)
 */
export async function connectMysql(
  endpoint: MysqlEndpoint,
  user: string,
  password: string,
  options: SessionOptions = {},
): Promise<MysqlSession> {
  const where = describeEndpoint(endpoint);
  const context = { where, user };
  let connection: Connection;
  try {
    connection = await createConnection(connectionOptions(endpoint, user, password, options));
  } catch (error) {
    throw toAppError(error, context);
  }
  // Without a listener a lost connection would end the process; the next query reports it.
  connection.on('error', () => undefined);
  try {
    return await openSession(connection, context);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** Options of mysql2 for a connection as every part of pitrail makes it. */
export function connectionOptions(
  endpoint: MysqlEndpoint,
  user: string,
  password: string,
  options: SessionOptions,
): ConnectionOptions {
  return {
    user,
    password,
    ...('socket' in endpoint ? { socketPath: endpoint.socket } : tcpOptions(endpoint)),
    ...(options.database === undefined ? {} : { database: options.database }),
    connectTimeout: options.connectTimeoutMs ?? 10_000,
    charset: 'utf8mb4_0900_ai_ci',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    timezone: 'Z',
    enableKeepAlive: true,
    // Shown by the server in performance_schema.session_connect_attrs, beside its slow statements.
    connectAttributes: { program_name: 'pitrail', ...traceFields() },
  };
}

async function openSession(connection: Connection, context: SessionContext): Promise<MysqlSession> {
  await ask(connection, context, "SET time_zone = '+00:00'", []);
  const [who] = asRows<{ uuid: string; version: string }>(
    await ask(connection, context, 'SELECT LOWER(@@server_uuid) AS uuid, @@version AS version', []),
  );
  if (who === undefined)
    throw new AppError({
      code: 'NoServerUuid',
      kind: 'bug',
      message: `${context.where} gave no row for @@server_uuid.`,
    });
  let closed: Promise<void> | null = null;
  return {
    serverUuid: who.uuid,
    serverVersion: who.version,
    threadId: connection.threadId,
    where: context.where,
    query: async <T>(sql: string, params: readonly Parameter[] = []) =>
      asRows<T>(await ask(connection, context, sql, params)),
    run: async (sql, params = []) => asWritten(await ask(connection, context, sql, params)),
    close() {
      // A connection that is gone already has nothing left to end.
      closed ??= connection.end().catch(() => connection.destroy());
      return closed;
    },
  };
}

interface SessionContext {
  readonly where: string;
  readonly user: string;
}

async function ask(
  connection: Connection,
  context: SessionContext,
  sql: string,
  params: readonly Parameter[],
): Promise<unknown> {
  try {
    const [result] = await connection.query(sql, params.map(toDriver));
    return result;
  } catch (error) {
    throw toAppError(error, context);
  }
}

function toDriver(value: Parameter): string | number | bigint | null | Buffer {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
}

function asRows<T>(result: unknown): T[] {
  return Array.isArray(result) ? (result as T[]) : [];
}

function asWritten(result: unknown): Written {
  if (Array.isArray(result) || typeof result !== 'object' || result === null)
    return { affectedRows: 0, warnings: 0 };
  const header = result as { affectedRows?: number; warningStatus?: number };
  return { affectedRows: header.affectedRows ?? 0, warnings: header.warningStatus ?? 0 };
}
