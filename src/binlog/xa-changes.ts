import type { Gtid } from '../domain/gtid.ts';
import { EVENT } from './event-types.ts';
import { decodeXaPrepare } from './events.ts';
import type { Frame } from './frame.ts';
import { readOpened, type TransactionTally } from './opened-transactions.ts';
import type { Statement } from './sql.ts';

/** What a transaction does to the list of those that are prepared. */
export interface XaChange {
  /** Null where the transaction is anonymous. */
  readonly gtid: Gtid | null;
  readonly kind: 'prepared' | 'finished';
  /** As in `xidKey`; null where the statement cannot be read. */
  readonly xid: string | null;
}

/**
 * Finds each XA PREPARE, and each XA COMMIT and XA ROLLBACK of a prepared transaction, in one streamed
 * pass in file order. Compressed transactions are opened: an XA PREPARE may be in one.
 * @throws corrupt at the first problem, and what the input throws
 */
export function xaChanges(
  input: AsyncIterable<Uint8Array>,
  { binlog }: { readonly binlog: string },
): AsyncGenerator<XaChange> {
  return readOpened(input, {
    binlog,
    newTally: () => new XaTally(),
    read: ({ change }, { gtid }) => (change === null ? [] : [{ ...change, gtid }]),
  });
}

class XaTally implements TransactionTally {
  #change: Omit<XaChange, 'gtid'> | null = null;

  get change(): Omit<XaChange, 'gtid'> | null {
    return this.#change;
  }

  reset(): void {
    this.#change = null;
  }

  statement(statement: Statement): void {
    if (statement.kind !== 'xa') return;
    // One that ends in the transaction it began in was never prepared; ending it once more changes nothing.
    if (statement.verb === 'commit' || statement.verb === 'rollback') {
      this.#change = { kind: 'finished', xid: statement.xid };
    }
  }

  event(frame: Frame): void {
    if (frame.type !== EVENT.XA_PREPARE) return;
    const { onePhase, xid } = decodeXaPrepare(frame);
    if (!onePhase) this.#change = { kind: 'prepared', xid };
  }

  piece(): void {
    // No XID is in an event that comes in pieces.
  }
}
