import type { Gtid } from '../domain/gtid.ts';
import type { Micros } from '../domain/time.ts';
import { EVENT } from './event-types.ts';
import type { EventFact, OpenTransaction, ScanVisitor, TransactionFact } from './facts.ts';
import type { Frame } from './frame.ts';
import { type Harm, LocateTally } from './locate-tally.ts';
import { PendingPayload } from './pending-payload.ts';
import { errorOf, type ProblemCode } from './problem.ts';
import { BinlogScanner } from './scanner.ts';

/** Something destroyed by one transaction. A restore to just before it is `before:` its GTID. */
export interface Located extends Harm {
  /** Null where the transaction is anonymous. */
  readonly gtid: Gtid | null;
  readonly committedAtMicros: Micros | null;
  readonly binlog: string;
  /** Offset of the transaction's GTID event. */
  readonly position: number;
}

/** What waits for its turn: results, or a payload that must be opened first. */
type Pending =
  | { readonly kind: 'found'; readonly located: readonly Located[] }
  | { readonly kind: 'payload'; readonly payload: PendingPayload };

/**
 * Finds the statements in a log that destroy data, in one streamed pass: DROP, TRUNCATE, and
 * DELETE or UPDATE with their numbers of rows. Compressed transactions are opened, with bounded
 * memory. Results come in file order. @throws corrupt at the first problem, and what the input throws
 */
export async function* locate(
  input: AsyncIterable<Uint8Array>,
  options: { readonly binlog: string },
): AsyncGenerator<Located> {
  const finder = new Finder(options.binlog);
  try {
    for await (const chunk of input) {
      finder.push(chunk);
      yield* finder.drain();
    }
    finder.end();
  } finally {
    finder.discard();
  }
}

const TORN: ReadonlySet<ProblemCode> = new Set([
  'cut-inside-event',
  'cut-inside-transaction',
  'in-use-but-closed',
]);

class Finder {
  readonly #binlog: string;
  readonly #scanner: BinlogScanner;
  readonly #pending: Pending[] = [];
  readonly #tally = new LocateTally();
  #payload: PendingPayload | null = null;

  constructor(binlog: string) {
    this.#binlog = binlog;
    const visitor: ScanVisitor = {
      event: (fact) => this.#event(fact),
      piece: (fact, bytes, start, end) => this.#piece(fact, bytes, start, end),
      query: ({ statement, sql }) => this.#tally.statement(statement, sql),
      transaction: (fact) => this.#close(fact),
    };
    this.#scanner = new BinlogScanner({ file: binlog, visitor });
  }

  push(chunk: Uint8Array): void {
    this.#scanner.push(chunk);
  }

  /** Hands out what is complete. */
  async *drain(): AsyncGenerator<Located> {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (next.kind === 'found') yield* next.located;
      else {
        await next.payload.feed();
        if (next.payload.state === 'arriving') return;
        const { transaction, tally } = next.payload;
        const { gtid, committedAtMicros } = transaction.gtidEvent;
        yield* this.#located(gtid, committedAtMicros, transaction.startOffset, tally);
      }
      this.#pending.shift();
    }
  }

  /** A log that is being written, or was cut, has been read to its end; anything else is thrown. @throws corrupt */
  end(): void {
    const problem = this.#scanner.end().problems.find(({ code }) => !TORN.has(code));
    if (problem !== undefined) throw errorOf(problem);
  }

  discard(): void {
    for (const item of this.#pending) if (item.kind === 'payload') item.payload.discard();
  }

  #event({ frame, transaction }: EventFact): void {
    if (transaction === null) return;
    if (frame.type !== EVENT.TRANSACTION_PAYLOAD) {
      this.#tally.event(frame);
      return;
    }
    const payload = this.#payload ?? this.#beginPayload(frame, transaction);
    if (frame.extent === 'whole') payload.take(frame.bytes, frame.bodyStart, frame.bodyEnd);
    payload.arrived();
    this.#payload = null;
  }

  #piece({ frame, transaction }: EventFact, bytes: Uint8Array, start: number, end: number): void {
    if (transaction === null) return;
    if (frame.type !== EVENT.TRANSACTION_PAYLOAD) {
      this.#tally.piece(frame, bytes, start, end);
      return;
    }
    this.#payload ??= this.#beginPayload(frame, transaction);
    this.#payload.take(bytes, start, end);
  }

  #beginPayload(frame: Frame, transaction: OpenTransaction): PendingPayload {
    const payload = new PendingPayload(frame, transaction);
    this.#pending.push({ kind: 'payload', payload });
    return payload;
  }

  #close(fact: TransactionFact): void {
    const located = this.#located(fact.gtid, fact.committedAtMicros, fact.startOffset, this.#tally);
    if (located.length > 0) this.#pending.push({ kind: 'found', located });
    this.#tally.reset();
  }

  #located(
    gtid: Gtid | null,
    committedAtMicros: Micros | null,
    position: number,
    tally: LocateTally,
  ): Located[] {
    return tally
      .harms()
      .map((harm) => ({ ...harm, gtid, committedAtMicros, binlog: this.#binlog, position }));
  }
}
