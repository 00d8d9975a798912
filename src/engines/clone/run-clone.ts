import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../domain/errors.ts';
import type { MysqlSession } from '../../mysql/session.ts';

const POLL_MS = 500;
const ENDING_TIMEOUT_MS = 60_000;

export interface CloneOptions {
  /** Absolute; must not exist, its parent must. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Bytes copied and expected, as the server estimates them. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Has the server copy its data folder: `CLONE LOCAL DATA DIRECTORY`. Two sessions: one is busy
 * with the clone, the other watches, and kills it where the signal says so.
 * A crash of this process lets the server go on for a while; see `endRunningClone`.
 * @throws refused `CloneFailed`, unavailable (another clone runs, the connection was lost)
 */
export async function runClone(
  session: MysqlSession,
  watcher: MysqlSession,
  options: CloneOptions,
): Promise<void> {
  const done = new AbortController();
  const watching = watch(session.threadId, watcher, options, done.signal);
  // Awaited at the end; a failure before that must not count as unhandled.
  watching.catch(() => undefined);
  try {
    await session.run('CLONE LOCAL DATA DIRECTORY = ?', [options.directory]);
  } catch (error) {
    options.signal.throwIfAborted();
    throw explained(error, options.directory);
  } finally {
    done.abort();
    await watching;
  }
}

async function watch(
  threadId: number,
  watcher: MysqlSession,
  { signal, onProgress }: CloneOptions,
  done: AbortSignal,
): Promise<void> {
  const either = AbortSignal.any([signal, done]);
  while (!done.aborted) {
    // Rejects only because of the signals, which are asked right after.
    await sleep(POLL_MS, undefined, { signal: either }).catch(() => undefined);
    if (done.aborted) return;
    if (signal.aborted) {
      await killQuery(watcher, threadId);
      return;
    }
    const [row] = await watcher.query<{ done: string | null; total: string | null }>(
      'SELECT SUM(DATA) AS done, SUM(ESTIMATE) AS total FROM performance_schema.clone_progress',
    );
    if (!done.aborted) onProgress(Number(row?.done ?? 0), Number(row?.total ?? 0));
  }
}

/**
 * Ends a clone that an earlier process of ours began and that still writes below `directory`, and
 * waits until the server has left it. A clone to elsewhere is somebody else's.
 * @throws unavailable `CloneBusy` where another clone runs, or ours does not end
 */
export async function endRunningClone(session: MysqlSession, directory: string): Promise<void> {
  const deadline = performance.now() + ENDING_TIMEOUT_MS;
  for (;;) {
    const [running] = await session.query<{ pid: string; destination: string }>(
      "SELECT PID AS pid, DESTINATION AS destination FROM performance_schema.clone_status WHERE STATE = 'In Progress'",
    );
    if (running === undefined) return;
    const ours = running.destination.replace(/\/+$/, '') === directory;
    if (!ours || performance.now() > deadline) throw busy(running.destination);
    await killQuery(session, Number(running.pid));
    await sleep(POLL_MS);
  }
}

async function killQuery(session: MysqlSession, threadId: number): Promise<void> {
  try {
    await session.run(`KILL QUERY ${threadId}`);
  } catch (error) {
    // 1094: the connection has ended meanwhile, which is what was wanted.
    if (!(error instanceof AppError) || error.facts['errno'] !== 1094) throw error;
  }
}

function busy(destination: string): AppError {
  return new AppError({
    code: 'CloneBusy',
    kind: 'unavailable',
    message: `The server is busy with a clone to ${destination}, and it makes one at a time.`,
    hint: 'Wait until that has ended; it shows in performance_schema.clone_status.',
    facts: { destination },
  });
}

function explained(error: unknown, directory: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'MysqlRefused') return error;
  return new AppError({
    code: 'CloneFailed',
    kind: 'refused',
    message: `The server could not clone its data to ${directory}: ${error.message}`,
    hint: 'The user of the server must be able to write there, and every data file must lie in its data folder (no DATA DIRECTORY elsewhere).',
    facts: { ...error.facts, directory },
    cause: error,
  });
}
