import type { Gtid } from '../domain/gtid.ts';
import type { Micros } from '../domain/time.ts';
import { EVENT } from './event-types.ts';
import type { EventFact, OpenTransaction, ScanVisitor } from './facts.ts';
import type { Frame } from './frame.ts';
import { type PayloadContent, PendingPayload } from './pending-payload.ts';
import { errorOf, type ProblemCode } from './problem.ts';
import { BinlogScanner } from './scanner.ts';

/** Collects from the events of one transaction. */
export interface TransactionTally extends PayloadContent {
  /** Forgets all, for the next transaction. */
  reset(): void;
}

/** Where a transaction stands. */
export interface TransactionPlace {
  /** Null where it is anonymous. */
  readonly gtid: Gtid | null;
  readonly committedAtMicros: Micros | null;
  /** Offset of its GTID event. */
  readonly position: number;
}

export interface OpenedOptions<Tally, Item> {
  readonly binlog: string;
  readonly newTally: () => Tally;
  /** What a whole transaction comes to; the tally is used again afterwards. */
  readonly read: (tally: Tally, place: TransactionPlace) => readonly Item[];
}

/** What waits for its turn: results, or a payload that must be opened first. */
type Pending<Tally, Item> =
  | { readonly kind: 'found'; readonly items: readonly Item[] }
  | { readonly kind: 'payload'; readonly payload: PendingPayload<Tally & PayloadContent> };

/** What is looked at before results are handed out: so many bytes may hold a thousand small transactions. */
const STEP_BYTES = 256 * 1024;

/**
 * Reads a log in one streamed pass, transaction by transaction; compressed ones are opened. Memory is
 * bounded, results come in file order, and reading waits for whoever takes them.
 * @throws corrupt at the first problem, and what the input and the tally throw
 */
export async function* readOpened<Tally extends TransactionTally, Item>(
  input: AsyncIterable<Uint8Array>,
  options: OpenedOptions<Tally, Item>,
): AsyncGenerator<Item> {
  const reader = new OpenedReader(options);
  try {
    for await (const chunk of input) {
      for (let at = 0; at < chunk.length; at += STEP_BYTES) {
        reader.push(chunk.subarray(at, at + STEP_BYTES));
        yield* reader.drain();
      }
    }
    reader.end();
  } finally {
    reader.discard();
  }
}

const TORN: ReadonlySet<ProblemCode> = new Set([
  'cut-inside-event',
  'cut-inside-transaction',
  'in-use-but-closed',
]);

class OpenedReader<Tally extends TransactionTally, Item> {
  readonly #options: OpenedOptions<Tally, Item>;
  readonly #scanner: BinlogScanner;
  readonly #pending: Pending<Tally, Item>[] = [];
  readonly #tally: Tally;
  #payload: PendingPayload<Tally> | null = null;

  constructor(options: OpenedOptions<Tally, Item>) {
    this.#options = options;
    this.#tally = options.newTally();
    const visitor: ScanVisitor = {
      event: (fact) => this.#event(fact),
      piece: (fact, bytes, start, end) => this.#piece(fact, bytes, start, end),
      query: ({ statement, sql }) => this.#tally.statement(statement, sql),
      transaction: ({ gtid, committedAtMicros, startOffset }) =>
        this.#close({ gtid, committedAtMicros, position: startOffset }),
    };
    this.#scanner = new BinlogScanner({ file: options.binlog, visitor });
  }

  push(chunk: Uint8Array): void {
    this.#scanner.push(chunk);
  }

  /** Hands out what is complete. */
  async *drain(): AsyncGenerator<Item> {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      if (next.kind === 'found') yield* next.items;
      else {
        await next.payload.feed();
        if (next.payload.state === 'arriving') return;
        const { transaction, content } = next.payload;
        const { gtid, committedAtMicros } = transaction.gtidEvent;
        yield* this.#options.read(content, { gtid, committedAtMicros, position: transaction.startOffset });
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

  #beginPayload(frame: Frame, transaction: OpenTransaction): PendingPayload<Tally> {
    const payload = new PendingPayload(frame, transaction, this.#options.newTally());
    this.#pending.push({ kind: 'payload', payload });
    return payload;
  }

  #close(place: TransactionPlace): void {
    const items = this.#options.read(this.#tally, place);
    if (items.length > 0) this.#pending.push({ kind: 'found', items });
    this.#tally.reset();
  }
}
