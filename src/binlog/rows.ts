import { EVENT } from './event-types.ts';
import { corruptAt, type Place } from './problem.ts';
import type { TableMap } from './table-map.ts';

/** What a ROWS event did to a table. */
export interface RowCount {
  readonly table: TableMap;
  readonly rows: number;
}

const POST_HEADER_BYTES = 8;
/** One bit for each of 4096 columns. */
const MAX_NULL_BYTES = 512;
const NOTHING = new Uint8Array(0);

/**
 * Counts the rows of one WRITE, UPDATE, DELETE or PARTIAL_UPDATE_ROWS event by walking its row
 * images. The body may come in pieces of any size; only a few bytes are kept between them.
 * Source: MySQL rows_event.h, Rows_event; sql/log_event.cc, unpack_row.
 */
export class RowCounter {
  readonly #place: Place;
  readonly #type: number;
  readonly #tables: ReadonlyMap<number, TableMap>;
  readonly #walk: Generator<undefined, RowCount>;
  /** Bytes of the event's body that were not walked over. */
  #left: number;
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #end = 0;
  #result: RowCount | null = null;
  /** Null bits of the image under way. */
  readonly #nulls = new Uint8Array(MAX_NULL_BYTES);

  /** @param tables the TABLE_MAPs of the statement, by number */
  constructor(options: {
    readonly place: Place & { readonly type: number };
    readonly bodyBytes: number;
    readonly tables: ReadonlyMap<number, TableMap>;
  }) {
    // The framer's frame is used again, so its place is copied.
    this.#place = { file: options.place.file, offset: options.place.offset, type: options.place.type };
    this.#type = options.place.type;
    this.#tables = options.tables;
    this.#left = options.bodyBytes;
    this.#walk = this.#rows();
  }

  /** Takes the next piece of the body. @throws corrupt */
  push(bytes: Uint8Array, start: number, end: number): void {
    if (this.#at < this.#end) {
      const joined = new Uint8Array(this.#end - this.#at + end - start);
      joined.set(this.#bytes.subarray(this.#at, this.#end));
      joined.set(bytes.subarray(start, end), this.#end - this.#at);
      this.#bytes = joined;
      this.#at = 0;
      this.#end = joined.length;
    } else {
      this.#bytes = bytes;
      this.#at = start;
      this.#end = end;
    }
    if (this.#result === null) {
      const step = this.#walk.next();
      if (step.done === true) this.#result = step.value;
    }
    // The caller's bytes are not ours after this call.
    this.#bytes = Uint8Array.from(this.#bytes.subarray(this.#at, this.#end));
    this.#end -= this.#at;
    this.#at = 0;
  }

  /** Ends the body. @throws corrupt where it ends inside a row */
  finish(): RowCount {
    if (this.#result === null) throw this.#malformed('it ends inside a row');
    return this.#result;
  }

  *#rows(): Generator<undefined, RowCount> {
    const head = yield* this.#take(POST_HEADER_BYTES + 2);
    const id = this.#uint(head, 6);
    const extra = this.#uint(head + POST_HEADER_BYTES, 2);
    if (extra < 2) throw this.#malformed(`extra data of ${extra} bytes is shorter than its own length`);
    yield* this.#skip(extra - 2);
    const table = this.#tables.get(id);
    if (table === undefined)
      throw corruptAt(this.#place, 'table-map-missing', `no TABLE_MAP before it describes table ${id}`);
    const columns = yield* this.#packed();
    if (columns !== table.lengths.length)
      throw this.#malformed(`it has ${columns} columns and its TABLE_MAP ${table.lengths.length}`);
    const updates = this.#type === EVENT.UPDATE_ROWS || this.#type === EVENT.PARTIAL_UPDATE_ROWS;
    const first = yield* this.#presentLengths(table);
    const second = updates ? yield* this.#presentLengths(table) : null;
    let rows = 0;
    while (this.#left > 0) {
      const before = this.#left;
      yield* this.#image(first);
      if (second !== null) {
        if (this.#type === EVENT.PARTIAL_UPDATE_ROWS) yield* this.#partialBits(table);
        yield* this.#image(second);
      }
      if (this.#left === before) throw this.#malformed('its rows have no columns, and bytes are left');
      rows += 1;
    }
    return { table, rows };
  }

  /** Reads which columns the images have, and returns their lengths. */
  *#presentLengths(table: TableMap): Generator<undefined, readonly number[]> {
    const at = yield* this.#take((table.lengths.length + 7) >> 3);
    return table.lengths.filter((_, index) => this.#bit(at, index));
  }

  /** Options of an after image with partial JSON: a bitmap follows where the first bit is set. */
  *#partialBits(table: TableMap): Generator<undefined, undefined> {
    const options = yield* this.#packed();
    if ((options & 1) !== 0) yield* this.#skip((table.jsonColumns + 7) >> 3);
  }

  *#image(lengths: readonly number[]): Generator<undefined, undefined> {
    const nullBytes = (lengths.length + 7) >> 3;
    const at = yield* this.#take(nullBytes);
    const nulls = this.#nulls;
    nulls.set(this.#bytes.subarray(at, at + nullBytes));
    for (let i = 0; i < lengths.length; i++) {
      if (((nulls[i >> 3] as number) & (1 << (i & 7))) !== 0) continue;
      let length = lengths[i] as number;
      if (length < 0) {
        const prefix = -length;
        const from = this.#end - this.#at >= prefix ? this.#move(prefix) : yield* this.#take(prefix);
        length = this.#uint(from, prefix);
      }
      if (this.#end - this.#at >= length && this.#left >= length) this.#move(length);
      else yield* this.#skip(length);
    }
  }

  *#packed(): Generator<undefined, number> {
    const first = this.#uint(yield* this.#take(1), 1);
    if (first < 251) return first;
    const bytes = first === 252 ? 2 : first === 253 ? 3 : 0;
    if (bytes === 0) throw this.#malformed(`${first} cannot begin a column count`);
    return this.#uint(yield* this.#take(bytes), bytes);
  }

  /** Waits until this many bytes lie side by side, moves over them, returns the index of the first. */
  *#take(count: number): Generator<undefined, number> {
    this.#require(count);
    while (this.#end - this.#at < count) yield;
    return this.#move(count);
  }

  /** Moves over bytes that nobody looks at; they may come in any number of pieces. */
  *#skip(count: number): Generator<undefined, undefined> {
    this.#require(count);
    let left = count;
    for (;;) {
      const step = Math.min(left, this.#end - this.#at);
      this.#move(step);
      left -= step;
      if (left === 0) return;
      yield;
    }
  }

  #move(count: number): number {
    const at = this.#at;
    this.#at = at + count;
    this.#left -= count;
    return at;
  }

  #require(count: number): void {
    if (count > this.#left)
      throw this.#malformed(`a value of ${count} bytes is wanted and ${this.#left} are left`);
  }

  #uint(at: number, count: number): number {
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + (this.#bytes[at + i] as number);
    return value;
  }

  #bit(at: number, index: number): boolean {
    return ((this.#bytes[at + (index >> 3)] as number) & (1 << (index & 7))) !== 0;
  }

  #malformed(reason: string): Error {
    return corruptAt(this.#place, 'malformed-event', `its rows cannot be read: ${reason}`);
  }
}
