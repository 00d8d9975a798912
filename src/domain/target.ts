import { AppError } from './errors.ts';
import { formatGtid, type Gtid, parseGtid } from './gtid.ts';
import { type BinlogName, parseBinlogName, parseServerUuid, type ServerUuid } from './identity.ts';
import { formatInstant, type Micros, parseInstant } from './time.ts';

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

const FORMS =
  'latest, 2026-11-20T10:32:05.123456Z, before:UUID:N, after:UUID:N (with a tag before:UUID:TAG:N), file:binlog.000007:1234 or file:SERVER_UUID/binlog.000007:1234';

function malformed(text: string, message: string, hint: string): AppError {
  return new AppError({
    code: 'MalformedTarget',
    kind: 'usage',
    message: `The target ${JSON.stringify(text.slice(0, 160))} ${message}`,
    hint,
    facts: { target: text.slice(0, 160) },
  });
}

/** Turns the refusal of a part into one that names the whole target. */
function withinTarget<T>(text: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw malformed(text, `cannot be used: ${error.message}`, error.hint ?? `Targets are ${FORMS}.`);
  }
}

function parseFile(text: string, rest: string): RecoveryTarget {
  const colon = rest.lastIndexOf(':');
  const digits = rest.slice(colon + 1);
  if (colon < 0 || !/^[0-9]{1,15}$/.test(digits)) {
    throw malformed(
      text,
      'names no byte offset in the binlog.',
      'Write file:binlog.000007:1234; the offset is the end of a transaction, as `pitrail scan` or SHOW BINLOG EVENTS prints it.',
    );
  }
  const path = rest.slice(0, colon);
  const slash = path.indexOf('/');
  return withinTarget(text, () => ({
    kind: 'file',
    serverUuid: slash < 0 ? null : parseServerUuid(path.slice(0, slash)),
    binlog: parseBinlogName(path.slice(slash + 1)),
    position: Number(digits),
  }));
}

function parseTime(text: string): RecoveryTarget {
  if (/^[0-9]{1,4}[-/.][0-9]/.test(text)) {
    return withinTarget(text, () => ({ kind: 'time', atMicros: parseInstant(text) }));
  }
  if (/^\d{9,16}$/.test(text)) {
    throw malformed(text, 'looks like a Unix time.', 'Write it as 2026-11-20T10:32:05.123456Z.');
  }
  if (/^[0-9a-f]{8}-/i.test(text)) {
    throw malformed(
      text,
      'is a GTID without a side.',
      `Write before:${text} or after:${text}, depending on whether that transaction is to be there.`,
    );
  }
  throw malformed(text, 'has none of the known forms.', `Targets are ${FORMS}.`);
}

/**
 * Parses a recovery target: `latest`, an RFC 3339 time with zone, `before:GTID`, `after:GTID`,
 * `file:[SERVER_UUID/]BINLOG:OFFSET`. The error says what was meant. @throws usage
 */
export function parseTarget(text: string): RecoveryTarget {
  const trimmed = text.trim();
  if (trimmed.toLowerCase() === 'latest') return { kind: 'latest' };
  const scheme = /^(before|after|file):(.*)$/s.exec(trimmed);
  if (scheme === null) return parseTime(trimmed);
  const rest = scheme[2] ?? '';
  if (scheme[1] === 'file') return parseFile(trimmed, rest);
  const kind = scheme[1] === 'before' ? 'before' : 'after';
  return withinTarget(trimmed, () => ({ kind, gtid: parseGtid(rest) }));
}

/** Writes a target in the one form that `parseTarget` reads back to the same value. */
export function formatTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'latest';
    case 'time':
      return formatInstant(target.atMicros);
    case 'before':
    case 'after':
      return `${target.kind}:${formatGtid(target.gtid)}`;
    case 'file': {
      const owner = target.serverUuid === null ? '' : `${target.serverUuid}/`;
      return `file:${owner}${target.binlog}:${target.position}`;
    }
  }
}
