import { createHash } from 'node:crypto';
import type { Sha256 } from '../domain/identity.ts';
import type { ScanReport, ScanVisitor } from './facts.ts';
import { readFileChunks } from './file-chunks.ts';
import { type BinlogProblem, errorOf, problemOf } from './problem.ts';
import { BinlogScanner } from './scanner.ts';

export interface ScanOptions {
  readonly visitor?: ScanVisitor;
  /** Whether SHA-256 of all bytes is computed, which takes as long as the scan itself; it is by default. */
  readonly digest?: 'sha256' | 'none';
}

/**
 * Scans a stream of bytes to its end and reports, with the SHA-256 of all bytes. Corruption is
 * reported in `problems`; the counts are then those up to it. @throws what the stream throws
 */
export async function scanStream(
  input: AsyncIterable<Uint8Array>,
  options: ScanOptions & { /** Name for messages. */ readonly file: string },
): Promise<ScanReport> {
  const scanner = new BinlogScanner(options);
  const hash = options.digest === 'none' ? null : createHash('sha256');
  let problem: BinlogProblem | null = null;
  let lengthBytes = 0;
  for await (const chunk of input) {
    lengthBytes += chunk.length;
    hash?.update(chunk);
    problem ??= scanChunk(scanner, chunk);
  }
  const report = problem === null ? scanner.end() : scanner.report([problem]);
  return { ...report, lengthBytes, sha256: hash === null ? null : (hash.digest('hex') as Sha256) };
}

function scanChunk(scanner: BinlogScanner, chunk: Uint8Array): BinlogProblem | null {
  try {
    scanner.push(chunk);
    return null;
  } catch (error) {
    const problem = problemOf(error);
    if (problem === null) throw error;
    return problem;
  }
}

/** Scans a file as `scanStream` does. @throws refused where there is no such file, unavailable where it cannot be read */
export async function scanFile(path: string, options: ScanOptions = {}): Promise<ScanReport> {
  return scanStream(readFileChunks(path), { file: path, ...options });
}

/** Throws the first problem of a report, where it has one. @throws corrupt */
export function requireSound(report: ScanReport): void {
  const [first] = report.problems;
  if (first !== undefined) throw errorOf(first);
}
