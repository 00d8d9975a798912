import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../domain/errors.ts';
import { readForeignEngineTables, readGrants, readServerFacts, type ServerFacts } from '../../mysql/facts.ts';
import { judgeGrants } from '../../mysql/grants.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import { freeBytes } from '../../process/disk.ts';
import type { Tool } from '../../process/tools.ts';
import type { CloneObstacle } from './obstacles.ts';

/** Everything that decides whether a server can be cloned here. */
export interface CloneSurvey {
  readonly server: ServerFacts;
  readonly account: string;
  readonly pluginActive: boolean;
  readonly missingPrivileges: readonly string[];
  /** `schema.table (ENGINE)`, tables with rows only. */
  readonly foreignTables: readonly string[];
  /** `schema.table (ENGINE)`, tables that a clone breaks even when they are empty. */
  readonly brokenTables: readonly string[];
  readonly encryptedTables: readonly string[];
  readonly innodbPageSize: number;
  readonly innodbDataFilePath: string;
  readonly ddl: DdlState;
  readonly data: DataFolder;
  readonly staging: { readonly path: string; readonly freeBytes: number };
  readonly uid: number;
  readonly programVersion: string;
}

/** `blocked`: the backup lock was not granted in time, so DDL runs or waits. */
export type DdlState =
  | { readonly kind: 'quiet' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'blocked'; readonly statements: readonly string[] };

export type DataFolder =
  | { readonly kind: 'readable'; readonly ownerUid: number; readonly innodbBytes: number }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** How long the backup lock may take to be granted. New DDL waits as long. */
export const DDL_WAIT_SECONDS = 5;
/** The staging file system must hold so many times the data. */
export const SPACE_FACTOR = 1.3;

const SYSTEM_SCHEMAS = "('mysql', 'sys', 'performance_schema', 'information_schema')";
const WANTED_PAGE_SIZE = 16_384;
const WANTED_DATA_FILE_PATH = 'ibdata1:12M:autoextend';
const LOCK_WAIT_TIMEOUT = 1205;

/** Gathers what decides, from the server and from its host. Changes nothing; holds the backup lock for an instant. */
export async function surveyForClone(
  session: MysqlSession,
  stagingDir: string,
  mysqld: Tool,
): Promise<CloneSurvey> {
  const server = await readServerFacts(session);
  const [who] = await session.query<{
    account: string;
    pageSize: string;
    dataFilePath: string;
    active: string;
  }>(
    `SELECT CURRENT_USER() AS account, @@innodb_page_size AS pageSize, @@innodb_data_file_path AS dataFilePath,
       (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone' AND PLUGIN_STATUS = 'ACTIVE') AS active`,
  );
  const missingPrivileges = judgeGrants(await readGrants(session), 'clone').missing;
  return {
    server,
    account: quoteAccount(who?.account ?? ''),
    pluginActive: Number(who?.active) === 1,
    missingPrivileges,
    foreignTables: await foreignTables(session),
    brokenTables: await readBrokenTables(session),
    encryptedTables: await readEncryptedTables(session),
    innodbPageSize: Number(who?.pageSize),
    innodbDataFilePath: who?.dataFilePath ?? '',
    ddl: missingPrivileges.length === 0 ? await probeDdl(session) : { kind: 'unknown' },
    data: await lookAtDataFolder(server.dataDir),
    staging: { path: stagingDir, freeBytes: await freeBytes(stagingDir) },
    uid: process.getuid?.() ?? 0,
    programVersion: mysqld.version,
  };
}

/** Tables with rows that a clone leaves empty: `schema.table (ENGINE)`. */
export async function foreignTables(session: MysqlSession): Promise<string[]> {
  const tables = await readForeignEngineTables(session);
  return tables.map(({ schema, table, engine }) => `${schema}.${table} (${engine})`);
}

/** Decides from a survey what stands in the way of a clone; empty where nothing does. Pure. */
export function judgeSurvey(survey: CloneSurvey): CloneObstacle[] {
  return [...judgeServer(survey), ...judgeTables(survey), ...judgeHost(survey)];
}

function judgeServer({ server, ...survey }: CloneSurvey): CloneObstacle[] {
  const found: CloneObstacle[] = [];
  if (!survey.pluginActive) found.push({ code: 'PluginMissing' });
  if (survey.missingPrivileges.length > 0) {
    found.push({ code: 'PrivilegeMissing', privileges: survey.missingPrivileges, account: survey.account });
  }
  if (server.gtidMode !== 'ON') found.push({ code: 'GtidModeOff', gtidMode: server.gtidMode });
  if (!server.logBin) found.push({ code: 'BinlogOff' });
  if (survey.ddl.kind === 'blocked') {
    found.push({ code: 'DdlRunning', waitedSeconds: DDL_WAIT_SECONDS, statements: survey.ddl.statements });
  }
  if (releaseOf(server.version) !== releaseOf(survey.programVersion)) {
    found.push({ code: 'ServerVersionDiffers', server: server.version, program: survey.programVersion });
  }
  return found;
}

