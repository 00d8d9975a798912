import { AppError, type ErrorKind, EXIT_CODES } from '../../domain/errors.ts';

/** What was found out about one part. A warning works, but not as well as it could. */
export type CheckFinding =
  | { readonly status: 'ok'; readonly part: string; readonly message: string }
  | { readonly status: 'warning'; readonly part: string; readonly message: string; readonly hint: string }
  | {
      readonly status: 'failed';
      readonly part: string;
      readonly message: string;
      readonly hint: string;
      readonly kind: ErrorKind;
      readonly code: string;
    };

export function ok(part: string, message: string): CheckFinding {
  return { status: 'ok', part, message };
}

export function warning(part: string, message: string, hint: string): CheckFinding {
  return { status: 'warning', part, message, hint };
}

export function failed(
  part: string,
  code: string,
  kind: ErrorKind,
  message: string,
  hint: string,
): CheckFinding {
  return { status: 'failed', part, code, kind, message, hint };
}

/** A finding from an error that says all there is to say. */
export function failedBy(part: string, error: AppError): CheckFinding {
  return failed(part, error.code, error.kind, error.message, error.hint ?? '');
}

/** Runs a check whose AppErrors are findings, too; anything else is a bug and passes on. */
export async function findingsOf(
  part: string,
  check: () => Promise<readonly CheckFinding[]>,
): Promise<readonly CheckFinding[]> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof AppError) return [failedBy(part, error)];
    throw error;
  }
}

/** Kinds from the worst down: what decides the exit code where several things fail. */
const WORST_FIRST: readonly ErrorKind[] = [
  'bug',
  'corrupt',
  'conflict',
  'refused',
  'config',
  'unavailable',
  'usage',
];

/** Exit code of the worst of several kinds; 0 for none. */
export function worstExit(kinds: readonly ErrorKind[]): number {
  const worst = WORST_FIRST.find((kind) => kinds.includes(kind));
  return worst === undefined ? 0 : EXIT_CODES[worst];
}

/** Exit code of findings: that of the worst failure; warnings alone are 0. */
export function exitOf(findings: readonly CheckFinding[]): number {
  return worstExit(findings.flatMap((finding) => (finding.status === 'failed' ? [finding.kind] : [])));
}
