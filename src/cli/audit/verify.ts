import { AppError } from '../../domain/errors.ts';
import { verifyAudit } from '../../telemetry/audit.ts';
import { type AuditHead, headBehind } from '../../telemetry/audit-line.ts';
import type { TornLine } from '../../telemetry/audit-walk.ts';

/** What is said of one audit log. */
export type VerifiedAudit =
  | {
      readonly status: 'whole';
      readonly file: string;
      /** Entries, those that note a cut line among them. */
      readonly lines: number;
      /** `sequence:SHA-256` of the last entry; null where there is none. */
      readonly head: string | null;
      /** Numbers of the lines that hold a cut line, and behind it the entry that says so. */
      readonly mended: readonly number[];
    }
  | { readonly status: 'broken'; readonly file: string; readonly error: AppError };

export interface VerifyAuditOptions {
  /** An entry that must be there; null where nothing is known of it. */
  readonly expected: AuditHead | null;
  /** What a file is that does not exist. */
  readonly missing: 'allowed' | 'refused';
}

const HEAD = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/;

/** Parses what `audit verify` prints as the head of a log. @throws usage */
export function parseHead(text: string): AuditHead {
  const [, sequence, sha256] = HEAD.exec(text) ?? [];
  if (sequence !== undefined && sha256 !== undefined) return { sequence: Number(sequence), sha256 };
  throw new AppError({
    code: 'BadAuditHead',
    kind: 'usage',
    message: `${JSON.stringify(text)} is not the head of an audit log; nothing was verified.`,
    hint: 'A head is written as "pitrail audit verify" prints it: 12:SHA-256 in 64 hexadecimal digits.',
    facts: { head: text },
  });
}

/** Verifies one audit log; what is wrong with it is a result. @throws unavailable */
export async function verifyAuditFile(file: string, options: VerifyAuditOptions): Promise<VerifiedAudit> {
  const { expected, missing } = options;
  let found = expected === null;
  try {
    const { head, torn, mended } = await verifyAudit(file, (line) => {
      const at = headBehind(line);
      found ||= at.sequence === expected?.sequence && at.sha256 === expected.sha256;
    });
    if (torn !== null) return { status: 'broken', file, error: cutAtEnd(file, torn) };
    if (head.sha256 === null && missing === 'refused') return { status: 'broken', file, error: noLog(file) };
    if (!found && expected !== null) return { status: 'broken', file, error: headGone(file, expected, head) };
    const printed = head.sha256 === null ? null : `${head.sequence}:${head.sha256}`;
    return { status: 'whole', file, lines: head.sequence, head: printed, mended };
  } catch (error) {
    if (error instanceof AppError && error.kind === 'corrupt') return { status: 'broken', file, error };
    throw error;
  }
}

function cutAtEnd(file: string, { line, lengthBytes }: TornLine): AppError {
  return new AppError({
    code: 'AuditTorn',
    kind: 'corrupt',
    message: `${file} ends in a cut line (line ${line}, ${lengthBytes} bytes): a crash left it, or somebody cut it off there. The lines before it are whole.`,
    hint: 'The next entry notes the cut and goes on behind it. If nothing crashed, find out who changed the file.',
    facts: { file, line, lengthBytes },
  });
}

function noLog(file: string): AppError {
  return new AppError({
    code: 'AuditMissing',
    kind: 'refused',
    message: `${file} does not exist or is empty, so there was nothing to verify.`,
    facts: { file },
  });
}

function headGone(file: string, expected: AuditHead, head: AuditHead): AppError {
  return new AppError({
    code: 'AuditRolledBack',
    kind: 'corrupt',
    message: `${file} holds no entry ${expected.sequence} with the digest that was noted (its chain ends at ${head.sequence}): it was cut off or written anew since.`,
    hint: 'Keep it for whoever looks into it, and compare with a copy.',
    facts: { file, line: Math.min(expected.sequence, head.sequence + 1), expected: expected.sha256 },
  });
}
