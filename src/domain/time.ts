import { AppError } from './errors.ts';

declare const micros: unique symbol;
/** Microseconds since 1970-01-01T00:00:00Z, as in `immediate_commit_timestamp`. */
export type Micros = bigint & { readonly [micros]: true };

/** The latest instant that RFC 3339 can write: 9999-12-31T23:59:59.999999Z. */
export const MAX_MICROS = 253_402_300_799_999_999n as Micros;

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/i;
const NO_ZONE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?$/i;
const EXAMPLE = '2026-11-20T10:32:05.123456Z or 2026-11-20T11:32:05+01:00';

function malformed(text: string, message: string, hint: string): AppError {
  return new AppError({
    code: 'MalformedInstant',
    kind: 'usage',
    message: `${JSON.stringify(text.slice(0, 80))} ${message}`,
    hint,
    facts: { text: text.slice(0, 80) },
  });
}

function explainMismatch(text: string): AppError {
  if (NO_ZONE.test(text)) {
    const seconds = /:\d{2}:\d{2}/.test(text) ? '' : ':00';
    const right = `${text.replace(/[ t]/, 'T')}${seconds}`;
    return malformed(
      text,
      'has no time zone, so it names a different moment on every machine.',
      `Write the zone: ${right}Z for UTC, or ${right}+02:00 for a zone two hours ahead of it.`,
    );
  }
  return malformed(text, 'is not a time in RFC 3339 form.', `Write it as ${EXAMPLE}.`);
}

function wholeSeconds(text: string, parts: readonly (string | undefined)[]): number {
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const real =
    at.getUTCFullYear() === year &&
    at.getUTCMonth() === month - 1 &&
    at.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!real) {
    const hint = second === 60 ? 'MySQL knows no leap second: use second 59 or the next minute.' : EXAMPLE;
    throw malformed(text, 'names a date or time that does not exist.', hint);
  }
  return at.getTime() / 1000;
}

function offsetSeconds(text: string, parts: readonly (string | undefined)[]): number {
  if (parts[8] === undefined) return 0;
  const hours = Number(parts[9]);
  const minutes = Number(parts[10]);
  if (hours > 23 || minutes > 59) {
    throw malformed(text, 'has a zone offset that does not exist.', `Write it as ${EXAMPLE}.`);
  }
  return (parts[8] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/**
 * Parses an instant in RFC 3339 form: the zone must be there, with 0 to 6 decimals of a second.
 * More decimals are refused, because cutting them would move the target. @throws usage
 */
export function parseInstant(text: string): Micros {
  const parts = INSTANT.exec(text);
  if (parts === null) throw explainMismatch(text);
  const decimals = parts[7] ?? '';
  if (decimals.length > 6) {
    throw malformed(
      text,
      `has ${decimals.length} decimals, but commit times are whole microseconds.`,
      `Give six decimals at most, such as ${EXAMPLE}.`,
    );
  }
  const seconds = wholeSeconds(text, parts) - offsetSeconds(text, parts);
  const at = BigInt(seconds) * 1_000_000n + BigInt(decimals.padEnd(6, '0'));
  if (at < 0n || at > MAX_MICROS) {
    throw malformed(text, 'lies outside the years 1970 to 9999 (UTC).', `Write it as ${EXAMPLE}.`);
  }
  return at as Micros;
}

/** Checks that a number of microseconds can be written as an instant. @throws corrupt */
export function toMicros(value: bigint): Micros {
  if (value >= 0n && value <= MAX_MICROS) return value as Micros;
  throw new AppError({
    code: 'TimeOutOfRange',
    kind: 'corrupt',
    message: `${value} microseconds since 1970 lie outside the years 1970 to 9999, so this is no commit time.`,
    facts: { micros: value.toString() },
  });
}

/** Writes an instant in RFC 3339, UTC, always with six decimals: `2026-11-20T10:32:05.123456Z`. */
export function formatInstant(at: Micros): string {
  const seconds = at / 1_000_000n;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${(at % 1_000_000n).toString().padStart(6, '0')}Z`;
}

/** Converts milliseconds since 1970, as a clock or a caller gives them. @throws corrupt */
export function microsFromMillis(millis: number): Micros {
  return toMicros(BigInt(Math.trunc(millis)) * 1000n);
}

/** Converts whole seconds since 1970, as binlog event headers hold them. @throws corrupt */
export function microsFromSeconds(seconds: number): Micros {
  return toMicros(BigInt(seconds) * 1_000_000n);
}

/** The later of two instants. */
export function laterOf(a: Micros, b: Micros): Micros {
  return a >= b ? a : b;
}
