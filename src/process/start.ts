import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { AppError } from '../domain/errors.ts';
import type { Runnable } from './run.ts';

/** How a process ended: with a code, or by a signal. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  /** stdout and stderr are appended here; created with mode 0600. */
  readonly logFile: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** True: a session of its own, and this process may end before it. */
  readonly detached?: boolean;
}

/** A process that runs beside this one. It does not keep this one from ending, until it is told to end itself. */
export interface RunningProcess {
  readonly pid: number;
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** SIGTERM, and SIGKILL after `graceMs` (10 s); resolves when it has ended. */
  stop(graceMs?: number): Promise<ProcessExit>;
  /** Sends a signal; nothing happens where it has ended already. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a program that goes on running, its output in a log file. Never pass a secret in `args`:
 * everyone on the host can read them. @throws config where it cannot be started
 */
export async function startProcess(
  tool: Runnable,
  args: readonly string[],
  options: StartOptions,
): Promise<RunningProcess> {
  // The child writes to the file itself: no pipe that breaks, or fills, when this process is gone.
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    const child = spawn(tool.program, [...tool.args, ...args], {
      stdio: ['ignore', log, log],
      detached: options.detached === true,
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const pid = await started(child, tool.program);
    child.unref();
    return runningProcess(child, pid);
  } finally {
    closeSync(log);
  }
}

function started(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `${program} could not be started (${cause.code ?? cause.message}).`;
      reject(new AppError({ code: 'ToolNotStarted', kind: 'config', message, facts: { program }, cause }));
    });
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
}

function runningProcess(child: ChildProcess, pid: number): RunningProcess {
  // The program may have ended between its start and this line; then the event is gone, the code is not.
  const exited = new Promise<ProcessExit>((resolve) => {
    const settle = () => resolve({ code: child.exitCode, signal: child.signalCode });
    if (child.exitCode !== null || child.signalCode !== null) settle();
    else child.once('exit', settle);
  });
  const kill = (signal: NodeJS.Signals) => {
    child.ref();
    child.kill(signal);
  };
  return { pid, exited, kill, stop: (graceMs = 10_000) => stopGracefully(exited, kill, graceMs) };
}

async function stopGracefully(
  exited: Promise<ProcessExit>,
  kill: (signal: NodeJS.Signals) => void,
  graceMs: number,
): Promise<ProcessExit> {
  kill('SIGTERM');
  const timer = setTimeout(() => kill('SIGKILL'), graceMs);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}
