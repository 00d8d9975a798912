/**
 * The one error type of pitrail. `kind` decides the exit code and whether a retry can help;
 * `code` is stable and may be matched by programs.
 */
export type ErrorKind = 'usage' | 'config' | 'refused' | 'corrupt' | 'conflict' | 'unavailable' | 'bug';

/** Exit code of the process for each kind of error (sysexits.h where it has one). */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  usage: 64,
  config: 78,
  refused: 3,
  corrupt: 4,
  conflict: 5,
  unavailable: 75,
  bug: 70,
};

/** Values that describe an error; they travel as JSON, so no bigint, no Map, no secret. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export interface AppErrorInit {
  /** Stable name in PascalCase, such as `BinlogPurged`. */
  readonly code: string;
  readonly kind: ErrorKind;
  /** The fact and its consequence, in a sentence or two. */
  readonly message: string;
  /** What the reader can do about it. */
  readonly hint?: string;
  readonly facts?: ErrorFacts;
  readonly cause?: unknown;
}

/** An error that says the fact, the consequence and what to do. */
export class AppError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly facts: ErrorFacts;

  constructor(init: AppErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'AppError';
    this.code = init.code;
    this.kind = init.kind;
    this.hint = init.hint;
    this.facts = init.facts ?? {};
  }
}

/** True where trying again may help: only `unavailable` is retried. */
export function isRetryable(kind: ErrorKind): boolean {
  return kind === 'unavailable';
}

/** Fails the build where a closed union is not handled whole; at run time it is a bug. */
export function assertNever(value: never): never {
  throw new AppError({
    code: 'UnhandledCase',
    kind: 'bug',
    message: `A value outside its closed union reached a decision: ${JSON.stringify(value)}`,
  });
}
