import type { SqlContext } from './events.ts';
import { type EventStatus, readEventClauses, readLosses, readNames } from './sql-clauses.ts';
import { type QualifiedName, SqlCursor } from './sql-cursor.ts';
import { readDeleteTargets, readUpdateTargets } from './sql-tables.ts';
import { classifyXa, type XaStatement } from './sql-xa.ts';

export type { EventStatus } from './sql-clauses.ts';

/** What a statement is, as far as archiving, replay and locate need it. */
export type Statement =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  /** SAVEPOINT, RELEASE SAVEPOINT, ROLLBACK TO. */
  | { readonly kind: 'savepoint' }
  | XaStatement
  | {
      readonly kind: 'drop-table';
      readonly tables: readonly QualifiedName[];
      readonly temporary: boolean;
      readonly ifExists: boolean;
    }
  | { readonly kind: 'drop-database'; readonly schema: string; readonly ifExists: boolean }
  | { readonly kind: 'truncate-table'; readonly table: QualifiedName }
  | { readonly kind: 'create-event'; readonly event: QualifiedName; readonly status: EventStatus }
  | {
      readonly kind: 'alter-event';
      readonly event: QualifiedName;
      readonly status: EventStatus;
      /** New name, where the statement renames. */
      readonly renameTo: QualifiedName | null;
    }
  | { readonly kind: 'drop-event'; readonly event: QualifiedName }
  | { readonly kind: 'create-temporary-table'; readonly table: QualifiedName }
  /** ALTER TABLE that loses data: columns or partitions dropped, or partitions truncated. */
  | { readonly kind: 'alter-table-drop'; readonly table: QualifiedName; readonly drops: readonly string[] }
  | { readonly kind: 'delete'; readonly tables: readonly QualifiedName[] }
  | { readonly kind: 'update'; readonly tables: readonly QualifiedName[] }
  /** Any other statement that changes definitions or accounts; the verb in upper case. */
  | { readonly kind: 'other-ddl'; readonly verb: string }
  | { readonly kind: 'other'; readonly verb: string };

/** The context of a statement of which nothing is known. */
const DEFAULT_SQL_CONTEXT: SqlContext = { sqlMode: 0, clientCollation: 0 };

const DDL_VERBS = new Set([
  'CREATE',
  'ALTER',
  'DROP',
  'RENAME',
  'TRUNCATE',
  'GRANT',
  'REVOKE',
  'ANALYZE',
  'OPTIMIZE',
  'REPAIR',
  'INSTALL',
  'UNINSTALL',
  'FLUSH',
  'IMPORT',
]);

/**
 * Says what a statement is. Never throws: what cannot be read is `other`, and a cut text gives
 * what its beginning says.
 */
export function classifyStatement(
  sql: Uint8Array | string,
  defaultSchema: string,
  context: SqlContext = DEFAULT_SQL_CONTEXT,
): Statement {
  const bytes = typeof sql === 'string' ? Buffer.from(sql) : sql;
  const cursor = new SqlCursor(bytes, defaultSchema, context);
  const verb = cursor.word;
  cursor.take();
  const statement = classifyBorder(verb, cursor) ?? classifyChange(verb, cursor);
  if (statement !== null) return statement;
  return { kind: DDL_VERBS.has(verb) ? 'other-ddl' : 'other', verb };
}

function classifyBorder(verb: string, cursor: SqlCursor): Statement | null {
  switch (verb) {
    case 'BEGIN':
      return { kind: 'begin' };
    case 'START':
      return cursor.word === 'TRANSACTION' ? { kind: 'begin' } : null;
    case 'COMMIT':
      return { kind: 'commit' };
    case 'ROLLBACK':
      cursor.skipWord('WORK');
      return { kind: cursor.word === 'TO' ? 'savepoint' : 'rollback' };
    case 'SAVEPOINT':
    case 'RELEASE':
      return { kind: 'savepoint' };
    case 'XA':
      return classifyXa(cursor);
    default:
      return null;
  }
}

function classifyChange(verb: string, cursor: SqlCursor): Statement | null {
  switch (verb) {
    case 'DROP':
      return classifyDrop(cursor);
    case 'TRUNCATE': {
      cursor.skipWord('TABLE');
      const table = cursor.qualifiedName();
      return table === null ? null : { kind: 'truncate-table', table };
    }
    case 'CREATE':
      return classifyCreate(cursor);
    case 'ALTER':
      return classifyAlter(cursor);
    case 'DELETE':
      return { kind: 'delete', tables: readDeleteTargets(cursor) };
    case 'UPDATE':
      return { kind: 'update', tables: readUpdateTargets(cursor) };
    case 'WITH':
      return classifyWith(cursor);
    default:
      return null;
  }
}

function classifyDrop(cursor: SqlCursor): Statement | null {
  const temporary = cursor.skipWord('TEMPORARY');
  if (cursor.skipWord('TABLE', 'TABLES')) {
    const ifExists = cursor.skipWords('IF', 'EXISTS');
    return { kind: 'drop-table', tables: readNames(cursor), temporary, ifExists };
  }
  if (cursor.skipWord('DATABASE', 'SCHEMA')) {
    const ifExists = cursor.skipWords('IF', 'EXISTS');
    const schema = cursor.name();
    return schema === null ? null : { kind: 'drop-database', schema, ifExists };
  }
  if (!cursor.skipWord('EVENT')) return null;
  cursor.skipWords('IF', 'EXISTS');
  const event = cursor.qualifiedName();
  return event === null ? null : { kind: 'drop-event', event };
}

function classifyCreate(cursor: SqlCursor): Statement | null {
  cursor.skipWords('OR', 'REPLACE');
  cursor.skipDefiner();
  if (cursor.skipWords('TEMPORARY', 'TABLE')) {
    cursor.skipWords('IF', 'NOT', 'EXISTS');
    const table = cursor.qualifiedName();
    return table === null ? null : { kind: 'create-temporary-table', table };
  }
  if (!cursor.skipWord('EVENT')) return null;
  cursor.skipWords('IF', 'NOT', 'EXISTS');
  const event = cursor.qualifiedName();
  if (event === null) return null;
  return { kind: 'create-event', event, status: readEventClauses(cursor).status };
}

function classifyAlter(cursor: SqlCursor): Statement | null {
  cursor.skipDefiner();
  if (cursor.skipWord('EVENT')) {
    const event = cursor.qualifiedName();
    return event === null ? null : { kind: 'alter-event', event, ...readEventClauses(cursor) };
  }
  if (!cursor.skipWord('TABLE')) return null;
  const table = cursor.qualifiedName();
  const drops = table === null ? [] : readLosses(cursor);
  return table === null || drops.length === 0 ? null : { kind: 'alter-table-drop', table, drops };
}

/** Finds the verb behind common table expressions. */
function classifyWith(cursor: SqlCursor): Statement | null {
  while (cursor.peek !== null) {
    if (cursor.skipSymbol('(')) cursor.skipParentheses();
    else if (cursor.skipWord('DELETE')) return { kind: 'delete', tables: readDeleteTargets(cursor) };
    else if (cursor.skipWord('UPDATE')) return { kind: 'update', tables: readUpdateTargets(cursor) };
    else if (cursor.word === 'SELECT') return null;
    else cursor.take();
  }
  return null;
}
