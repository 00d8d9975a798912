import type { BinlogName } from '../../domain/identity.ts';
import type { BinaryLog } from '../../mysql/facts.ts';
import type { LogPeek, PeekResult } from '../peek.ts';
import { listingChanged } from '../refusals.ts';
import type { SourceLog } from '../source-logs.ts';
import type { RemotePeek } from './peek.ts';
import { compareWithLine, type RememberedLine, type RememberedLog, recall } from './remembered.ts';

/** Connections that read beginnings at once. */
const MAX_AT_ONCE = 4;
/** Looks that broke off, whose findings are kept; a look that ends replaces them. */
const MAX_LINES = 8;

/** A listed log and what became of the look at it. */
interface Seen {
  readonly log: BinaryLog;
  readonly found: RemotePeek;
}

/**
 * Reads the beginnings of logs that only their server has. Each costs a connection, so a log is read once: what was
 * read before, in this process or by whoever archived it, is taken again as soon as a newer log of the same line is
 * read and found to be the same.
 */
export class RemoteHeads {
  readonly #peek: (log: BinaryLog) => Promise<RemotePeek>;
  #lines: readonly RememberedLine[] = [];

  constructor(peek: (log: BinaryLog) => Promise<RemotePeek>) {
    this.#peek = peek;
  }

  /** Drops what was read: the server has other logs now. */
  forget(): void {
    this.#lines = [];
  }

  /**
   * The beginning of every listed log, in the order of the listing; sizes are those of the plaintext. Logs that were
   * purged since are left out. The last one, which is open, is read each time.
   *
   * @throws unavailable `BinlogsChanged` where a log is listed that cannot be found; what `peek` throws
   */
  async read(
    listed: readonly BinaryLog[],
    archived: readonly RememberedLine[],
    relist: () => Promise<ReadonlyMap<string, number>>,
  ): Promise<SourceLog[]> {
    const walk = new Walk(listed, [...this.#lines, ...archived]);
    try {
      for (let atOnce = 1; !walk.done; atOnce = Math.min(atOnce * 2, MAX_AT_ONCE)) {
        const batch = walk.next(atOnce);
        const found = await Promise.all(batch.map((log) => this.#peek(log)));
        walk.take(batch.map((log, index) => ({ log, found: found[index] as RemotePeek })));
      }
    } catch (error) {
      this.#lines = [walk.line(), ...this.#lines].slice(0, MAX_LINES);
      throw error;
    }
    this.#lines = [walk.line()];
    if (walk.gone.length > 0) await assertPurged(walk.gone, relist);
    return walk.logs();
  }
}

/** Goes from the newest log to the oldest, for a newer one vouches for those before it. */
class Walk {
  readonly #listed: readonly BinaryLog[];
  /** Lines that nothing contradicts so far. */
  #lines: readonly RememberedLine[];
  #proven: readonly RememberedLine[] = [];
  /** Newest first. */
  readonly #found: SourceLog[] = [];
  readonly #line = new Map<string, RememberedLog>();
  readonly gone: BinlogName[] = [];
  /** Index of the next log. */
  #at: number;

  constructor(listed: readonly BinaryLog[], lines: readonly RememberedLine[]) {
    this.#listed = listed;
    this.#lines = lines;
    this.#at = listed.length - 1;
  }

  get done(): boolean {
    return this.#at < 0;
  }

  logs(): SourceLog[] {
    return this.#found.toReversed();
  }

  /** What is known of the server's logs now. */
  line(): RememberedLine {
    return this.#line;
  }

  /** The next logs that must be read from the server. */
  next(count: number): readonly BinaryLog[] {
    const end = this.#at + 1;
    let start = end;
    while (start > 0 && end - start < count && this.#recalled(start - 1) === null) start -= 1;
    return this.#listed.slice(start, end).toReversed();
  }

  /** Takes what was read, newest first, and then whatever needs no reading. */
  take(batch: readonly Seen[]): void {
    for (const seen of batch) this.#takeOne(seen);
    this.#at -= batch.length;
    for (;;) {
      const peek = this.#recalled(this.#at);
      const log = this.#listed[this.#at];
      if (peek === null || log === undefined) return;
      this.#add(log, { kind: 'readable', peek });
      this.#at -= 1;
    }
  }

  #recalled(index: number): LogPeek | null {
    const log = this.#listed[index];
    return log === undefined || index === this.#listed.length - 1 ? null : recall(this.#proven, log);
  }

  #takeOne({ log, found }: Seen): void {
    if (found.kind === 'gone') {
      this.gone.push(log.name);
      return;
    }
    this.#add(log, found);
    if (found.kind === 'corrupt') return;
    const read = { ...log, peek: found.peek };
    const compared = this.#lines.map((line) => ({ line, is: compareWithLine(line, read) }));
    this.#lines = compared.filter(({ is }) => is !== 'other').map(({ line }) => line);
    const same = compared.filter(({ is }) => is === 'same').map(({ line }) => line);
    this.#proven = this.#lines.filter((line) => this.#proven.includes(line) || same.includes(line));
  }

  #add(log: BinaryLog, found: PeekResult): void {
    const { name, sizeBytes, encrypted } = log;
    if (found.kind === 'corrupt') {
      this.#found.push({ name, sizeBytes, encrypted, peek: null, problem: found.error });
      return;
    }
    const { peek } = found;
    this.#found.push({ name, sizeBytes, encrypted, peek, problem: null });
    const was = log === this.#listed.at(-1) ? 'open' : 'closed';
    this.#line.set(name, { sizeBytes, peek, was });
  }
}

/** A log that vanished was purged, and must not be listed any more. */
async function assertPurged(
  gone: readonly BinlogName[],
  relist: () => Promise<ReadonlyMap<string, number>>,
): Promise<void> {
  const now = await relist();
  const [still] = gone.filter((name) => now.has(name));
  if (still === undefined) return;
  throw listingChanged(still);
}
