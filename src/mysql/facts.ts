import type { PreparedXa } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { type BinlogName, parseBinlogName, parseServerUuid, type ServerUuid } from '../domain/identity.ts';
import { type Grant, parseGrant } from './grants.ts';
import type { MysqlSession } from './session.ts';

/** Settings and state of a server, as it tells them. GTID sets without line breaks. */
export interface ServerFacts {
  readonly serverUuid: ServerUuid;
  readonly serverId: number;
  readonly version: string;
  readonly gtidMode: 'ON' | 'OFF' | 'ON_PERMISSIVE' | 'OFF_PERMISSIVE';
  readonly enforceGtidConsistency: 'ON' | 'OFF' | 'WARN';
  readonly logBin: boolean;
  readonly binlogFormat: 'ROW' | 'STATEMENT' | 'MIXED';
  readonly binlogRowImage: string;
  readonly binlogChecksum: 'CRC32' | 'NONE';
  readonly binlogEncryption: boolean;
  /** 0: nothing expires. */
  readonly binlogExpireLogsSeconds: number;
  /** Whether what has expired is purged by the server itself. */
  readonly binlogAutoPurge: 'ON' | 'OFF';
  readonly maxBinlogSizeBytes: number;
  readonly syncBinlog: number;
  readonly flushLogAtTrxCommit: number;
  readonly lowerCaseTableNames: number;
  readonly characterSetServer: string;
  readonly collationServer: string;
  readonly gtidExecuted: string;
  readonly gtidPurged: string;
  /** Ends in a slash, as the server prints it. */
  readonly dataDir: string;
  /** Path of the binlogs without the number; null where log_bin is off. */
  readonly logBinBasename: string | null;
  readonly superReadOnly: boolean;
}

/** A line of SHOW BINARY LOGS, oldest first. */
export interface BinaryLog {
  readonly name: BinlogName;
  readonly sizeBytes: number;
  readonly encrypted: boolean;
}

/** A table whose rows a clone would leave out. */
export interface ForeignEngineTable {
  readonly schema: string;
  readonly table: string;
  readonly engine: string;
}

const FACTS_SQL = `SELECT @@server_uuid serverUuid, @@server_id serverId, @@version version, @@gtid_mode gtidMode,
  @@enforce_gtid_consistency enforceGtidConsistency, @@log_bin logBin, @@binlog_format binlogFormat,
  @@binlog_row_image binlogRowImage, @@binlog_checksum binlogChecksum, @@binlog_encryption binlogEncryption,
  @@binlog_expire_logs_seconds binlogExpireLogsSeconds,
  @@binlog_expire_logs_auto_purge binlogAutoPurge, @@max_binlog_size maxBinlogSize,
  @@sync_binlog syncBinlog, @@innodb_flush_log_at_trx_commit flushLogAtTrxCommit,
  @@lower_case_table_names lowerCaseTableNames, @@character_set_server characterSetServer,
  @@collation_server collationServer, @@GLOBAL.gtid_executed gtidExecuted, @@GLOBAL.gtid_purged gtidPurged,
  @@datadir dataDir, @@log_bin_basename logBinBasename, @@super_read_only superReadOnly`;

type Row = Readonly<Record<string, string | number | null>>;

/** Reads a server's settings and GTID state in one statement, so that they belong together. @throws unavailable, refused */
export async function readServerFacts(session: MysqlSession): Promise<ServerFacts> {
  const [row] = await session.query<Row>(FACTS_SQL);
  if (row === undefined) throw noRow(session, 'its variables');
  const text = (name: string) => String(row[name] ?? '');
  const number = (name: string) => Number(row[name]);
  return {
    serverUuid: parseServerUuid(text('serverUuid')),
    serverId: number('serverId'),
    version: text('version'),
    gtidMode: oneOf(text('gtidMode'), ['ON', 'OFF', 'ON_PERMISSIVE', 'OFF_PERMISSIVE']),
    enforceGtidConsistency: oneOf(text('enforceGtidConsistency'), ['ON', 'OFF', 'WARN']),
    logBin: isOn(row['logBin']),
    binlogFormat: oneOf(text('binlogFormat'), ['ROW', 'STATEMENT', 'MIXED']),
    binlogRowImage: text('binlogRowImage'),
    binlogChecksum: oneOf(text('binlogChecksum'), ['CRC32', 'NONE']),
    binlogEncryption: isOn(row['binlogEncryption']),
    binlogExpireLogsSeconds: number('binlogExpireLogsSeconds'),
    binlogAutoPurge: isOn(row['binlogAutoPurge']) ? 'ON' : 'OFF',
    maxBinlogSizeBytes: number('maxBinlogSize'),
    syncBinlog: number('syncBinlog'),
    flushLogAtTrxCommit: number('flushLogAtTrxCommit'),
    lowerCaseTableNames: number('lowerCaseTableNames'),
    characterSetServer: text('characterSetServer'),
    collationServer: text('collationServer'),
    gtidExecuted: oneLine(text('gtidExecuted')),
    gtidPurged: oneLine(text('gtidPurged')),
    dataDir: text('dataDir'),
    logBinBasename: row['logBinBasename'] === null ? null : text('logBinBasename'),
    superReadOnly: isOn(row['superReadOnly']),
  };
}

