import { corruptAt, type Place } from './problem.ts';

/**
 * Reads fields from an event's body, little endian. Reading past the end throws corrupt with the
 * event's place, so a decoder needs no length checks of its own.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #place: Place;
  #at: number;

  constructor(bytes: Uint8Array, start: number, end: number, place: Place) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#place = place;
  }

  /** Index in the underlying array of the next byte. */
  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Moves over bytes and returns the index of the first. */
  skip(count: number): number {
    const at = this.#at;
    if (!(count >= 0 && count <= this.#end - at))
      throw this.malformed(`${count} bytes are wanted and ${this.#end - at} are left`);
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.skip(1)] as number;
  }

  /** Unsigned, 1 to 6 bytes. */
  uint(count: number): number {
    const at = this.skip(count);
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + (this.#bytes[at + i] as number);
    return value;
  }

  /** Unsigned, up to 8 bytes. */
  bigUint(count: number): bigint {
    if (count <= 6) return BigInt(this.uint(count));
    const low = this.uint(4);
    return (BigInt(this.uint(count - 4)) << 32n) | BigInt(low);
  }

  /** Signed, 8 bytes. */
  bigInt(): bigint {
    return BigInt.asIntN(64, this.bigUint(8));
  }

  /** A view on the next bytes; valid as long as the underlying array is. */
  take(count: number): Uint8Array {
    const at = this.skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** Packed integer of 1 to 9 bytes, where it is a length or count. Source: MySQL net_field_length_ll. */
  packedNumber(): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.uint(2);
    if (first === 253) return this.uint(3);
    if (first !== 254) throw this.malformed(`${first} cannot begin a packed integer`);
    const value = this.bigUint(8);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.malformed(`a length of ${value} is absurd`);
    return Number(value);
  }

  /** The error for a body that cannot be read. */
  malformed(reason: string): Error {
    return corruptAt(this.#place, 'malformed-event', `its body cannot be read: ${reason}`);
  }
}
