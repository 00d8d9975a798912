import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { connectMysql, type MysqlSession } from '../mysql/session.ts';
import { isCode } from '../process/files.ts';
import { adoptMysqld, type MysqldOptions, type RunningMysqld, startMysqld } from '../process/mysqld.ts';
import type { Tool } from '../process/tools.ts';
import { type ApplierFolders, type ApplierPaths, applierPaths } from './applier-paths.ts';
import { plainOptions, type Tuning } from './tuning.ts';

/** The account that replay works with; it exists from start to hand-over and is never in a binlog. */
const ACCOUNT = 'pitrail_applier';
/** Code of the error of a server that ends by itself at every start. */
export const APPLIER_DOES_NOT_START = 'ApplierDoesNotStart';
const MAX_STARTS = 3;
const START_PAUSE_MS = 1000;

export interface ApplierOptions extends ApplierFolders {
  readonly tuning: Tuning;
  /** Further server options; a later one wins. */
  readonly extraOptions: readonly string[];
  /** Default: `findTool('mysqld')`. */
  readonly tool?: Tool;
  readonly signal?: AbortSignal;
}

/** The throw-away mysqld on a restored data folder. */
export interface Applier {
  readonly options: ApplierOptions;
  /** The server that runs now. */
  readonly server: RunningMysqld;
  /** `adopted`: an earlier process had started it, and it ran on. */
  readonly origin: 'started' | 'adopted';
  readonly logFile: string;
  /** A session that may do everything. The caller closes it. */
  connect(): Promise<MysqlSession>;
}

interface Credentials {
  readonly password: string;
  readonly serverId: number;
}

/**
 * Takes over the applier that runs on this work folder, or starts one: no network, no binlog, no event
 * scheduler, replication stopped. A crash of this process leaves it running, to be adopted.
 * @throws refused `ApplierDoesNotStart` with the error log's end where the server ends at each start; unavailable
 */
export async function startApplier(options: ApplierOptions): Promise<Applier> {
  const paths = await preparePaths(options);
  const credentials = await loadCredentials(paths.credentials);
  const adopted = await adoptMysqld(paths.pidFile, paths.socket);
  const settings = [
    ...options.tuning.options,
    `--relay-log=${join(paths.relayDir, 'relay')}`,
    `--tmpdir=${paths.tmpDir}`,
  ];
  const server = adopted ?? (await startServer(options, settings, paths, credentials));
  return applierOn(server, adopted === null ? 'started' : 'adopted', options, paths, credentials);
}

/**
 * Stops the applier's server cleanly and starts it on the same socket with the settings that a server has
 * by itself, none of the replay's; its account is there again, and so the caller drops it.
 * A crash of this process leaves one or the other running, or none: `startApplier` goes on from each.
 * @throws as `startApplier`
 */
export async function restartPlain({ options, server }: Applier): Promise<Applier> {
  await server.stop();
  const paths = applierPaths(options);
  await rm(paths.growingDir, { recursive: true, force: true });
  const credentials = await loadCredentials(paths.credentials);
  const plain = await startServer(options, plainOptions(options.tuning), paths, credentials);
  return applierOn(plain, 'started', options, paths, credentials);
}

function applierOn(
  server: RunningMysqld,
  origin: Applier['origin'],
  options: ApplierOptions,
  paths: ApplierPaths,
  { password }: Credentials,
): Applier {
  const connect = () => connectMysql({ socket: paths.socket }, ACCOUNT, password);
  return { options, server, origin, logFile: paths.logFile, connect };
}

/** Removes what `startApplier` made but its log, after the server has ended. */
export async function removeApplierFiles(folders: ApplierFolders): Promise<void> {
  const { growingDir, credentials, initFile, pidFile, socket, socketDir } = applierPaths(folders);
  for (const path of [growingDir, credentials, initFile, pidFile, socket, `${socket}.lock`]) {
    await rm(path, { recursive: true, force: true });
  }
  if (socketDir !== folders.workDir) await rm(socketDir, { recursive: true, force: true });
}

/** Kills the server that runs on a work folder, if there is one, and removes its files: for a restore that is given up. */
export async function endApplier(folders: ApplierFolders): Promise<void> {
  const { pidFile, socket } = applierPaths(folders);
  const running = await adoptMysqld(pidFile, socket);
  await running?.kill();
  await removeApplierFiles(folders);
}

