import type { Micros } from '../domain/time.ts';
import type { GtidEvent } from './gtid-event.ts';
import type { Statement } from './sql.ts';

/** Counts over a whole log, filled while it is scanned. */
export class ScanTally {
  events = 0;
  transactions = 0;
  anonymousTransactions = 0;
  clockInversions = 0;
  eventDdl = 0;
  temporaryTables = 0;
  payloads = 0;
  largestPayloadBytes = 0;
  firstCommit: Micros | null = null;
  lastCommit: Micros | null = null;
  maxCommit: Micros | null = null;
  /** XIDs prepared in this file and not finished in it. */
  readonly #prepared = new Set<string>();

  get xaPrepares(): number {
    return this.#prepared.size;
  }

  transaction(event: GtidEvent): void {
    this.transactions += 1;
    if (event.gtid === null) this.anonymousTransactions += 1;
    const at = event.committedAtMicros;
    if (at === null) return;
    this.firstCommit ??= at;
    this.lastCommit = at;
    if (this.maxCommit !== null && at < this.maxCommit) this.clockInversions += 1;
    else this.maxCommit = at;
  }

  payload(uncompressedBytes: number): void {
    this.payloads += 1;
    this.largestPayloadBytes = Math.max(this.largestPayloadBytes, uncompressedBytes);
  }

  prepared(xid: string): void {
    this.#prepared.add(xid);
  }

  statement(statement: Statement): void {
    switch (statement.kind) {
      case 'create-event':
      case 'alter-event':
      case 'drop-event':
      // It takes the events of its schema with it.
      case 'drop-database':
        this.eventDdl += 1;
        break;
      case 'create-temporary-table':
        this.temporaryTables += 1;
        break;
      case 'xa':
        if (statement.xid !== null && (statement.verb === 'commit' || statement.verb === 'rollback')) {
          this.#prepared.delete(statement.xid);
        }
        break;
      default:
        break;
    }
  }
}
