import type { Gtid } from './gtid.ts';
import type { BinlogName, ServerUuid } from './identity.ts';
import type { Micros } from './time.ts';

/** Where a restore stops. Always the end of a prefix of the commit order. */
export type RecoveryTarget =
  | { readonly kind: 'latest' }
  /** The longest prefix in which no transaction was committed later than this. */
  | { readonly kind: 'time'; readonly atMicros: Micros }
  | { readonly kind: 'before'; readonly gtid: Gtid }
  | { readonly kind: 'after'; readonly gtid: Gtid }
  /** All transactions that end at or before the offset; inside one is refused. */
  | {
      readonly kind: 'file';
      readonly serverUuid: ServerUuid | null;
      readonly binlog: BinlogName;
      readonly position: number;
    };
