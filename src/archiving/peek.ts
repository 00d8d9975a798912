import { open } from 'node:fs/promises';
import { EVENT } from '../binlog/event-types.ts';
import type { EventFact } from '../binlog/facts.ts';
import { problemOf } from '../binlog/problem.ts';
import { BinlogScanner } from '../binlog/scanner.ts';
import { AppError } from '../domain/errors.ts';
import { formatInstant } from '../domain/time.ts';

const CHUNK_BYTES = 64 * 1024;

/** What the beginning of a binlog says. */
export interface LogPeek {
  /** Header time of FORMAT_DESCRIPTION, RFC 3339. */
  readonly createdAt: string;
  /** Canonical. */
  readonly previousGtids: string;
  /** Commit time of the first transaction; null where none stands there. */
  readonly firstCommit: string | null;
  /** Where the first event after PREVIOUS_GTIDS begins. */
  readonly headBytes: number;
}

/** A log whose beginning cannot be understood. */
export type PeekResult =
  | { readonly kind: 'readable'; readonly peek: LogPeek }
  | { readonly kind: 'corrupt'; readonly error: AppError };

/** Thrown to the scanner to end it once all is known. */
class SeenEnough extends Error {}

/**
 * Reads the beginning of a binlog, up to its first transaction.
 * @throws the system's error where the file cannot be read
 */
export async function peekLog(path: string, name: string): Promise<PeekResult> {
  const watch = new HeadWatch();
  const scanner = new BinlogScanner({ file: name, visitor: watch });
  try {
    await pushUntilSeen(path, scanner, watch);
  } catch (error) {
    if (problemOf(error) === null) throw error;
    return { kind: 'corrupt', error: error as AppError };
  }
  const report = scanner.end();
  if (report.createdAt === null || report.previousGtids === null) {
    const [problem] = report.problems;
    return { kind: 'corrupt', error: headMissing(name, problem?.reason ?? 'it has no beginning') };
  }
  const peek = {
    createdAt: formatInstant(report.createdAt),
    previousGtids: report.previousGtids.toString(),
    firstCommit: watch.firstCommit,
    headBytes: watch.headBytes,
  };
  return { kind: 'readable', peek };
}

async function pushUntilSeen(path: string, scanner: BinlogScanner, watch: HeadWatch): Promise<void> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; !watch.done; ) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      scanner.push(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    if (!(error instanceof SeenEnough)) throw error;
  } finally {
    await file.close();
  }
}

class HeadWatch {
  firstCommit: string | null = null;
  headBytes = 0;
  done = false;

  event({ frame, transaction }: EventFact): void {
    if (frame.type === EVENT.PREVIOUS_GTIDS) this.headBytes = frame.endOffset;
    if (transaction === null) return;
    const at = transaction.gtidEvent.committedAtMicros;
    this.firstCommit = at === null ? null : formatInstant(at);
    this.done = true;
    throw new SeenEnough();
  }
}

function headMissing(name: string, reason: string): AppError {
  return new AppError({
    code: 'BinlogCorrupt',
    kind: 'corrupt',
    message: `${name} has no readable beginning: ${reason}. Nothing in it can be placed.`,
    hint: 'Compare the file with the one on the server.',
    facts: { file: name, offset: 0, reason },
  });
}
