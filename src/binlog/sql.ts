import { type SqlContext, xidKey } from './events.ts';
import { type QualifiedName, SqlCursor } from './sql-cursor.ts';
import { readDeleteTargets, readUpdateTargets } from './sql-tables.ts';

/** What `CREATE EVENT` or `ALTER EVENT` says of the event's status. */
export type EventStatus = 'enabled' | 'disabled' | 'replica-side-disabled' | 'unspecified';

/** What a statement is, as far as archiving, replay and locate need it. */
export type Statement =
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  /** SAVEPOINT, RELEASE SAVEPOINT, ROLLBACK TO. */
  | { readonly kind: 'savepoint' }
  | {
      readonly kind: 'xa';
      readonly verb: 'start' | 'end' | 'prepare' | 'commit' | 'rollback';
      /** As in `xidKey`; null where it cannot be read. */
      readonly xid: string | null;
    }
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
export const DEFAULT_SQL_CONTEXT: SqlContext = { sqlMode: 0, clientCollation: 0 };

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

const XA_VERBS = {
  START: 'start',
  BEGIN: 'start',
  END: 'end',
  PREPARE: 'prepare',
  COMMIT: 'commit',
  ROLLBACK: 'rollback',
} as const;

function classifyXa(cursor: SqlCursor): Statement | null {
  const verb = XA_VERBS[cursor.word as keyof typeof XA_VERBS];
  if (verb === undefined) return null;
  cursor.take();
  const gtrid = readXidPart(cursor);
  if (gtrid === null) return { kind: 'xa', verb, xid: null };
  const bqual = cursor.skipSymbol(',') ? readXidPart(cursor) : new Uint8Array(0);
  const format = cursor.skipSymbol(',') ? Number(cursor.word) : 1;
  const known = bqual !== null && Number.isSafeInteger(format);
  return { kind: 'xa', verb, xid: known ? xidKey(format, gtrid, bqual) : null };
}

/** `X'6f31'`, `0x6f31` or `'o1'`. */
function readXidPart(cursor: SqlCursor): Uint8Array | null {
  const word = cursor.word;
  if (word.startsWith('0X')) {
    cursor.take();
    return Buffer.from(word.slice(2), 'hex');
  }
  const hex = cursor.skipWord('X');
  const token = cursor.peek;
  if (token === null || token.kind !== 'string') return null;
  cursor.take();
  return Buffer.from(cursor.textOf(token), hex ? 'hex' : 'utf8');
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

function readNames(cursor: SqlCursor): QualifiedName[] {
  const names: QualifiedName[] = [];
  do {
    const name = cursor.qualifiedName();
    if (name !== null) names.push(name);
  } while (cursor.skipSymbol(','));
  return names;
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

/** Reads status and new name up to the body, which begins with DO. */
function readEventClauses(cursor: SqlCursor): { status: EventStatus; renameTo: QualifiedName | null } {
  let status: EventStatus = 'unspecified';
  let renameTo: QualifiedName | null = null;
  while (cursor.peek !== null && cursor.word !== 'DO') {
    if (cursor.skipWord('ENABLE')) status = 'enabled';
    else if (cursor.skipWord('DISABLE')) {
      const onReplica = cursor.skipWord('ON') && cursor.skipWord('REPLICA', 'SLAVE');
      status = onReplica ? 'replica-side-disabled' : 'disabled';
    } else if (cursor.skipWord('RENAME')) {
      cursor.skipWord('TO');
      renameTo = cursor.qualifiedName();
    } else if (cursor.skipSymbol('(')) cursor.skipParentheses();
    else cursor.take();
  }
  return { status, renameTo };
}

const KEPT_BY_DROP = new Set(['PRIMARY', 'FOREIGN', 'INDEX', 'KEY', 'CONSTRAINT', 'CHECK', 'DEFAULT']);

/** Reads what ALTER TABLE throws away: `column x`, `partition p`. */
function readLosses(cursor: SqlCursor): string[] {
  const losses: string[] = [];
  while (cursor.peek !== null) {
    if (cursor.skipSymbol('(')) cursor.skipParentheses();
    else if (cursor.skipWord('TRUNCATE') || cursor.skipWord('DISCARD')) {
      if (cursor.skipWord('PARTITION')) losses.push(`partition ${cursor.name() ?? ''}`.trim());
    } else if (cursor.skipWord('DROP')) {
      if (cursor.skipWord('PARTITION')) losses.push(...readPartitions(cursor));
      else if (!KEPT_BY_DROP.has(cursor.word)) {
        cursor.skipWord('COLUMN');
        const column = cursor.name();
        if (column !== null) losses.push(`column ${column}`);
      }
    } else cursor.take();
  }
  return losses;
}

function readPartitions(cursor: SqlCursor): string[] {
  return readNames(cursor).map(({ name }) => `partition ${name}`);
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