/** Drops the account of the replay; the session that does it lives on. Not binlogged, and takes no GTID. */
export async function dropApplierAccount(session: MysqlSession): Promise<void> {
  await session.run('SET SESSION sql_log_bin = OFF');
  await session.run(`DROP USER IF EXISTS '${ACCOUNT}'@'localhost'`);
}

/**
 * Drops the account of the replay on a server that runs on after the hand-over, and forgets its password.
 * May be run again. A server that was stopped meanwhile is its user's: nothing is started for this.
 */
export async function leaveRunning(folders: ApplierFolders): Promise<void> {
  const paths = applierPaths(folders);
  const credentials = await readCredentials(paths.credentials);
  if (credentials === null) return;
  if ((await adoptMysqld(paths.pidFile, paths.socket)) !== null) {
    const session = await connectMysql({ socket: paths.socket }, ACCOUNT, credentials.password);
    try {
      await dropApplierAccount(session);
      await flushCommitted(session);
    } finally {
      await session.close();
    }
  }
  await rm(paths.credentials, { force: true });
}

/** Writes to disk now what is committed: left to the server, a kill could undo the last second of it. */
export async function flushCommitted(session: MysqlSession): Promise<void> {
  await session.run('FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS');
}

async function startServer(
  options: ApplierOptions,
  settings: readonly string[],
  paths: ApplierPaths,
  credentials: Credentials,
): Promise<RunningMysqld> {
  // Written anew for each start and gone right after: the account must exist before anyone can log in.
  await writeFile(paths.initFile, accountStatements(credentials.password), { mode: 0o600 });
  try {
    return await startInTheEnd({
      dataDir: options.dataDir,
      socket: paths.socket,
      port: null,
      serverId: credentials.serverId,
      pidFile: paths.pidFile,
      logFile: paths.logFile,
      detached: true,
      options: [...settings, `--init-file=${paths.initFile}`, ...options.extraOptions],
      ...(options.tool === undefined ? {} : { tool: options.tool }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } finally {
    await rm(paths.initFile, { force: true });
  }
}

/**
 * A server that ends by itself at every start will not do otherwise for whoever tries for ever; one that
 * was killed may.
 */
async function startInTheEnd(options: MysqldOptions): Promise<RunningMysqld> {
  for (let starts = 1; ; starts += 1) {
    try {
      return await startMysqld(options);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'MysqldEnded') throw error;
      if (error.facts['exit'] === 'SIGKILL') throw error;
      if (starts === MAX_STARTS) throw doesNotStart(error, options);
    }
    await sleep(START_PAUSE_MS * starts, undefined, { signal: options.signal });
  }
}

function doesNotStart(cause: AppError, { dataDir, logFile }: MysqldOptions): AppError {
  return new AppError({
    code: APPLIER_DOES_NOT_START,
    kind: 'refused',
    message: `The restored server ended at ${MAX_STARTS} starts, so nothing can be replayed onto it. ${cause.message}`,
    hint: 'Read what the error log says; restore from another base backup, or with another mysqld (restore.mysqld).',
    facts: { dataDir, logFile },
    cause,
  });
}

function accountStatements(password: string): string {
  const account = `'${ACCOUNT}'@'localhost'`;
  return [
    // Where a binlog is on, these statements are not in it.
    'SET SESSION sql_log_bin = OFF;',
    `CREATE USER IF NOT EXISTS ${account} IDENTIFIED WITH caching_sha2_password BY '${password}';`,
    `ALTER USER ${account} IDENTIFIED WITH caching_sha2_password BY '${password}' ACCOUNT UNLOCK;`,
    `GRANT ALL ON *.* TO ${account} WITH GRANT OPTION;`,
    '',
  ].join('\n');
}

async function preparePaths(folders: ApplierFolders): Promise<ApplierPaths> {
  const paths = applierPaths(folders);
  for (const folder of [folders.workDir, paths.relayDir, paths.tmpDir, paths.socketDir]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  return paths;
}

/** The same for every start on this work folder, so that a running server can be adopted. */
async function loadCredentials(path: string): Promise<Credentials> {
  const known = await readCredentials(path);
  if (known !== null) return known;
  // Letters of each kind, for a base with a password policy.
  const made = { password: `${randomBytes(24).toString('hex')}-Aa1`, serverId: randomInt(2 ** 30, 2 ** 31) };
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, JSON.stringify(made), { mode: 0o600, flag: 'wx' });
  await rename(draft, path);
  return made;
}

async function readCredentials(path: string): Promise<Credentials | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Credentials;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}
