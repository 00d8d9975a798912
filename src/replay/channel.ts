import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { MysqlSession } from '../mysql/session.ts';

/** The channel that pitrail replays through; a name of its own keeps it apart from the origin's channels. */
export const REPLAY_CHANNEL = 'pitrail';

export interface ChannelSource {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** A thread that stopped or failed, in the server's words; errno 0 where nothing is wrong. */
export interface ThreadState {
  readonly state: 'running' | 'connecting' | 'stopped';
  readonly errno: number;
  readonly message: string;
}

export interface ChannelStatus {
  /** Fetches from the source. */
  readonly receiver: ThreadState;
  readonly applier: ThreadState;
  /** Received and not forgotten since. */
  readonly received: GtidSet;
}

type StatusRow = Readonly<Record<string, string | number | null>>;

/** Lists every channel that the server knows; a base taken from a replica brings its own. */
export async function listChannels(session: MysqlSession): Promise<string[]> {
  const rows = await session.query<StatusRow>('SHOW REPLICA STATUS');
  return rows.map((row) => String(row['Channel_Name'] ?? ''));
}

/**
 * What a channel takes. `rows-only` stops at the first statement that changes rows, and spares the applier
 * a write to its position tables in each transaction; positions are not needed where GTIDs decide.
 */
export type ChannelFormat = 'rows-only' | 'any';

/** Points the channel at an archive source; relay logs it may have are thrown away and fetched again. */
export async function configureChannel(
  session: MysqlSession,
  channel: string,
  source: ChannelSource,
  format: ChannelFormat,
): Promise<void> {
  const rowsOnly = format === 'rows-only' ? 1 : 0;
  await session.run(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
     SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400,
     SOURCE_HEARTBEAT_PERIOD = 5, REQUIRE_ROW_FORMAT = ${rowsOnly}, GTID_ONLY = ${rowsOnly} FOR CHANNEL ?`,
    [source.host, source.port, source.user, source.password, channel],
  );
}

/** What the channel was configured to take. */
export async function readChannelFormat(session: MysqlSession, channel: string): Promise<ChannelFormat> {
  const [row] = await session.query<{ rowsOnly: string }>(
    `SELECT REQUIRE_ROW_FORMAT AS rowsOnly FROM performance_schema.replication_applier_configuration
     WHERE CHANNEL_NAME = ?`,
    [channel],
  );
  return row?.rowsOnly === 'YES' ? 'rows-only' : 'any';
}

/** Lets the receiver fetch from another source, while the applier runs on with what it has. */
export async function redirectReceiver(
  session: MysqlSession,
  channel: string,
  source: ChannelSource,
): Promise<void> {
  await session.run('STOP REPLICA IO_THREAD FOR CHANNEL ?', [channel]);
  await session.run(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?
     FOR CHANNEL ?`,
    [source.host, source.port, source.user, source.password, channel],
  );
  await startReceiver(session, channel);
}

/** Starts receiver and applier. */
export async function startChannel(session: MysqlSession, channel: string): Promise<void> {
  await session.run('START REPLICA FOR CHANNEL ?', [channel]);
}

/** Starts the receiver alone; nothing happens where it runs. */
export async function startReceiver(session: MysqlSession, channel: string): Promise<void> {
  await session.run('START REPLICA IO_THREAD FOR CHANNEL ?', [channel]);
}

/** Stops receiver and applier; the applier ends the transactions it is in, or undoes them. */
export async function stopChannel(session: MysqlSession, channel: string): Promise<void> {
  await session.run('STOP REPLICA FOR CHANNEL ?', [channel]);
}

/** Removes a channel with its relay logs and stored credentials. */
export async function removeChannel(session: MysqlSession, channel: string): Promise<void> {
  await stopChannel(session, channel);
  await session.run('RESET REPLICA ALL FOR CHANNEL ?', [channel]);
}

/** Reads how the channel stands. @throws bug where there is no such channel */
export async function readChannel(session: MysqlSession, channel: string): Promise<ChannelStatus> {
  const [row] = await session.query<StatusRow>('SHOW REPLICA STATUS FOR CHANNEL ?', [channel]);
  if (row === undefined) {
    throw new AppError({
      code: 'NoChannel',
      kind: 'bug',
      message: `${session.where} has no replication channel ${JSON.stringify(channel)}, so nothing is replayed.`,
    });
  }
  return {
    receiver: threadState(row, 'Replica_IO_Running', 'Last_IO'),
    applier: threadState(row, 'Replica_SQL_Running', 'Last_SQL'),
    received: GtidSet.parse(String(row['Retrieved_Gtid_Set'] ?? '')),
  };
}

function threadState(row: StatusRow, running: string, last: string): ThreadState {
  const text = String(row[running]);
  return {
    state: text === 'Yes' ? 'running' : text === 'Connecting' ? 'connecting' : 'stopped',
    errno: Number(row[`${last}_Errno`] ?? 0),
    message: String(row[`${last}_Error`] ?? ''),
  };
}

/** What a worker failed at. */
export interface WorkerFailure {
  readonly gtid: string;
  readonly errno: number;
  readonly message: string;
}

/** The first worker's failure, which says more than the coordinator's; null where none failed. */
export async function readWorkerFailure(
  session: MysqlSession,
  channel: string,
): Promise<WorkerFailure | null> {
  const [row] = await session.query<{ gtid: string; errno: number | string; message: string }>(
    `SELECT APPLYING_TRANSACTION AS gtid, LAST_ERROR_NUMBER AS errno, LAST_ERROR_MESSAGE AS message
     FROM performance_schema.replication_applier_status_by_worker
     WHERE CHANNEL_NAME = ? AND LAST_ERROR_NUMBER <> 0 ORDER BY LAST_ERROR_TIMESTAMP LIMIT 1`,
    [channel],
  );
  return row === undefined ? null : { gtid: row.gtid, errno: Number(row.errno), message: row.message };
}

/** Temporary tables that appliers hold open for statements still to come. */
export async function readOpenTemporaryTables(session: MysqlSession): Promise<number> {
  const [row] = await session.query<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Replica_open_temp_tables'");
  return Number(row?.Value ?? 0);
}