function judgeTables(survey: CloneSurvey): CloneObstacle[] {
  const found: CloneObstacle[] = [];
  const {
    foreignTables: foreign,
    brokenTables,
    encryptedTables,
    innodbPageSize,
    innodbDataFilePath,
  } = survey;
  if (foreign.length > 0) found.push({ code: 'ForeignEngineRows', tables: foreign });
  if (brokenTables.length > 0) found.push({ code: 'TablesNotCloned', tables: brokenTables });
  if (encryptedTables.length > 0) found.push({ code: 'EncryptedTables', tables: encryptedTables });
  const settings = [
    { name: 'innodb_page_size', value: String(innodbPageSize), wanted: String(WANTED_PAGE_SIZE) },
    { name: 'innodb_data_file_path', value: innodbDataFilePath, wanted: WANTED_DATA_FILE_PATH },
  ];
  for (const setting of settings) {
    if (setting.value !== setting.wanted) found.push({ code: 'InnodbSettings', ...setting });
  }
  return found;
}

function judgeHost({ server: { dataDir }, data, staging, uid }: CloneSurvey): CloneObstacle[] {
  if (data.kind === 'unreadable') return [{ code: 'DataFolderUnreadable', dataDir, reason: data.reason }];
  const found: CloneObstacle[] = [];
  // What the server writes belongs to its user; root reads it all the same.
  if (uid !== 0 && data.ownerUid !== uid) {
    found.push({ code: 'OtherUser', dataDir, ownerUid: data.ownerUid, uid });
  }
  const neededBytes = Math.ceil(data.innodbBytes * SPACE_FACTOR);
  if (staging.freeBytes < neededBytes) found.push({ code: 'DiskTooSmall', neededBytes, ...staging });
  return found;
}

/** `9.7.4-2` and `9.7.4` are one release. */
function releaseOf(version: string): string {
  return /^\d+\.\d+\.\d+/.exec(version)?.[0] ?? version;
}

function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
}

/**
 * Measured with MySQL 9.7.4: a server started on a clone makes empty MyISAM and CSV tables anew, MEMORY and
 * BLACKHOLE ones need no file; ARCHIVE and MERGE tables are broken there. A backtick in the name of such a
 * table keeps the server from starting (`Data Dictionary initialization failed`).
 */
async function readBrokenTables(session: MysqlSession): Promise<string[]> {
  const rows = await session.query<{ name: string; engine: string }>(
    `SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' AND TABLE_SCHEMA NOT IN ${SYSTEM_SCHEMAS}
       AND (ENGINE NOT IN ('MyISAM', 'CSV', 'MEMORY', 'BLACKHOLE') OR LOCATE('\`', TABLE_NAME) > 0
            OR LOCATE('\`', TABLE_SCHEMA) > 0) ORDER BY 1`,
  );
  return rows.map(({ name, engine }) => `${name} (${engine})`);
}

async function readEncryptedTables(session: MysqlSession): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name FROM information_schema.TABLES
     WHERE CREATE_OPTIONS LIKE '%ENCRYPTION=''Y''%' AND TABLE_SCHEMA NOT IN ${SYSTEM_SCHEMAS} ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** DDL holds a shared backup lock from its first moment; the exclusive one is granted only when none runs. */
async function probeDdl(session: MysqlSession): Promise<DdlState> {
  await session.run(`SET SESSION lock_wait_timeout = ${DDL_WAIT_SECONDS}`);
  try {
    await session.run('LOCK INSTANCE FOR BACKUP');
  } catch (error) {
    if (error instanceof AppError && error.facts['errno'] === LOCK_WAIT_TIMEOUT) {
      return { kind: 'blocked', statements: await readDdl(session) };
    }
    throw error;
  }
  await session.run('UNLOCK INSTANCE');
  return { kind: 'quiet' };
}

async function readDdl(session: MysqlSession): Promise<string[]> {
  const rows = await session.query<{ id: string; seconds: string; info: string | null }>(
    `SELECT DISTINCT PROCESSLIST_ID AS id, PROCESSLIST_TIME AS seconds, LEFT(PROCESSLIST_INFO, 120) AS info
     FROM performance_schema.metadata_locks JOIN performance_schema.threads ON THREAD_ID = OWNER_THREAD_ID
     WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_STATUS = 'GRANTED' AND PROCESSLIST_ID <> CONNECTION_ID()`,
  );
  return rows.map(({ id, seconds, info }) => `connection ${id}, ${seconds} s, ${info ?? 'no statement'}`);
}

async function lookAtDataFolder(dataDir: string): Promise<DataFolder> {
  try {
    const { uid } = await stat(dataDir);
    return { kind: 'readable', ownerUid: uid, innodbBytes: await innodbBytes(dataDir) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { kind: 'unreadable', reason: code ?? message };
  }
}

/** Size of what a clone copies: tablespaces, the system tablespace, undo and redo. */
async function innodbBytes(dataDir: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !isInnodbFile(entry.name)) continue;
    bytes += await sizeOf(join(entry.parentPath, entry.name));
  }
  return bytes;
}

function isInnodbFile(name: string): boolean {
  return /\.(ibd|ibu)$|^(ibdata|undo_|#ib_redo)/.test(name) && !name.endsWith('_tmp');
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    // A table dropped meanwhile takes no space.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
