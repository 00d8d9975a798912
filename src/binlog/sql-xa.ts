import { xidKey } from './events.ts';
import type { SqlCursor } from './sql-cursor.ts';

const XA_VERBS = {
  START: 'start',
  BEGIN: 'start',
  END: 'end',
  PREPARE: 'prepare',
  COMMIT: 'commit',
  ROLLBACK: 'rollback',
} as const;

/** XA START and its like. */
export interface XaStatement {
  readonly kind: 'xa';
  readonly verb: 'start' | 'end' | 'prepare' | 'commit' | 'rollback';
  /** As in `xidKey`; null where it cannot be read. */
  readonly xid: string | null;
}

/** Reads what follows XA; null for XA RECOVER. */
export function classifyXa(cursor: SqlCursor): XaStatement | null {
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
