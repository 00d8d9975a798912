import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { connectMysql, type MysqlSession } from '../mysql/session.ts';
import { adoptMysqld, type MysqldOptions, type RunningMysqld, startMysqld } from '../process/mysqld.ts';
import type { Tool } from '../process/tools.ts';
import type { Tuning } from './tuning.ts';

/** The account that replay works with; it exists from start to hand-over and is never in a binlog. */
const ACCOUNT = 'pitrail_applier';
const MAX_SOCKET_BYTES = 107;
const MAX_STARTS = 3;
const START_PAUSE_MS = 1000;

export interface ApplierOptions {
  /** The restored data folder, absolute. */
  readonly dataDir: string;
  /** A folder of this restore alone, absolute: pid file, error log, relay logs, credentials. Made where absent. */
  readonly workDir: string;
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

interface Paths {
  readonly socket: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly initFile: string;
  readonly relayDir: string;
  readonly tmpDir: string;
  readonly credentials: string;
}

/**
 * Takes over the applier that runs on this work folder, or starts one: no network, no binlog, no event
 * scheduler, replication stopped. A crash of this process leaves it running, to be adopted.
 * @throws refused `ApplierDoesNotStart` with the error log's end where the server ends at each start; unavailable
 */
export async function startApplier(options: ApplierOptions): Promise<Applier> {
  const paths = await preparePaths(options.workDir);
  const credentials = await loadCredentials(paths.credentials);
  const adopted = await adoptMysqld(paths.pidFile, paths.socket);
  const server = adopted ?? (await startServer(options, paths, credentials));
  return {
    options,
    server,
    origin: adopted === null ? 'started' : 'adopted',
    logFile: paths.logFile,
    connect: () => connectMysql({ socket: paths.socket }, ACCOUNT, credentials.password),
  };
}

/** Removes what `startApplier` made in the work folder but its log, after the server has ended. */
export async function removeApplierFiles(workDir: string): Promise<void> {
  const { relayDir, tmpDir, credentials, initFile, pidFile, socket } = pathsOf(workDir);
  for (const path of [relayDir, tmpDir, credentials, initFile, pidFile, socket, `${socket}.lock`]) {
    await rm(path, { recursive: true, force: true });
  }
}

/** Kills the server that runs on a work folder, if there is one, and removes its files: for a restore that is given up. */
export async function endApplier(workDir: string): Promise<void> {
  const { pidFile, socket } = pathsOf(workDir);
  const running = await adoptMysqld(pidFile, socket);
  await running?.kill();
  await removeApplierFiles(workDir);
}

/** Drops the account of the replay; the session that does it lives on. Not binlogged, and takes no GTID. */
export async function dropApplierAccount(session: MysqlSession): Promise<void> {
  await session.run(`DROP USER IF EXISTS '${ACCOUNT}'@'localhost'`);
}

/** Writes to disk now what is committed: left to the server, a kill could undo the last second of it. */
export async function flushCommitted(session: MysqlSession): Promise<void> {
  await session.run('FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS');
}

async function startServer(
  options: ApplierOptions,
  paths: Paths,
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
      options: [
        ...options.tuning.options,
        `--relay-log=${join(paths.relayDir, 'relay')}`,
        `--tmpdir=${paths.tmpDir}`,
        `--init-file=${paths.initFile}`,
        ...options.extraOptions,
      ],
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
    code: 'ApplierDoesNotStart',
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
    `CREATE USER IF NOT EXISTS ${account} IDENTIFIED WITH caching_sha2_password BY '${password}';`,
    `ALTER USER ${account} IDENTIFIED WITH caching_sha2_password BY '${password}' ACCOUNT UNLOCK;`,
    `GRANT ALL ON *.* TO ${account} WITH GRANT OPTION;`,
    '',
  ].join('\n');
}

function pathsOf(workDir: string): Paths {
  const near = join(workDir, 's.sock');
  // A deep work folder has no room for a socket; the digest finds it again after a crash.
  const digest = createHash('sha256').update(workDir).digest('hex').slice(0, 16);
  const far = join(tmpdir(), `pitrail-${process.getuid?.() ?? 0}-${digest}`, 's.sock');
  return {
    socket: Buffer.byteLength(`${near}.lock`) <= MAX_SOCKET_BYTES ? near : far,
    pidFile: join(workDir, 'mysqld.pid'),
    logFile: join(workDir, 'mysqld.log'),
    initFile: join(workDir, 'applier-init.sql'),
    relayDir: join(workDir, 'relay'),
    tmpDir: join(workDir, 'tmp'),
    credentials: join(workDir, 'applier.json'),
  };
}

async function preparePaths(workDir: string): Promise<Paths> {
  const paths = pathsOf(workDir);
  for (const folder of [workDir, paths.relayDir, paths.tmpDir, join(paths.socket, '..')]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  return paths;
}

/** The same for every start on this work folder, so that a running server can be adopted. */
async function loadCredentials(path: string): Promise<Credentials> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Credentials;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  // Letters of each kind, for a base with a password policy.
  const made = { password: `${randomBytes(24).toString('hex')}-Aa1`, serverId: randomInt(2 ** 30, 2 ** 31) };
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, JSON.stringify(made), { mode: 0o600, flag: 'wx' });
  await rename(draft, path);
  return made;
}
