import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { answersMysql } from './mysqld-ready.ts';
import type { ProcessExit } from './start.ts';

const POLL_MS = 40;
const LOG_TAIL_BYTES = 4096;
const LOG_TAIL_LINES = 15;

/** The process of a server, started here or taken over. */
export interface ServerProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
}

/** What became of a server that should start. */
export type Answer =
  | { readonly kind: 'answers' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'ended'; readonly exit: ProcessExit };

/** Waits until a server answers on its socket, ends, or takes too long. @throws the signal's reason */
export async function waitForAnswer(
  socket: string,
  process: ServerProcess,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const deadline = performance.now() + timeoutMs;
  const ended = process.exited.then((exit) => ({ kind: 'ended', exit }) as const);
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    const answers = answersMysql({ socket }).then((yes) => ({ kind: yes ? 'answers' : 'silent' }) as const);
    const answer = await Promise.race([answers, ended]);
    if (answer.kind !== 'silent') return answer;
    const waited = await Promise.race([sleep(POLL_MS, null, { ref: true }), ended]);
    if (waited !== null) return waited;
  }
  return { kind: 'silent' };
}

/** The error for a server that runs and does not answer. */
export function silentError(socket: string, timeoutMs: number, tail: string): AppError {
  return new AppError({
    code: 'MysqldSilent',
    kind: 'unavailable',
    message: `mysqld runs but did not answer on ${socket} within ${timeoutMs} ms, so it cannot be used. ${tail}`,
    facts: { socket, timeoutMs },
  });
}

/** The last lines of an error log. */
export async function logTail(path: string): Promise<string> {
  const log = await open(path, 'r');
  try {
    const { size } = await log.stat();
    const start = Math.max(0, size - LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await log.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.toString('utf8', 0, bytesRead).trim().split('\n');
    return lines.slice(-LOG_TAIL_LINES).join('\n');
  } finally {
    await log.close();
  }
}
