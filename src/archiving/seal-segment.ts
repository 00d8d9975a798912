import { stat } from 'node:fs/promises';
import type { ScanReport } from '../binlog/facts.ts';
import { readFileChunks } from '../binlog/file-chunks.ts';
import { type BinlogProblem, problemOf } from '../binlog/problem.ts';
import { BinlogScanner } from '../binlog/scanner.ts';
import { toSegmentFacts } from '../binlog/segment-facts.ts';
import type { AppError } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import { segmentKey } from '../domain/object-keys.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import { judgeClosed } from '../domain/segment-judgement.ts';
import { parseInstant } from '../domain/time.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { freeSealed, type SealResult, seal } from '../envelope/seal.ts';
import { BLOCK_BYTES, BLOCKS_IN_FLIGHT } from '../envelope/zstd-params.ts';
import { faultPoint } from '../process/fault.ts';
import { removeIfThere, writeWhole } from '../process/files.ts';
import { isSealedFor, readFacts, type SealedSegment, sealerOf, writeFacts } from './facts-file.ts';
import { proveSealed } from './prove-sealed.ts';
import { logChanged, segmentRefused } from './refusals.ts';
import { segmentContext } from './seal-context.ts';
import { assertRoom } from './stage.ts';
import { type LogRef, type StagedFiles, stagedFiles } from './staging.ts';

/** A sealed log, and whether this very call made it or found it made before. */
export interface SealOutcome extends SealedSegment {
  readonly made: 'now' | 'before';
}

export interface SealSegmentOptions {
  readonly stagingDir: string;
  readonly log: LogRef;
  /** PREVIOUS_GTIDS of the log after it; proves the end of a log that a crash left without one. */
  readonly nextPreviousGtids: string | null;
  readonly repositoryId: RepositoryId;
  readonly key: EnvelopeKey;
  /** zstd level. */
  readonly level: number;
  readonly signal: AbortSignal;
  /** Called with the bytes of the log that were read so far. */
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Reads a staged log once: every checksum, its facts, its digest, and the sealed file that goes to
 * the stores, which is opened again and compared. What is sealed already, for this repository and with
 * this key, is found again. A crash leaves a partial file, or a sealed file without facts, which the next
 * try overwrites.
 *
 * @throws corrupt (file, offset, event in the facts) or refused where the log itself cannot be
 *   archived; unavailable where it changed under our hands, there is no room, or it did not open (`SealUnproven`)
 */
export async function sealSegment(options: SealSegmentOptions): Promise<SealOutcome> {
  const files = stagedFiles(options.stagingDir, options.log);
  const done = await readFacts(files.facts);
  if (done !== undefined && isSealedFor(done, options)) return { ...done, made: 'before' };
  // They vouch for a file that is about to be replaced.
  await removeIfThere(files.facts);
  await assertRoom(files.sealed, options.log.lengthBytes);
  const { report, result } = await sealUnchanged(files, options);
  const segment = describe(report, options);
  const sealed: SealedSegment = {
    segment,
    object: describeObject(segment, result, options.key),
    repositoryId: options.repositoryId,
    sealedWith: sealerOf(options.key),
  };
  await proveSealed(sealed, options);
  await writeFacts(files.facts, sealed);
  faultPoint('archive.sealed');
  return { ...sealed, made: 'now' };
}

/** A link shares its file with the server: one that changed under our hands is looked at anew, not called corrupt. */
async function sealUnchanged(files: StagedFiles, options: SealSegmentOptions): Promise<SealedFile> {
  const { log } = options;
  try {
    const sealed = await sealFile(files.log, files.sealed, options);
    await assertLength(files.log, log);
    return sealed;
  } catch (error) {
    await assertLength(files.log, log);
    throw error;
  }
}

async function assertLength(path: string, log: LogRef): Promise<void> {
  const { size } = await stat(path);
  if (size !== log.lengthBytes) throw logChanged(log, `${size} bytes now, ${log.lengthBytes} listed`);
}

interface SealedFile {
  readonly report: ScanReport;
  readonly result: SealResult;
}

async function sealFile(from: string, to: string, options: SealSegmentOptions): Promise<SealedFile> {
  const { log, key, level, signal, repositoryId } = options;
  const scanner = new BinlogScanner({ file: log.binlog });
  let doneBytes = 0;
  const blocks = readFileChunks(from, { chunkBytes: BLOCK_BYTES, buffers: BLOCKS_IN_FLIGHT + 1, signal });
  const { output, result } = seal(blocks, {
    key,
    level,
    signal,
    context: segmentContext(log, repositoryId),
    onPlaintext: (chunk) => {
      scan(scanner, chunk, log);
      doneBytes += chunk.length;
      options.onProgress(doneBytes);
    },
  });
  const free = freeSealed(key);
  await writeWhole(to, async (file) => {
    for await (const chunk of output) {
      await file.appendFile(chunk);
      free(chunk);
    }
  });
  const report = scanner.end();
  const [problem] = report.problems;
  if (problem !== undefined) throw binlogCorrupt(log, problem);
  const sealed = await result;
  return { report: { ...report, sha256: sealed.plaintextSha256 }, result: sealed };
}

function scan(scanner: BinlogScanner, chunk: Uint8Array, log: LogRef): void {
  try {
    scanner.push(chunk);
  } catch (error) {
    const problem = problemOf(error);
    throw problem === null ? error : binlogCorrupt(log, problem);
  }
}

function binlogCorrupt(log: LogRef, problem: BinlogProblem): AppError {
  const event = problem.eventType === null ? '' : ` (${problem.eventType})`;
  return segmentRefused(log, {
    code: 'BinlogCorrupt',
    kind: 'corrupt',
    message: `${log.binlog} at offset ${problem.offset}${event}: ${problem.reason}. It is not archived, and no later log of its timeline either.`,
    hint: 'Compare the file with another copy. Put a whole one in its place and retry, or accept the gap and take a base backup.',
    facts: { ...problem },
  });
}

function describe(report: ScanReport, options: SealSegmentOptions): SegmentFacts {
  const { log, nextPreviousGtids } = options;
  const closed = judgeClosed({
    position: 'followed',
    listedSize: log.lengthBytes,
    actualLength: report.lengthBytes,
    endsIn: report.closedBy ?? 'neither',
    ownPrevious: report.previousGtids?.toString() ?? '',
    ownGtids: report.gtids.toString(),
    successorPrevious: nextPreviousGtids,
  });
  if (closed.kind === 'closed') {
    return toSegmentFacts(report, {
      serverUuid: log.serverUuid,
      binlog: log.binlog,
      closedBy: closed.closedBy,
    });
  }
  throw segmentRefused(log, {
    code: 'BinlogNotClosed',
    kind: 'corrupt',
    message: `${log.binlog} cannot be archived: ${closed.detail} Restore targets in it would be guesses.`,
    hint: 'Compare the file with the server. Retry it when it is whole, or accept the gap.',
    facts: { reason: closed.reason },
  });
}

function describeObject(segment: SegmentFacts, result: SealResult, key: EnvelopeKey): StoredObject {
  const encryption = key.kind === 'none' ? 'none' : 'aws-encryption-sdk';
  const { serverUuid, binlog, createdAt, sha256 } = segment;
  return {
    key: segmentKey(serverUuid, binlog, parseInstant(createdAt), sha256, encryption),
    lengthBytes: result.storedBytes,
    sha256: result.storedSha256,
    crc32: result.storedCrc32,
    compression: 'zstd',
    encryption,
  };
}
