import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../domain/errors.ts';
import type { BinaryLog } from '../mysql/facts.ts';
import { isCode } from '../process/files.ts';
import { type LogPeek, type PeekResult, peekLog } from './peek.ts';
import { listingChanged } from './refusals.ts';

/** One log as the server lists it, with what its file says. */
export interface SourceLog {
  readonly name: string;
  readonly sizeBytes: number;
  readonly encrypted: boolean;
  /** Null where the beginning is encrypted, or cannot be understood (then `problem` says why). */
  readonly peek: LogPeek | null;
  readonly problem: AppError | null;
}

/** Heads of files that were read, by what makes a file another one. Bounded by what servers keep. */
const MAX_CACHED = 20_000;

/** Remembers the beginnings of closed logs, which never change, so that a round reads only new ones. */
export class PeekCache {
  readonly #known = new Map<string, PeekResult>();

  /** Reads the beginning of a closed log, or remembers it. @throws the system's error */
  async closed(path: string, name: string): Promise<PeekResult> {
    const { dev, ino, size, mtimeMs } = await stat(path);
    const id = `${name}|${dev}|${ino}|${size}|${mtimeMs}`;
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const found = await peekLog(path, name);
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(id, found);
    return found;
  }
}

/**
 * Reads the beginning of every listed log. A log that vanished since the listing is left out: it
 * was purged, and the next log's PREVIOUS_GTIDS tell what is lost with it.
 *
 * @throws refused `WrongBinlogDir` where a listed file is not there, or has another size;
 *   unavailable `BinlogsChanged` where the server replaced its logs meanwhile
 */
export async function readSourceLogs(
  binlogDir: string,
  listed: readonly BinaryLog[],
  cache: PeekCache,
  relist: () => Promise<ReadonlyMap<string, number>>,
): Promise<SourceLog[]> {
  const logs: SourceLog[] = [];
  for (const [index, log] of listed.entries()) {
    const place = index === listed.length - 1 ? 'open' : 'closed';
    try {
      logs.push(await readOne(binlogDir, log, place, cache));
    } catch (error) {
      const what = mismatchOf(error);
      if (what === null) throw error;
      const sizeNow = (await relist()).get(log.name);
      if (sizeNow === undefined) continue;
      if (sizeNow !== log.sizeBytes) throw listingChanged(log.name);
      throw wrongDir(binlogDir, log.name, what);
    }
  }
  return logs;
}

async function readOne(
  binlogDir: string,
  log: BinaryLog,
  place: 'open' | 'closed',
  cache: PeekCache,
): Promise<SourceLog> {
  const path = join(binlogDir, log.name);
  const { name, sizeBytes, encrypted } = log;
  if (encrypted) return { name, sizeBytes, encrypted, peek: null, problem: null };
  if (place === 'closed') await assertSize(binlogDir, log);
  const found = place === 'closed' ? await cache.closed(path, name) : await peekLog(path, name);
  return found.kind === 'readable'
    ? { name, sizeBytes, encrypted, peek: found.peek, problem: null }
    : { name, sizeBytes, encrypted, peek: null, problem: found.error };
}

/** A file that is not as long as its line in SHOW BINARY LOGS. */
class SizeDiffers extends Error {}

async function assertSize(binlogDir: string, log: BinaryLog): Promise<void> {
  const { size } = await stat(join(binlogDir, log.name));
  if (size === log.sizeBytes) return;
  throw new SizeDiffers(`the file has ${size} bytes where the server lists ${log.sizeBytes}`);
}

/** How a file differs from its line in the listing; null for any other error. */
function mismatchOf(error: unknown): string | null {
  if (error instanceof SizeDiffers) return error.message;
  return isCode(error, 'ENOENT') ? 'the file is not there' : null;
}

function wrongDir(binlogDir: string, name: string, what: string): AppError {
  return new AppError({
    code: 'WrongBinlogDir',
    kind: 'refused',
    message: `${binlogDir} does not hold the binlogs of this server (${name}: ${what}), so nothing is archived from there.`,
    hint: 'Set binlogDir to the folder of SELECT @@log_bin_basename, on the host where the worker runs.',
    facts: { binlogDir, binlog: name },
  });
}
