import { CommanderError } from 'commander';
import { AppError, type ErrorFacts, type ErrorKind, EXIT_CODES } from '../domain/errors.ts';

/** Exit codes beside those of errors: 128 and the number of the signal. */
export const EXIT_INTERRUPTED = 130;
export const EXIT_TERMINATED = 143;
/** The reader of stdout has gone: what a shell reports for SIGPIPE. */
export const EXIT_BROKEN_PIPE = 141;

/** An error as programs read it on stdout. */
export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly kind: ErrorKind | 'interrupted';
    readonly message: string;
    readonly hint: string | null;
    readonly facts: ErrorFacts;
  };
}

/** What is said of an error, and how the process ends. */
export type Ending =
  | { readonly kind: 'done'; readonly exitCode: number }
  | {
      readonly kind: 'failed';
      readonly exitCode: number;
      readonly document: ErrorDocument;
      readonly words: readonly string[];
    };

/** The reason with which a signal aborts what runs. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`);
    this.name = 'Interrupted';
    this.exitCode = signal === 'SIGINT' ? EXIT_INTERRUPTED : EXIT_TERMINATED;
  }
}

/** Decides how the process ends after an error; `signal` tells whether someone asked it to stop. Pure. */
export function endingOf(error: unknown, signal: AbortSignal): Ending {
  if (signal.aborted && signal.reason instanceof Interrupted) return interrupted(signal.reason);
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? { kind: 'done', exitCode: 0 } : failed(usageError(error));
  }
  return failed(error instanceof AppError ? error : unexpected(error));
}

function failed(error: AppError): Ending {
  const { code, kind, message, hint, facts } = error;
  return {
    kind: 'failed',
    exitCode: EXIT_CODES[kind],
    document: { error: { code, kind, message, hint: hint ?? null, facts } },
    words: [
      `pitrail: ${message}`,
      ...(hint === undefined ? [] : [`  hint: ${hint}`]),
      ...causesOf(error).map((cause) => `  cause: ${cause}`),
    ],
  };
}

function interrupted(reason: Interrupted): Ending {
  const message = `${reason.message}; what was done stays done, and the same command goes on from there.`;
  const facts = { exitCode: reason.exitCode };
  return {
    kind: 'failed',
    exitCode: reason.exitCode,
    document: { error: { code: 'Interrupted', kind: 'interrupted', message, hint: null, facts } },
    words: [`pitrail: ${message}`],
  };
}

/** What Temporal wraps an error in says only that there is one inside. */
const WRAPPINGS: ReadonlySet<string> = new Set([
  'Workflow execution failed',
  'Workflow Update failed',
  'Child Workflow execution failed',
  'Activity task failed',
]);

/** Messages of the causes, outermost first; a bug shows its stack, because only that tells where. */
function causesOf(error: AppError): string[] {
  const causes: string[] = [];
  let cause: unknown = error.cause;
  while (cause instanceof Error && causes.length < 5) {
    causes.push(error.kind === 'bug' ? (cause.stack ?? cause.message) : cause.message);
    cause = cause.cause;
  }
  return causes.filter((text) => text !== '' && !WRAPPINGS.has(text) && !error.message.includes(text));
}

function unexpected(error: unknown): AppError {
  const message = error instanceof Error ? error.message : String(error);
  return new AppError({
    code: 'Unexpected',
    kind: 'bug',
    message: `This is a bug in pitrail: ${message}. The command did not finish.`,
    hint: 'Please report it with the lines below. Nothing that was archived is lost by it.',
    cause: error instanceof Error ? error : undefined,
  });
}

function usageError(error: CommanderError): AppError {
  const [first = '', ...rest] = error.message.split('\n');
  const suggestion = rest
    .join(' ')
    .trim()
    .replace(/^\(|\)$/g, '');
  return new AppError({
    code: 'BadUsage',
    kind: 'usage',
    message: `${first.replace(/^error: /, '').replace(/\.$/, '')}; nothing was done.`,
    hint:
      suggestion === ''
        ? '"pitrail help" lists the commands, "pitrail help COMMAND" the options of one.'
        : suggestion,
    facts: { reason: error.code },
  });
}
