import { open } from 'node:fs/promises';
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
export function peekLog(path: string, name: string): Promise<PeekResult> {
  return peekChunks(chunksOf(path), name);
}

/** Reads the beginning of a binlog that comes in chunks, and leaves the rest. @throws what the chunks throw */
export async function peekChunks(chunks: AsyncIterable<Uint8Array>, name: string): Promise<PeekResult> {
  const watch = new HeadWatch();
  const scanner = new BinlogScanner({ file: name, visitor: watch });
  try {
    for await (const chunk of chunks) if (!goesOn(scanner, chunk)) break;
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
  };
  return { kind: 'readable', peek };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** False once all is known. */
function goesOn(scanner: BinlogScanner, chunk: Uint8Array): boolean {
  try {
    scanner.push(chunk);
    return true;
  } catch (error) {
    if (!(error instanceof SeenEnough)) throw error;
    return false;
  }
}

class HeadWatch {
  firstCommit: string | null = null;

  event({ transaction }: EventFact): void {
    if (transaction === null) return;
    const at = transaction.gtidEvent.committedAtMicros;
    this.firstCommit = at === null ? null : formatInstant(at);
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
