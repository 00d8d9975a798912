import { execa, type Options } from 'execa';
import { AppError } from '../domain/errors.ts';
import type { Tool } from './tools.ts';

/** How much of a program's output is kept, per stream. */
const DEFAULT_OUTPUT_BYTES = 4 * 1024 * 1024;
/** How much of stderr an error quotes. */
const TAIL_CHARACTERS = 2000;

/** What can be started: a found tool, or any program with fixed arguments. */
export type Runnable = Pick<Tool, 'program' | 'args'>;

export interface RunOptions {
  /** Written to stdin, then stdin ends. The place for a password: argv can be read by everyone on the host. */
  readonly input?: string | Uint8Array;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
  /** Bound of each of stdout and stderr; more is an error. */
  readonly maxOutputBytes?: number;
  /** Exit codes beside 0 that are an answer, too. */
  readonly answers?: readonly number[];
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and gives back what it printed. Never pass a secret in `args`.
 * @throws refused (another exit code than 0 and `answers`), unavailable (timeout, killed), config (cannot be started);
 *   the signal's own reason where it was aborted
 */
export async function runTool(
  tool: Runnable,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const result = await execa(tool.program, [...tool.args, ...args], executionOptions(options));
  const answered = result.exitCode !== undefined && (options.answers ?? []).includes(result.exitCode);
  if (!result.failed || answered) return { stdout: result.stdout, stderr: result.stderr };
  options.signal?.throwIfAborted();
  throw runError(tool, result, options.timeoutMs);
}

function executionOptions(options: RunOptions) {
  return {
    reject: false,
    encoding: 'utf8',
    stripFinalNewline: false,
    timeout: options.timeoutMs,
    maxBuffer: options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  } satisfies Options;
}

interface FailedRun {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  readonly stderr: string;
  readonly code?: string | undefined;
}

function runError(tool: Runnable, run: FailedRun, timeoutMs: number): AppError {
  const tail = run.stderr.slice(-TAIL_CHARACTERS).trim();
  const said = tail === '' ? 'It printed nothing on stderr.' : `It printed: ${tail}`;
  const facts = {
    program: tool.program,
    exitCode: run.exitCode ?? null,
    signal: run.signal ?? null,
    stderr: tail,
  };
  if (run.timedOut) {
    const message = `${tool.program} did not end within ${timeoutMs} ms and was stopped. ${said}`;
    return new AppError({ code: 'ToolTimedOut', kind: 'unavailable', message, facts });
  }
  if (run.isMaxBuffer) {
    const message = `${tool.program} printed more than is kept and was stopped; its answer is incomplete.`;
    return new AppError({ code: 'ToolOutputTooLarge', kind: 'refused', message, facts });
  }
  if (run.exitCode !== undefined) {
    const message = `${tool.program} ended with exit code ${run.exitCode}. ${said}`;
    return new AppError({ code: 'ToolFailed', kind: 'refused', message, facts });
  }
  if (run.signal !== undefined) {
    const message = `${tool.program} was ended by ${run.signal}. ${said}`;
    return new AppError({ code: 'ToolKilled', kind: 'unavailable', message, facts });
  }
  const message = `${tool.program} could not be started (${run.code ?? 'unknown reason'}).`;
  return new AppError({ code: 'ToolNotStarted', kind: 'config', message, facts });
}
