import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { problemOf } from '../../binlog/problem.ts';
import { AppError } from '../../domain/errors.ts';
import { isNotServed } from '../../mysql/dump/errors.ts';
import { faultPoint } from '../../process/fault.ts';
import { fileSize, isCode, removeIfThere, syncPath } from '../../process/files.ts';
import { logChanged } from '../refusals.ts';
import { assertRoom, verifyStaged } from '../stage.ts';
import { ensureStagingDir, type LogRef, stagedFiles } from '../staging.ts';
import { type OwnBytes, PartialLog, type SoundPart } from './partial-log.ts';
import type { RemotePeek } from './peek.ts';

/** Bytes that are written at once. */
const BATCH_BYTES = 1024 * 1024;
/** Two reads that agree on a damage prove that it is the server's; a line that damages each read otherwise is given up. */
const MAX_READS = 5;

export interface FetchOptions {
  readonly stagingDir: string;
  readonly log: LogRef;
  readonly signal: AbortSignal;
  /** Kept by the caller from one try to the next. */
  readonly own: OwnBytes;
  /** Reads the log from the server, from where an event begins; 0 for the whole. */
  readonly dump: (from: number) => AsyncIterable<Uint8Array>;
  /** Reads the beginning of what the server has under the log's name now. */
  readonly peek: () => Promise<RemotePeek>;
  /** Called with the bytes that are there. */
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Reads a closed log from its server into the staging folder, byte for byte as the server's file is in the clear. A
 * log that is staged already is left as it is. What an earlier try brought is kept up to its last sound event, and
 * only the rest is read. A crash leaves the part, as `{stem}.fetch`.
 *
 * @throws unavailable `BinlogChanged` (not the log that was listed), `BinlogNotOnServer`, `StagingFull`, `DiskFull`,
 *   what the dump throws
 */
export async function fetchLog(options: FetchOptions): Promise<void> {
  const { stagingDir, log } = options;
  const staged = stagedFiles(stagingDir, log).log;
  const path = stagedFiles(stagingDir, log).fetched;
  await ensureStagingDir(stagingDir, log.serverUuid);
  if ((await fileSize(staged)) === null) {
    await assertRoom(path, log.lengthBytes - ((await fileSize(path)) ?? 0));
    await complete(path, options);
    await moveTo(staged, path, log);
    options.own.delete(path);
  }
  await verifyStaged(staged, log);
  faultPoint('archive.staged');
}

/** Makes the part whole. One that cannot become this log is removed. */
async function complete(path: string, options: FetchOptions): Promise<void> {
  const partial = await PartialLog.open(path, options.own);
  try {
    await readUntilSound(partial, options);
    await partial.settle(options.log.lengthBytes);
  } catch (error) {
    const isLost = error instanceof AppError && ['BinlogChanged', 'DiskFull'].includes(error.code);
    if (isLost) {
      options.own.delete(path);
      await removeIfThere(path);
    }
    throw error;
  } finally {
    await partial.close();
  }
}

/**
 * Reads until every event is right. A damaged one is read again: where the second read gives the very same, the
 * damage is in the server's file, and the log is taken as it is, for sealing names what is wrong with it.
 */
async function readUntilSound(partial: PartialLog, options: FetchOptions): Promise<void> {
  const { log } = options;
  let damage: string | null = null;
  let isServers = false;
  for (let reads = 1; ; reads += 1) {
    const { border, scanner } = await partial.soundPart(log.binlog);
    try {
      return await receive(partial, { border, scanner: isServers ? null : scanner }, options);
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null) throw error;
      if (reads === MAX_READS) throw damagedOnTheWay(log, error);
      const found = `${problem.code} ${problem.offset} ${problem.reason}`;
      isServers = found === damage;
      damage = found;
    }
  }
}

/** Where reading goes on, and what looks at the bytes; null lets them pass. */
interface Reading {
  readonly border: number;
  readonly scanner: SoundPart['scanner'] | null;
}

async function receive(
  partial: PartialLog,
  { border, scanner }: Reading,
  options: FetchOptions,
): Promise<void> {
  const { log, dump, onProgress } = options;
  if (border === log.lengthBytes) return;
  const batch = new Batch(partial, border);
  let at = border;
  try {
    for await (const chunk of dump(border)) {
      scanner?.push(chunk);
      at += chunk.length;
      if (at > log.lengthBytes) throw logChanged(log, `it goes on behind its ${log.lengthBytes} bytes`);
      if (await batch.add(chunk)) onProgress(at);
      if (at === log.lengthBytes) break;
    }
  } catch (error) {
    // What came is worth keeping where the line broke.
    if (problemOf(error) === null) await batch.write();
    // A server calls its file damaged also where the place is no border in it, for it is another file.
    if (border > 0 && isNotServed(error)) await assertSameLog(options);
    throw error;
  }
  await batch.write();
  onProgress(at);
  if (at < log.lengthBytes) throw logChanged(log, `it ends at ${at}, and ${log.lengthBytes} were listed`);
  if (border > 0) await assertSameLog(options);
}

/** Chunks that are written together. */
class Batch {
  readonly #partial: PartialLog;
  #at: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(partial: PartialLog, at: number) {
    this.#partial = partial;
    this.#at = at;
  }

  /** Takes a chunk; true where the batch was written with it. */
  async add(chunk: Uint8Array): Promise<boolean> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < BATCH_BYTES) return false;
    await this.write();
    return true;
  }

  async write(): Promise<void> {
    await this.#partial.write(this.#chunks, this.#at);
    this.#at += this.#bytes;
    this.#chunks = [];
    this.#bytes = 0;
  }
}

/**
 * The rest came on another connection than the beginning. A name never goes back to a file that had it before, so
 * what stands under it now, and is the log that was listed, stood there all the time. Where the server purged it
 * meanwhile, nothing else had its name: the log is whole, and would be lost.
 */
async function assertSameLog({ log, peek }: FetchOptions): Promise<void> {
  const found = await peek();
  if (found.kind === 'gone') return;
  const isSame =
    found.kind === 'readable' &&
    found.peek.createdAt === log.createdAt &&
    found.peek.firstCommit === log.firstCommit;
  if (!isSame) throw logChanged(log, 'another log stands under its name now');
}

async function moveTo(staged: string, path: string, log: LogRef): Promise<void> {
  try {
    await rename(path, staged);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
    // Another process that fetched the same was faster; what it made is verified like our own.
    if ((await fileSize(staged)) === null) throw logChanged(log, 'what was read of it was removed');
  }
  await syncPath(dirname(staged));
}

function damagedOnTheWay(log: LogRef, cause: unknown): AppError {
  return new AppError({
    code: 'DumpDamaged',
    kind: 'unavailable',
    message: `${log.binlog} came damaged ${MAX_READS} times, each time otherwise, so the line changes bytes; nothing of it was taken.`,
    hint: 'Use TLS to the server, and look for what stands between.',
    facts: { binlog: log.binlog, serverUuid: log.serverUuid },
    cause,
  });
}
