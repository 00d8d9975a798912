import type { PreparedXa } from './catalog-entry.ts';

/** How many XIDs a message names; the rest are counted. */
const MAX_NAMED = 20;

/** Writes an XID as XA COMMIT and XA ROLLBACK take it. */
export function formatXid({ formatId, gtridLength, dataHex }: PreparedXa): string {
  const cut = gtridLength * 2;
  return `X'${dataHex.slice(0, cut)}',X'${dataHex.slice(cut)}',${formatId}`;
}

/** Names the first of some XIDs in a sentence, and counts the others. */
export function nameXids(xids: readonly PreparedXa[]): string {
  const names = xids.slice(0, MAX_NAMED).map(formatXid).join('; ');
  return xids.length <= MAX_NAMED ? names : `${names}; and ${xids.length - MAX_NAMED} more`;
}

/** One text for an XID: equal where the XIDs are. */
export function xidKey({ formatId, gtridLength, dataHex }: PreparedXa): string {
  const cut = gtridLength * 2;
  return `${formatId}:${dataHex.slice(0, cut)}:${dataHex.slice(cut)}`;
}

/** Reads what `xidKey` wrote. */
export function xidOfKey(key: string): PreparedXa {
  const [formatId = '', gtrid = '', bqual = ''] = key.split(':');
  return {
    formatId: Number(formatId),
    gtridLength: gtrid.length / 2,
    bqualLength: bqual.length / 2,
    dataHex: gtrid + bqual,
  };
}
