import { EVENT, eventName, isRowsEvent } from './event-types.ts';
import { endsStatement, loadFileId, tableIdOf } from './events.ts';
import type { TransactionShape } from './facts.ts';
import type { Frame } from './frame.ts';
import { isForeignToTransactions, refuseMisplaced } from './misplaced.ts';
import { corruptAt } from './problem.ts';
import type { Statement } from './sql.ts';

/** Far more than a statement can change, with all its triggers and foreign keys. */
const MAX_TABLES = 65_536;

/** Where the tracker stands inside a transaction. */
type Phase = 'opened' | 'group' | 'xa' | 'xa-ended';

/**
 * Follows one transaction from its GTID event to its last event, and says where it ends.
 * Source of the shapes: MySQL sql/binlog.cc, and logs of real servers.
 */
export class TransactionTracker {
  #phase: Phase = 'opened';
  /** Tables mapped for the statement under way: the first `#tableCount`. */
  readonly #tableIds: number[] = [];
  #tableCount = 0;
  /** Files of LOAD DATA whose content has begun. */
  readonly #loads: number[] = [];
  /** INTVAR, RAND and USER_VAR that no statement has used yet. */
  #context = 0;

  /** Begins a transaction. */
  open(): void {
    this.#phase = 'opened';
    this.#tableCount = 0;
    if (this.#loads.length > 0) this.#loads.length = 0;
    this.#context = 0;
  }

  /** Takes an event that is no QUERY. Returns the transaction's shape where it ends here. @throws corrupt */
  event(frame: Frame): TransactionShape | null {
    const type = frame.type;
    if (isRowsEvent(type)) {
      this.#rows(frame);
      return null;
    }
    switch (type) {
      case EVENT.TABLE_MAP:
        this.#map(frame);
        return null;
      case EVENT.XID:
        if (this.#phase !== 'group') throw this.#misplaced(frame);
        return this.#end(frame, 'group');
      case EVENT.XA_PREPARE:
        if (this.#phase !== 'xa-ended') throw this.#misplaced(frame);
        return this.#end(frame, 'xa-prepare');
      case EVENT.TRANSACTION_PAYLOAD:
        if (this.#phase !== 'opened') throw this.#misplaced(frame);
        return this.#end(frame, 'payload');
      case EVENT.INTVAR:
      case EVENT.RAND:
      case EVENT.USER_VAR:
        this.#context += 1;
        return null;
      case EVENT.BEGIN_LOAD_QUERY:
        this.#inside(frame);
        this.#loads.push(loadFileId(frame));
        return null;
      case EVENT.APPEND_BLOCK:
      case EVENT.DELETE_FILE:
        this.#inside(frame);
        this.#requireLoad(frame);
        return null;
      case EVENT.WRITE_ROWS_V1:
      case EVENT.UPDATE_ROWS_V1:
      case EVENT.DELETE_ROWS_V1:
        this.#inside(frame);
        return null;
      case EVENT.ROWS_QUERY:
      case EVENT.VIEW_CHANGE:
      case EVENT.TRANSACTION_CONTEXT:
      case EVENT.IGNORABLE:
        return null;
      default:
        if (!isForeignToTransactions(type)) throw this.#misplaced(frame);
        refuseMisplaced(frame);
        return null;
    }
  }

  /** Takes a QUERY. Returns the transaction's shape where it ends here. @throws corrupt */
  query(frame: Frame, statement: Statement): TransactionShape | null {
    switch (statement.kind) {
      case 'begin':
        if (this.#phase !== 'opened') throw this.#misplaced(frame);
        this.#phase = 'group';
        return null;
      case 'commit':
        if (this.#phase !== 'group') throw this.#misplaced(frame);
        return this.#end(frame, 'group');
      case 'rollback':
        if (this.#phase === 'opened') throw this.#misplaced(frame);
        return this.#end(frame, 'group');
      case 'xa':
        return this.#xa(frame, statement.verb);
      default:
        return this.#statement(frame);
    }
  }

  #xa(frame: Frame, verb: (Statement & { kind: 'xa' })['verb']): TransactionShape | null {
    if (verb === 'start' && this.#phase === 'opened') {
      this.#phase = 'xa';
      return null;
    }
    if (verb === 'end' && this.#phase === 'xa') {
      this.#phase = 'xa-ended';
      return null;
    }
    const finishes = verb === 'rollback' || (verb === 'commit' && this.#phase === 'opened');
    if (finishes && this.#phase !== 'group') return this.#end(frame, 'xa-finish');
    throw this.#misplaced(frame);
  }

  #statement(frame: Frame): TransactionShape | null {
    if (frame.type === EVENT.EXECUTE_LOAD_QUERY) this.#requireLoad(frame);
    this.#context = 0;
    if (this.#phase === 'xa-ended') throw this.#misplaced(frame);
    return this.#phase === 'opened' ? this.#end(frame, 'statement') : null;
  }

  #map(frame: Frame): void {
    this.#inside(frame);
    if (this.#tableCount === MAX_TABLES) {
      throw corruptAt(
        frame,
        'too-large',
        `a statement changes more than ${MAX_TABLES} tables, which none does`,
      );
    }
    this.#tableIds[this.#tableCount++] = tableIdOf(frame);
  }

  #rows(frame: Frame): void {
    this.#inside(frame);
    const table = tableIdOf(frame);
    let known = this.#tableCount - 1;
    while (known >= 0 && this.#tableIds[known] !== table) known -= 1;
    if (known < 0) {
      const reason = `no TABLE_MAP before it describes table ${table}, so its rows cannot be read`;
      throw corruptAt(frame, 'table-map-missing', reason);
    }
    if (endsStatement(frame)) this.#tableCount = 0;
  }

  #requireLoad(frame: Frame): void {
    const file = loadFileId(frame);
    const known = this.#loads.indexOf(file);
    const done = frame.type !== EVENT.APPEND_BLOCK;
    if (known >= 0 && done) this.#loads.splice(known, 1);
    if (known >= 0) return;
    throw corruptAt(
      frame,
      'statement-context-missing',
      `no BEGIN_LOAD_QUERY before it holds the content of LOAD DATA's file ${file}`,
    );
  }

  /** Changes stand between BEGIN and COMMIT, or XA START and XA END. */
  #inside(frame: Frame): void {
    if (this.#phase !== 'group' && this.#phase !== 'xa') throw this.#misplaced(frame);
  }

  #end(frame: Frame, shape: TransactionShape): TransactionShape {
    if (this.#context > 0) {
      throw corruptAt(
        frame,
        'statement-context-missing',
        'INTVAR, RAND or USER_VAR stands before it, and the statement that needs them is not there',
      );
    }
    return shape;
  }

  #misplaced(frame: Frame): Error {
    const where: Record<Phase, string> = {
      opened: 'directly after the GTID event',
      group: 'between BEGIN and COMMIT',
      xa: 'between XA START and XA END',
      'xa-ended': 'after XA END',
    };
    return corruptAt(
      frame,
      'transaction-order',
      `${eventName(frame.type)} cannot stand ${where[this.#phase]}`,
    );
  }
}
