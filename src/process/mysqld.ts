import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { logTail, type ServerProcess, silentError, waitForAnswer } from './mysqld-wait.ts';
import { commandLine, isAlive } from './pid.ts';
import { runTool } from './run.ts';
import { type ProcessExit, startProcess } from './start.ts';
import { findTool, type Tool } from './tools.ts';

const POLL_MS = 40;
const DEFAULT_START_TIMEOUT_MS = 180_000;
const DEFAULT_STOP_TIMEOUT_MS = 180_000;
const INITIALIZE_TIMEOUT_MS = 300_000;
/** sockaddr_un.sun_path holds 108 bytes with its end. */
const MAX_SOCKET_PATH_BYTES = 107;

export interface MysqldOptions {
  /** An initialised data folder, absolute. */
  readonly dataDir: string;
  /** Socket file, absolute, at most 107 bytes. */
  readonly socket: string;
  /** Loopback port; null listens on the socket only. */
  readonly port: number | null;
  readonly serverId: number;
  /** Further options, each `--name=value`; a later one wins. Never secret. */
  readonly options: readonly string[];
  /** Error log, appended: the server's stderr, which its options must not send elsewhere. */
  readonly logFile: string;
  /** Default: the socket's path plus `.pid`. */
  readonly pidFile?: string;
  /** True: survives this process, to be taken over with `adoptMysqld`. */
  readonly detached?: boolean;
  /** Default: `findTool('mysqld')`. */
  readonly tool?: Tool;
  readonly signal?: AbortSignal;
  readonly startTimeoutMs?: number;
}

/** A server that answers. */
export interface RunningMysqld {
  readonly pid: number;
  readonly socket: string;
  readonly port: number | null;
  readonly pidFile: string;
  /** Resolves when the process has ended, by whatever cause; never rejects. */
  exited(): Promise<void>;
  /** Clean shutdown; resolves when the process has ended. @throws unavailable where it takes too long */
  stop(timeoutMs?: number): Promise<void>;
  /** SIGKILL; resolves when the process has ended. What a power cut would do. */
  kill(): Promise<void>;
}

/** Creates system tables in an empty or absent folder; root has no password. @throws refused, with the server's words */
export async function initializeDataDir(
  tool: Tool,
  dataDir: string,
  options: readonly string[] = [],
): Promise<void> {
  const args = ['--initialize-insecure', ...asRoot(), `--datadir=${dataDir}`, '--mysqlx=OFF', ...options];
  await runTool(withoutOptionFiles(tool), args, { timeoutMs: INITIALIZE_TIMEOUT_MS });
}

/**
 * Starts a server and waits until it answers. No option file is read.
 * A crash of this process leaves a detached server running, with its process id in the pid file.
 * @throws unavailable with the end of the error log where it ends or does not answer in time
 */
export async function startMysqld(options: MysqldOptions): Promise<RunningMysqld> {
  requireShortSocket(options.socket);
  const tool = withoutOptionFiles(options.tool ?? (await findTool('mysqld')));
  const pidFile = options.pidFile ?? `${options.socket}.pid`;
  const { logFile, detached = false, socket, port } = options;
  const child = await startProcess(tool, serverArguments(options, pidFile), { logFile, detached });
  const process: ServerProcess = { pid: child.pid, exited: child.exited };
  if (detached) await notePid(pidFile, process, child.kill);
  await untilAnswers(options, process, child.kill);
  return runningMysqld(process, { socket, port, pidFile });
}

/** The server writes this file itself when it has recovered; until then it would be found by nobody. */
async function notePid(
  pidFile: string,
  process: ServerProcess,
  kill: (signal: NodeJS.Signals) => void,
): Promise<void> {
  try {
    await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    kill('SIGKILL');
    await process.exited;
    throw error;
  }
}

/**
 * Takes over a server that an earlier process started; null where none runs under this pid file.
 * A pid that belongs to another program by now is not touched.
 * @throws unavailable where it runs but does not answer in time
 */