/** Lists the binlogs of a server, oldest first; the last one is open. Needs REPLICATION CLIENT. @throws refused, unavailable */
export async function readBinaryLogs(session: MysqlSession): Promise<BinaryLog[]> {
  const rows = await session.query<Row>('SHOW BINARY LOGS');
  return rows.map((row) => ({
    name: parseBinlogName(String(row['Log_name'])),
    sizeBytes: Number(row['File_size']),
    encrypted: row['Encrypted'] === 'Yes',
  }));
}

/**
 * PREVIOUS_GTIDS of a binlog, as the server reads it; null where it has none. Needs REPLICATION SLAVE.
 * @throws refused, unavailable
 */
export async function readPreviousGtids(session: MysqlSession, binlog: BinlogName): Promise<string | null> {
  // A name of this kind needs no quoting.
  const rows = await session.query<Row>(`SHOW BINLOG EVENTS IN '${binlog}' LIMIT 3`);
  const row = rows.find((event) => event['Event_type'] === 'Previous_gtids');
  return row === undefined ? null : oneLine(String(row['Info'] ?? ''));
}

/** `@@GLOBAL.gtid_executed` without line breaks. */
export async function readGtidExecuted(session: MysqlSession): Promise<string> {
  const [row] = await session.query<{ executed: string }>('SELECT @@GLOBAL.gtid_executed AS executed');
  if (row === undefined) throw noRow(session, 'gtid_executed');
  return oneLine(row.executed);
}

/** The privileges of the session's own account, roles that are active included. */
export async function readGrants(session: MysqlSession): Promise<Grant[]> {
  const rows = await session.query<Record<string, string>>('SHOW GRANTS');
  return rows
    .flatMap((row) => Object.values(row))
    .map(parseGrant)
    .filter((grant): grant is Grant => grant !== null);
}

/** XA transactions that are prepared and belong to no session; ordered by their data. Needs XA_RECOVER_ADMIN. */
export async function readPreparedXa(session: MysqlSession): Promise<PreparedXa[]> {
  const rows = await session.query<Row>('XA RECOVER CONVERT XID');
  return rows
    .map((row) => ({
      formatId: Number(row['formatID']),
      gtridLength: Number(row['gtrid_length']),
      bqualLength: Number(row['bqual_length']),
      dataHex: String(row['data']).replace(/^0x/i, '').toLowerCase(),
    }))
    .sort((a, b) => (a.dataHex < b.dataHex ? -1 : a.dataHex > b.dataHex ? 1 : a.formatId - b.formatId));
}

/** Table names of the server's own schemas hold no user rows. */
const SYSTEM_SCHEMAS = "('mysql', 'sys', 'performance_schema', 'information_schema')";

/**
 * User tables in engines other than InnoDB that hold rows: a clone leaves them empty. Each table is asked for a row,
 * because statistics may be stale. Tables that keep no rows of their own (MERGE, FEDERATED, BLACKHOLE …) count, too,
 * where a row shows.
 */
export async function readForeignEngineTables(session: MysqlSession): Promise<ForeignEngineTable[]> {
  const candidates = await session.query<{ tableSchema: string; tableName: string; engine: string }>(
    `SELECT TABLE_SCHEMA AS tableSchema, TABLE_NAME AS tableName, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE IS NOT NULL AND ENGINE <> 'InnoDB'
       AND TABLE_SCHEMA NOT IN ${SYSTEM_SCHEMAS} ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const tables: ForeignEngineTable[] = [];
  for (const { tableSchema, tableName, engine } of candidates) {
    const row = await session.query(
      `SELECT 1 FROM ${quoteName(tableSchema)}.${quoteName(tableName)} LIMIT 1`,
    );
    if (row.length > 0) tables.push({ schema: tableSchema, table: tableName, engine });
  }
  return tables;
}

/** Quotes an identifier for SQL text. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

function oneLine(gtidSet: string): string {
  return gtidSet.replaceAll(/\s/g, '');
}

function isOn(value: string | number | null | undefined): boolean {
  return Number(value) === 1 || value === 'ON';
}

function oneOf<T extends string>(text: string, allowed: readonly T[]): T {
  const value = allowed.find((candidate) => candidate === text);
  if (value !== undefined) return value;
  throw new AppError({
    code: 'UnknownServerSetting',
    kind: 'refused',
    message: `The server says ${JSON.stringify(text)} where one of ${allowed.join(', ')} was expected, so its state is not understood.`,
    hint: 'Check that the server is MySQL 8.4 or later.',
  });
}

function noRow(session: MysqlSession, what: string): AppError {
  return new AppError({ code: 'NoRow', kind: 'bug', message: `${session.where} gave no row for ${what}.` });
}
