import type { Gtid } from '../domain/gtid.ts';
import type { Micros } from '../domain/time.ts';
import { type Harm, LocateTally } from './locate-tally.ts';
import { readOpened } from './opened-transactions.ts';

/** Something destroyed by one transaction. A restore to just before it is `before:` its GTID. */
export interface Located extends Harm {
  /** Null where the transaction is anonymous. */
  readonly gtid: Gtid | null;
  readonly committedAtMicros: Micros | null;
  readonly binlog: string;
  /** Offset of the transaction's GTID event. */
  readonly position: number;
}

/**
 * Finds the statements in a log that destroy data, in one streamed pass: DROP, TRUNCATE, and
 * DELETE or UPDATE with their numbers of rows. Compressed transactions are opened, with bounded
 * memory. Results come in file order. @throws corrupt at the first problem, and what the input throws
 */
export function locate(
  input: AsyncIterable<Uint8Array>,
  { binlog }: { readonly binlog: string },
): AsyncGenerator<Located> {
  return readOpened(input, {
    binlog,
    newTally: () => new LocateTally(),
    read: (tally, place) => tally.harms().map((harm) => ({ ...harm, ...place, binlog })),
  });
}
