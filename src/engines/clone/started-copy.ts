import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectMysql, type MysqlSession } from '../../mysql/session.ts';
import { isCode, removeIfThere, writeWhole } from '../../process/files.ts';
import { type RunningMysqld, startMysqld } from '../../process/mysqld.ts';
import { commandLine, isAlive } from '../../process/pid.ts';
import type { Tool } from '../../process/tools.ts';

export interface CopyOptions {
  /** The data folder, absolute. */
  readonly dataDir: string;
  /** Folder for the log and the name of the socket, beside the data folder. */
  readonly workDir: string;
  readonly lowerCaseTableNames: number;
  readonly mysqld: Tool;
  readonly signal: AbortSignal;
}

/** Any number that no source has; the copy never replicates. */
const SERVER_ID = 4_294_967_295;
const POLL_MS = 40;

/**
 * Nothing may change the copy but InnoDB's own recovery: no binlog, so no GTID is given; no events,
 * no replication, no upgrade, no account (the source's passwords are not ours), no certificates.
 * The log's notes are needed: they say how many prepared transactions recovery found.
 */
const UNTOUCHED = [
  '--skip-grant-tables',
  '--skip-log-bin',
  '--skip-replica-start',
  '--event-scheduler=OFF',
  '--upgrade=NONE',
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--plugin-load-add=mysql_clone.so',
  '--auto-generate-certs=OFF',
  '--sha256-password-auto-generate-rsa-keys=OFF',
  '--caching-sha2-password-auto-generate-rsa-keys=OFF',
  '--log-error-verbosity=3',
  '--performance-schema=ON',
  '--innodb-buffer-pool-size=128M',
  '--innodb-buffer-pool-load-at-startup=OFF',
] as const;

/**
 * Starts a throw-away server on a copied data folder, reachable through a socket in a folder of mode
 * 0700 only, gives it to `use`, and shuts it down cleanly. A server that a killed process left on
 * this folder is ended first; InnoDB recovers from that as from any crash.
 * @throws unavailable where it does not start; what `use` throws
 */
export async function withStartedCopy<T>(
  options: CopyOptions,
  use: (session: MysqlSession) => Promise<T>,
): Promise<T> {
  await endLeftCopy(options.workDir);
  const socket = join(tmpdir(), `pitrail-copy-${randomBytes(8).toString('hex')}`, 's');
  await rememberSocket(options.workDir, socket);
  try {
    await mkdir(dirname(socket), { mode: 0o700 });
    return await useStarted(await startCopy(options, socket), use);
  } finally {
    await forgetSocket(options.workDir, socket);
  }
}

async function useStarted<T>(server: RunningMysqld, use: (session: MysqlSession) => Promise<T>): Promise<T> {
  try {
    const session = await connectMysql({ socket: server.socket }, 'root', '');
    try {
      return await use(session);
    } finally {
      await session.close();
    }
  } finally {
    await stopOrKill(server);
  }
}

/** One that does not stop in time is killed, so that the next try finds the folder free, and recovers it. */
async function stopOrKill(server: RunningMysqld): Promise<void> {
  try {
    await server.stop();
  } catch (error) {
    await server.kill();
    throw error;
  }
}

/** Kills the server that a killed process left on the copy, if there is one, and removes its socket folder. */
export async function endLeftCopy(workDir: string): Promise<void> {
  const socket = await readFile(socketFile(workDir), 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (socket === null) return;
  for (const pid of await pidsWithSocket(socket)) await killAndWait(pid);
  await forgetSocket(workDir, socket);
}

async function startCopy(options: CopyOptions, socket: string): Promise<RunningMysqld> {
  const { workDir, dataDir, mysqld, signal } = options;
  const logFile = join(workDir, 'copy.log');
  // performance_schema.error_log reads the whole file: each start gets its own.
  await removeIfThere(logFile);
  return startMysqld({
    tool: mysqld,
    dataDir,
    socket,
    port: null,
    serverId: SERVER_ID,
    options: [...UNTOUCHED, `--lower-case-table-names=${options.lowerCaseTableNames}`],
    logFile,
    signal,
  });
}

/** Written before folder and start, so that neither is ever there without this file naming the socket. */
async function rememberSocket(workDir: string, socket: string): Promise<void> {
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  await writeWhole(socketFile(workDir), (file) => file.writeFile(socket));
}

async function forgetSocket(workDir: string, socket: string): Promise<void> {
  await rm(dirname(socket), { recursive: true, force: true });
  await removeIfThere(socketFile(workDir));
}

function socketFile(workDir: string): string {
  return join(workDir, 'copy.socket');
}

/** By the command line, not by a pid file: the server writes that only when its start is nearly done. */
async function pidsWithSocket(socket: string): Promise<number[]> {
  const pids: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    const command = (await commandLine(Number(entry))) ?? '';
    if (command.split('\0').includes(`--socket=${socket}`)) pids.push(Number(entry));
  }
  return pids;
}

async function killAndWait(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isCode(error, 'ESRCH')) throw error;
  }
  while (await isAlive(pid)) await sleep(POLL_MS);
}
