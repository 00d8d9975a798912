import type { QualifiedName, SqlCursor } from './sql-cursor.ts';

interface TableReference {
  readonly table: QualifiedName;
  readonly alias: string;
}

const JOINS = new Set(['JOIN', 'STRAIGHT_JOIN']);
/** Words that end a table's place in a list of references, so they are no alias. */
const NOT_ALIAS = new Set([
  'JOIN',
  'STRAIGHT_JOIN',
  'INNER',
  'CROSS',
  'LEFT',
  'RIGHT',
  'OUTER',
  'NATURAL',
  'ON',
  'USING',
  'USE',
  'IGNORE',
  'FORCE',
  'PARTITION',
  'SET',
  'WHERE',
  'ORDER',
  'LIMIT',
  'FROM',
]);

/** Reads table references up to one of these words; expressions and derived tables are skipped. */
function readReferences(cursor: SqlCursor, ends: ReadonlySet<string>): TableReference[] {
  const references: TableReference[] = [];
  let expecting = true;
  while (cursor.peek !== null && !ends.has(cursor.word)) {
    if (cursor.skipSymbol('(')) {
      const derived = cursor.word === 'SELECT' || cursor.word === 'WITH' || !expecting;
      if (derived) {
        cursor.skipParentheses();
        expecting = false;
      }
    } else if (cursor.skipSymbol(',')) expecting = true;
    else if (JOINS.has(cursor.word)) {
      cursor.take();
      expecting = true;
    } else if (expecting) {
      const table = cursor.qualifiedName();
      if (table === null) cursor.take();
      else references.push({ table, alias: readAlias(cursor) ?? table.name });
      expecting = table === null;
    } else cursor.take();
  }
  return references;
}

function readAlias(cursor: SqlCursor): string | null {
  if (cursor.skipWord('AS')) return cursor.name();
  if (NOT_ALIAS.has(cursor.word)) return null;
  return cursor.peek?.kind === 'word' || cursor.peek?.kind === 'name' ? cursor.name() : null;
}

/** Names as DELETE lists them: `t`, `s.t`, `t.*`. */
function readTargets(cursor: SqlCursor): QualifiedName[] {
  const targets: QualifiedName[] = [];
  do {
    const target = cursor.qualifiedName();
    if (target === null) break;
    const allOf = target.name === '*';
    if (cursor.skipSymbol('.')) cursor.skipSymbol('*');
    if (allOf) cursor.skipSymbol('*');
    targets.push(allOf ? { schema: cursor.defaultSchema, name: target.schema } : target);
  } while (cursor.skipSymbol(','));
  return targets;
}

const DELETE_ENDS = new Set(['WHERE', 'ORDER', 'LIMIT']);

/** Reads the tables that DELETE empties; the cursor stands behind DELETE. Aliases are resolved. */
export function readDeleteTargets(cursor: SqlCursor): QualifiedName[] {
  while (cursor.skipWord('LOW_PRIORITY', 'QUICK', 'IGNORE'));
  cursor.skipWord('FROM');
  const named = readTargets(cursor);
  readAlias(cursor);
  const references =
    cursor.skipWord('FROM') || cursor.skipWord('USING') ? readReferences(cursor, DELETE_ENDS) : [];
  return named.map((target) => resolve(target, references));
}

function resolve(target: QualifiedName, references: readonly TableReference[]): QualifiedName {
  return references.find(({ alias }) => alias === target.name)?.table ?? target;
}

const UPDATE_ENDS = new Set(['SET']);

/** Reads the tables named before SET; the cursor stands behind UPDATE. Joined tables count all. */
export function readUpdateTargets(cursor: SqlCursor): QualifiedName[] {
  while (cursor.skipWord('LOW_PRIORITY', 'IGNORE'));
  return readReferences(cursor, UPDATE_ENDS).map(({ table }) => table);
}
