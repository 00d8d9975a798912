import { EVENT, isRowsEvent } from './event-types.ts';
import { endsStatement } from './events.ts';
import type { Frame } from './frame.ts';
import type { TransactionTally } from './opened-transactions.ts';
import { RowCounter } from './rows.ts';
import type { Statement } from './sql.ts';
import type { QualifiedName } from './sql-cursor.ts';
import { decodeText } from './sql-tokens.ts';
import { decodeTableMap, type TableMap } from './table-map.ts';

/** What a destructive statement does. `alter`: columns or partitions are dropped or emptied. */
export type DestructiveOp = 'drop' | 'drop-database' | 'truncate' | 'alter' | 'delete' | 'update';

/** A table that lost data, and how many rows; null where only the statement is logged. */
export interface HarmedTable {
  readonly schema: string;
  /** Empty for a whole database. */
  readonly name: string;
  readonly rows: number | null;
}

/** All that one transaction did in one way. */
export interface Harm {
  readonly op: DestructiveOp;
  readonly tables: readonly HarmedTable[];
  /** Sum over the tables; null where it is not known of one of them. */
  readonly rows: number | null;
  /** Beginning of the first statement; null where only rows are logged. */
  readonly statement: string | null;
}

interface OpenHarm {
  readonly tables: Map<string, { readonly schema: string; readonly name: string; rows: number | null }>;
  statement: string | null;
}

const EXCERPT_BYTES = 512;
/** Names of one transaction that are kept; more of them are counted under their operation only. */
const MAX_TABLES = 10_000;

/** Collects what the events of one transaction destroy. Memory is bounded by the tables they touch. */
export class LocateTally implements TransactionTally {
  readonly #harms = new Map<DestructiveOp, OpenHarm>();
  readonly #maps = new Map<number, TableMap>();
  #rowsQuery: string | null = null;
  /** Counter of a large event that comes in pieces. */
  #counter: RowCounter | null = null;

  /** Forgets all, for the next transaction. */
  reset(): void {
    this.#harms.clear();
    this.#maps.clear();
    this.#rowsQuery = null;
  }

  /** Takes a statement. */
  statement(statement: Statement, sql: Uint8Array): void {
    const harm = harmOf(statement);
    if (harm === null) return;
    for (const table of harm.tables) this.#add(harm.op, table, null, excerptOf(sql));
  }

  /** Takes any other event; row events are counted. @throws corrupt */
  event(frame: Frame): void {
    if (frame.type === EVENT.TABLE_MAP) {
      const map = decodeTableMap(frame);
      this.#maps.set(map.tableId, map);
    } else if (frame.type === EVENT.ROWS_QUERY) {
      this.#rowsQuery = excerptOf(frame.bytes.subarray(frame.bodyStart + 1, frame.bodyEnd));
    } else if (isRowsEvent(frame.type)) this.#rows(frame);
  }

  /** Takes a part of a large event's body. @throws corrupt */
  piece(frame: Frame, bytes: Uint8Array, start: number, end: number): void {
    if (opOf(frame.type) === null) return;
    this.#counter ??= this.#counterOf(frame);
    this.#counter.push(bytes, start, end);
  }

  /** What was destroyed, in the order in which it began. */
  harms(): Harm[] {
    return Array.from(this.#harms, ([op, { tables, statement }]) => {
      const list = [...tables.values()];
      const rows = list.reduce<number | null>(
        (sum, table) => (sum === null || table.rows === null ? null : sum + table.rows),
        0,
      );
      return { op, tables: list, rows, statement };
    });
  }

  #rows(frame: Frame): void {
    const op = opOf(frame.type);
    if (op !== null) {
      const counter = this.#counter ?? this.#counterOf(frame);
      if (frame.extent === 'whole') counter.push(frame.bytes, frame.bodyStart, frame.bodyEnd);
      this.#counter = null;
      const { table, rows } = counter.finish();
      if (rows > 0) this.#add(op, table, rows, this.#rowsQuery);
    }
    if (endsStatement(frame)) {
      this.#maps.clear();
      this.#rowsQuery = null;
    }
  }

  #counterOf(frame: Frame): RowCounter {
    return new RowCounter({ place: frame, bodyBytes: frame.bodyBytes, tables: this.#maps });
  }

  #add(op: DestructiveOp, table: QualifiedName, rows: number | null, statement: string | null): void {
    let harm = this.#harms.get(op);
    if (harm === undefined) {
      harm = { tables: new Map(), statement };
      this.#harms.set(op, harm);
    }
    harm.statement ??= statement;
    const key = `${table.schema}\0${table.name}`;
    const known = harm.tables.get(key);
    if (known !== undefined) known.rows = known.rows === null || rows === null ? null : known.rows + rows;
    else if (harm.tables.size < MAX_TABLES)
      harm.tables.set(key, { schema: table.schema, name: table.name, rows });
  }
}

/** Which of the operations a row event is; WRITE_ROWS destroys nothing. */
function opOf(type: number): 'delete' | 'update' | null {
  if (type === EVENT.DELETE_ROWS) return 'delete';
  return type === EVENT.UPDATE_ROWS || type === EVENT.PARTIAL_UPDATE_ROWS ? 'update' : null;
}

function harmOf(
  statement: Statement,
): { readonly op: DestructiveOp; readonly tables: readonly QualifiedName[] } | null {
  switch (statement.kind) {
    case 'drop-table':
      return statement.temporary ? null : { op: 'drop', tables: statement.tables };
    case 'drop-database':
      return { op: 'drop-database', tables: [{ schema: statement.schema, name: '' }] };
    case 'truncate-table':
      return { op: 'truncate', tables: [statement.table] };
    case 'alter-table-drop':
      return { op: 'alter', tables: [statement.table] };
    case 'delete':
    case 'update':
      return { op: statement.kind, tables: statement.tables };
    default:
      return null;
  }
}

/** The beginning of a statement on one line. */
function excerptOf(sql: Uint8Array): string {
  const text = decodeText(sql.subarray(0, EXCERPT_BYTES)).replaceAll(/\s+/g, ' ').trim();
  return sql.length > EXCERPT_BYTES ? `${text} …` : text;
}