export async function adoptMysqld(
  pidFile: string,
  socket: string,
  options: { readonly port?: number; readonly timeoutMs?: number } = {},
): Promise<RunningMysqld | null> {
  const pid = await livePid(pidFile, socket);
  if (pid === null) return null;
  const process: ServerProcess = { pid, exited: untilEnded(pid) };
  const timeoutMs = options.timeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const outcome = await waitForAnswer(socket, process, timeoutMs, undefined);
  if (outcome.kind === 'ended') return null;
  if (outcome.kind === 'silent') throw silentError(socket, timeoutMs, '');
  return runningMysqld(process, { socket, port: options.port ?? null, pidFile });
}

function serverArguments(options: MysqldOptions, pidFile: string): string[] {
  const listen =
    options.port === null ? ['--skip-networking'] : [`--port=${options.port}`, '--bind-address=127.0.0.1'];
  return [
    ...asRoot(),
    `--datadir=${options.dataDir}`,
    `--socket=${options.socket}`,
    `--pid-file=${pidFile}`,
    `--server-id=${options.serverId}`,
    '--mysqlx=OFF',
    ...listen,
    ...options.options,
  ];
}

/** `--no-defaults` is recognised only as the first argument. */
function withoutOptionFiles(tool: Tool): Tool {
  return { ...tool, args: ['--no-defaults', ...tool.args] };
}

/** mysqld refuses to run as root unless told so. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

function requireShortSocket(socket: string): void {
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return;
  throw new AppError({
    code: 'SocketPathTooLong',
    kind: 'config',
    message: `The socket path ${socket} is longer than ${MAX_SOCKET_PATH_BYTES} bytes, so no server can listen there.`,
    hint: 'Use a shorter folder for the socket.',
    facts: { socket },
  });
}

async function untilAnswers(
  options: MysqldOptions,
  process: ServerProcess,
  kill: (signal: NodeJS.Signals) => void,
): Promise<void> {
  const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const answer = await waitForAnswer(options.socket, process, timeoutMs, options.signal).catch(
    async (error) => {
      kill('SIGKILL');
      await process.exited;
      throw error;
    },
  );
  if (answer.kind === 'answers') return;
  if (answer.kind === 'silent') {
    kill('SIGKILL');
    await process.exited;
    throw silentError(options.socket, timeoutMs, await logTail(options.logFile));
  }
  const how = answer.exit.signal ?? `exit code ${answer.exit.code}`;
  const tail = await logTail(options.logFile);
  throw new AppError({
    code: 'MysqldEnded',
    kind: 'unavailable',
    message: `mysqld on ${options.dataDir} ended with ${how} before it answered. Its error log ends: ${tail}`,
    facts: { dataDir: options.dataDir, logFile: options.logFile, exit: how },
  });
}

/** The pid of the file, where it is alive and its command line names this very socket. */
async function livePid(pidFile: string, socket: string): Promise<number | null> {
  const text = await readFile(pidFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const pid = Number(text.trim());
  if (!Number.isSafeInteger(pid) || pid <= 1 || !(await isAlive(pid))) return null;
  const command = (await commandLine(pid)) ?? '';
  return command.split('\0').includes(`--socket=${socket}`) ? pid : null;
}

async function untilEnded(pid: number): Promise<ProcessExit> {
  while (await isAlive(pid)) await sleep(POLL_MS, undefined, { ref: false });
  return { code: null, signal: null };
}

function runningMysqld(
  server: ServerProcess,
  where: Pick<RunningMysqld, 'socket' | 'port' | 'pidFile'>,
): RunningMysqld {
  const exited = server.exited.then(() => undefined);
  return {
    ...where,
    pid: server.pid,
    exited: () => exited,
    async stop(timeoutMs = DEFAULT_STOP_TIMEOUT_MS) {
      await signalIfAlive(server.pid, 'SIGTERM');
      if (await endsWithin(server.pid, timeoutMs)) return;
      throw new AppError({
        code: 'MysqldStopTimedOut',
        kind: 'unavailable',
        message: `mysqld ${server.pid} on ${where.socket} did not shut down within ${timeoutMs} ms and still runs.`,
        facts: { pid: server.pid, socket: where.socket },
      });
    },
    async kill() {
      await signalIfAlive(server.pid, 'SIGKILL');
      await endsWithin(server.pid, DEFAULT_STOP_TIMEOUT_MS);
    },
  };
}

async function signalIfAlive(pid: number, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(pid))) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function endsWithin(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (await isAlive(pid)) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
