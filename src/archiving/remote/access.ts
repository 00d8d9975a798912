import type { RemoteSource } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import type { BinlogName } from '../../domain/identity.ts';
import { isNotServed } from '../../mysql/dump/errors.ts';
import type { BinaryLog } from '../../mysql/facts.ts';
import { removeIfThere } from '../../process/files.ts';
import type { HeadsWanted, LogAccess, StageRun } from '../log-access.ts';
import type { SourceLog } from '../source-logs.ts';
import { type LogRef, stagedFiles } from '../staging.ts';
import { STAGING_FACTOR } from '../staging-room.ts';
import { stagedPeek } from '../successor.ts';
import { fetchLog } from './fetch-log.ts';
import { RemoteHeads } from './heads.ts';
import type { OwnBytes } from './partial-log.ts';
import { peekRemote, type RemotePeek } from './peek.ts';
import type { ReadRemote } from './reader.ts';
import { archivedLines } from './remembered.ts';

/** Header of a log's file under `binlog_encryption=ON`, which its listed size counts. Source: sql/rpl_log_encryption.h. */
const ENCRYPTION_HEADER_BYTES = 512;
/** A log that its server does not give is asked for again after this: it may have been mended. */
const REFUSAL_MS = 10 * 60_000;

interface Refusal {
  readonly error: AppError;
  /** By `performance.now()`. */
  readonly untilMs: number;
}

/** The logs of a source that are read as a replica reads them. */
export class RemoteAccess implements LogAccess {
  readonly mode = 'remote';
  readonly stagingMaxBytes: number;
  readonly #stagingDir: string;
  readonly #read: ReadRemote;
  readonly #heads: RemoteHeads;
  /** Logs that the server refused to send, by name and length. */
  readonly #refused = new Map<string, Refusal>();
  readonly #own: OwnBytes = new Map();

  constructor(source: RemoteSource, read: ReadRemote, stagingMaxBytes: number) {
    this.#stagingDir = source.stagingDir;
    this.stagingMaxBytes = Math.min(stagingMaxBytes, source.stageAheadBytes * STAGING_FACTOR);
    this.#read = read;
    this.#heads = new RemoteHeads((log) => this.#peekListed(log));
  }

  async readHeads({ serverUuid, listed, relist, stores }: HeadsWanted): Promise<SourceLog[]> {
    const archived = stores.flatMap((state) => archivedLines(state, serverUuid));
    const logs = await this.#heads.read(listed.map(inTheClear), archived, relist);
    return logs.map((log) => this.#withRefusal(log));
  }

  async stage(logs: readonly LogRef[], { signal, onProgress }: StageRun): Promise<number> {
    const totalBytes = logs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    let doneBytes = 0;
    for (const [staged, log] of logs.entries()) {
      const before = doneBytes;
      try {
        await this.#fetch(log, signal, (bytes) => onProgress(before + bytes, totalBytes));
      } catch (error) {
        if (this.#isLooksMatter(log, error)) return staged;
        throw error;
      }
      doneBytes += log.lengthBytes;
    }
    return logs.length;
  }

  async successorGtids(successor: LogRef | null): Promise<string | null> {
    if (successor === null) return null;
    const staged = await stagedPeek(this.#stagingDir, successor);
    if (staged !== null) return staged.previousGtids;
    const found = await this.#peek(successor.binlog);
    const isSame = found.kind === 'readable' && found.peek.createdAt === successor.createdAt;
    return isSame ? found.peek.previousGtids : null;
  }

  dropDamaged(log: LogRef): Promise<void> {
    return removeIfThere(stagedFiles(this.#stagingDir, log).log);
  }

  read(log: LogRef, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#read(log.binlog, 0, signal);
  }

  #fetch(log: LogRef, signal: AbortSignal, onProgress: (doneBytes: number) => void): Promise<void> {
    return fetchLog({
      stagingDir: this.#stagingDir,
      log,
      signal,
      own: this.#own,
      onProgress,
      dump: (from) => this.#read(log.binlog, from, signal),
      peek: () => this.#peek(log.binlog),
    });
  }

  /** A log that the server refused is not asked for again at every look. */
  async #peekListed({ name, sizeBytes }: BinaryLog): Promise<RemotePeek> {
    const key = keyOf(name, sizeBytes);
    const refusal = this.#standingRefusal(key);
    if (refusal !== null) return { kind: 'corrupt', error: refusal };
    const found = await this.#peek(name);
    if (found.kind === 'corrupt' && isNotServed(found.error)) this.#remember(key, found.error);
    return found;
  }

  #peek(binlog: BinlogName): Promise<RemotePeek> {
    return peekRemote(this.#read, binlog);
  }

  /** True where the next look at the server says what is the matter. */
  #isLooksMatter(log: LogRef, error: unknown): boolean {
    if (!(error instanceof AppError)) return false;
    if (isNotServed(error)) {
      this.#remember(keyOf(log.binlog, log.lengthBytes), error);
      return true;
    }
    const isOther = ['BinlogNotOnServer', 'BinlogChanged', 'DumpEndedEarly'].includes(error.code);
    if (isOther) this.#heads.forget();
    return isOther;
  }

  #withRefusal(log: SourceLog): SourceLog {
    const refusal = this.#standingRefusal(keyOf(log.name, log.sizeBytes));
    return refusal === null ? log : { ...log, peek: null, problem: refusal };
  }

  #remember(key: string, error: AppError): void {
    this.#refused.set(key, { error, untilMs: performance.now() + REFUSAL_MS });
  }

  #standingRefusal(key: string): AppError | null {
    const refusal = this.#refused.get(key);
    if (refusal !== undefined && performance.now() < refusal.untilMs) return refusal.error;
    this.#refused.delete(key);
    return null;
  }
}

/** A dump gives the plaintext, whatever lies on the server's disk. */
function inTheClear({ name, sizeBytes, encrypted }: BinaryLog): BinaryLog {
  return { name, encrypted, sizeBytes: encrypted ? sizeBytes - ENCRYPTION_HEADER_BYTES : sizeBytes };
}

function keyOf(name: string, lengthBytes: number): string {
  return `${name}|${lengthBytes}`;
}
