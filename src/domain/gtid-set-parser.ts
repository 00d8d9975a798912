import { AppError } from './errors.ts';
import { isGtidTag, parseGtidNumber } from './gtid.ts';
import { parseServerUuid, type ServerUuid } from './identity.ts';

/** Takes each interval as it is read, both ends included. */
export type IntervalSink = (uuid: ServerUuid, tag: string, from: bigint, to: bigint) => void;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/iy;
const SPACE = /\s*/y;
const TAG = /[a-z_][a-z0-9_]*/iy;
const NUMBER = /[0-9]+/y;

/** Reads the text of one GTID set from left to right. */
class Cursor {
  readonly #text: string;
  #offset = 0;

  constructor(text: string) {
    this.#text = text;
    this.take(SPACE);
  }

  /** Takes what the sticky pattern matches here, and the white space after it; null where it does not match. */
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) return null;
    SPACE.lastIndex = this.#offset + found.length;
    SPACE.exec(this.#text);
    this.#offset = SPACE.lastIndex;
    return found;
  }

  /** Takes one given character, and the white space after it. */
  takeChar(wanted: string): boolean {
    if (this.#text[this.#offset] !== wanted) return false;
    this.#offset += 1;
    this.take(SPACE);
    return true;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#text.length;
  }

  get offset(): number {
    return this.#offset;
  }

  /** The error for this place, or for the given one. */
  wrong(expected: string, offset = this.#offset): AppError {
    const around = `${this.#text.slice(Math.max(0, offset - 40), offset)}[HERE]${this.#text.slice(offset, offset + 40)}`;
    return new AppError({
      code: 'MalformedGtidSet',
      kind: 'refused',
      message: `A GTID set cannot be read: ${expected} is expected after ${offset} characters, at [HERE] in ${JSON.stringify(around)}.`,
      hint: 'A GTID set looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8:tag:1-3, several joined by commas.',
      facts: { offset, expected, around },
    });
  }
}

function readNumber(cursor: Cursor): bigint {
  const offset = cursor.offset;
  const digits = cursor.take(NUMBER);
  const value = digits === null ? null : parseGtidNumber(digits.replace(/^0+(?=\d)/, ''));
  if (value === null) throw cursor.wrong('a number from 1 to 2^63 - 2', offset);
  return value;
}

function readTag(cursor: Cursor): string | null {
  const offset = cursor.offset;
  const tag = cursor.take(TAG)?.toLowerCase();
  if (tag === undefined) return null;
  if (!isGtidTag(tag)) throw cursor.wrong('a tag of at most 32 characters', offset);
  return tag;
}

/** Reads `:1-5:8:tag:1-3`: a tag holds for the intervals after it, up to the next tag. */
function readIntervals(cursor: Cursor, uuid: ServerUuid, sink: IntervalSink): void {
  let tag = '';
  if (!cursor.takeChar(':')) throw cursor.wrong('":" and a number or a tag');
  do {
    const newTag = readTag(cursor);
    if (newTag !== null) {
      tag = newTag;
      if (!cursor.takeChar(':')) throw cursor.wrong('":" and a number');
    }
    const offset = cursor.offset;
    const from = readNumber(cursor);
    const to = cursor.takeChar('-') ? readNumber(cursor) : from;
    if (to < from) throw cursor.wrong('an interval whose end is not before its start', offset);
    sink(uuid, tag, from, to);
  } while (cursor.takeChar(':'));
}

/**
 * Reads a GTID set in any form that the server prints or that people write: white space, upper
 * case, an UUID named twice, intervals in any order. An empty interval, an UUID without numbers
 * and an empty place between commas are refused, though the server takes them for nothing.
 * Source: MySQL sql/rpl_gtid_set.cc, Gtid_set::add_gtid_text. @throws refused
 */
export function readGtidSet(text: string, sink: IntervalSink): void {
  const cursor = new Cursor(text);
  if (cursor.atEnd) return;
  do {
    const uuid = cursor.take(UUID);
    if (uuid === null) throw cursor.wrong('a UUID');
    readIntervals(cursor, parseServerUuid(uuid), sink);
  } while (cursor.takeChar(','));
  if (!cursor.atEnd) throw cursor.wrong('":" or "," or the end');
}
