import { AppError } from './errors.ts';
import { parseServerUuid, type ServerUuid } from './identity.ts';

/** A global transaction identifier: `uuid:number`, or `uuid:tag:number`. */
export interface Gtid {
  readonly uuid: ServerUuid;
  /** Lower case; empty where the GTID has no tag. */
  readonly tag: string;
  /** 1 to 2^63 - 2. */
  readonly number: bigint;
}

/** The highest number MySQL gives (sql/rpl_gtid.h: GNO_END is 2^63 - 1 and not used). */
export const MAX_GTID_NUMBER = 2n ** 63n - 2n;

const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const DIGITS = /^[0-9]{1,19}$/;

/** True where the text, in lower case, can be a GTID's tag: a letter or `_`, then letters, digits, `_`; 32 at most. */
export function isGtidTag(text: string): boolean {
  return TAG.test(text);
}

function malformed(text: string, fact: string): AppError {
  return new AppError({
    code: 'MalformedGtid',
    kind: 'refused',
    message: `${JSON.stringify(text.slice(0, 120))} is not a GTID: ${fact}.`,
    hint: 'A GTID looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562:23, with a tag 3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:23.',
    facts: { text: text.slice(0, 120) },
  });
}

/** Parses a GTID number, 1 to 2^63 - 2; null where it is none. */
export function parseGtidNumber(digits: string): bigint | null {
  if (!DIGITS.test(digits)) return null;
  const value = BigInt(digits);
  return value >= 1n && value <= MAX_GTID_NUMBER ? value : null;
}

/** Parses one GTID, `uuid:number` or `uuid:tag:number`, in either case. @throws refused */
export function parseGtid(text: string): Gtid {
  const parts = text.trim().split(':');
  if (parts.length < 2 || parts.length > 3) throw malformed(text, 'it has not two or three parts');
  const tag = parts.length === 3 ? (parts[1] ?? '').toLowerCase() : '';
  if (parts.length === 3 && !isGtidTag(tag)) throw malformed(text, `${JSON.stringify(parts[1])} is no tag`);
  const digits = parts[parts.length - 1] ?? '';
  if (/^[0-9]+-[0-9]+$/.test(digits)) throw malformed(text, 'it is a range, and one transaction is wanted');
  const number = parseGtidNumber(digits);
  if (number === null) throw malformed(text, `${JSON.stringify(digits)} is no number from 1 to 2^63 - 2`);
  return { uuid: parseServerUuid(parts[0] ?? ''), tag, number };
}

/** Writes a GTID as the server does. */
export function formatGtid(gtid: Gtid): string {
  return gtid.tag === '' ? `${gtid.uuid}:${gtid.number}` : `${gtid.uuid}:${gtid.tag}:${gtid.number}`;
}

/** True where both name the same transaction. */
export function sameGtid(a: Gtid, b: Gtid): boolean {
  return a.number === b.number && a.uuid === b.uuid && a.tag === b.tag;
}
