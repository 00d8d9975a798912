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
