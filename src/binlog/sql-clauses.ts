import type { QualifiedName, SqlCursor } from './sql-cursor.ts';

/** What `CREATE EVENT` or `ALTER EVENT` says of the event's status. */
export type EventStatus = 'enabled' | 'disabled' | 'replica-side-disabled' | 'unspecified';

/** Reads names that are separated by commas. */
export function readNames(cursor: SqlCursor): QualifiedName[] {
  const names: QualifiedName[] = [];
  do {
    const name = cursor.qualifiedName();
    if (name !== null) names.push(name);
  } while (cursor.skipSymbol(','));
  return names;
}

/** Reads status and new name up to the body, which begins with DO. */
export function readEventClauses(cursor: SqlCursor): { status: EventStatus; renameTo: QualifiedName | null } {
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
export function readLosses(cursor: SqlCursor): string[] {
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
