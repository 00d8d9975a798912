import { crc32 } from 'node:zlib';
import { CHECKSUM_BYTES, HEADER_BYTES } from './event-header.ts';

/** Larger events are verified alone: there the call's cost is small against the bytes. */
const MAX_BATCHED_BYTES = 512;
/** CRC-32 of any bytes followed by their own CRC-32, little endian: a property of the polynomial. */
const RESIDUE = 0x2144df1c;
const POLYNOMIAL = 0xedb88320;

/** a·b modulo the CRC polynomial, bits reflected. Source: zlib crc32.c, multmodp. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}

/** x^(8·bytes): moves a CRC over that many zero bytes when multiplied with it. */
function shiftOf(bytes: number): number {
  let power = 0x80000000;
  for (let i = 0; i < bytes; i++) power = multiply(power, 0x00800000);
  return power;
}

/** Words of one length's tables: four times 256, one per byte of the CRC that is moved. */
const TABLE_WORDS = 1024;
/** Tables of all lengths, filled when a length is met first. */
const tables = new Uint32Array((MAX_BATCHED_BYTES + 1) * TABLE_WORDS);
const filled = new Uint8Array(MAX_BATCHED_BYTES + 1);

function fillTable(bytes: number): void {
  const shift = shiftOf(bytes);
  for (let lane = 0; lane < 4; lane++) {
    for (let value = 0; value < 256; value++) {
      const word = multiply(shift, (value << (lane * 8)) >>> 0);
      tables[bytes * TABLE_WORDS + lane * 256 + value] = word;
    }
  }
  filled[bytes] = 1;
}

/**
 * Verifies the checksums of many small events in a row with one pass over their bytes.
 *
 * The CRC of an event with its own checksum is always RESIDUE, so the CRC that runs on over a
 * row of sound events depends on their lengths alone. It is computed from the lengths here and
 * compared with the one over the bytes. A wrong event leaves a difference which the events after
 * it only shift, so it is found as surely as alone; that two wrong ones cancel has probability
 * 2^-32, the same as that a wrong one goes unseen at all.
 */
export class ChecksumRow {
  /** Index behind the row's last event. */
  end = 0;
  /** `unverified`: one of the row is wrong, or the row is empty, and each must be looked at alone. */
  state: 'verified' | 'unverified' = 'unverified';

  /** Takes the row from `start` on: up to an event that is large, or not whole in the chunk. */
  verify(view: DataView, chunk: Uint8Array, start: number): void {
    let expected = 0;
    let at = start;
    const last = chunk.length - HEADER_BYTES;
    while (at <= last) {
      const size = view.getUint32(at + 9, true);
      const batched = size <= MAX_BATCHED_BYTES && size >= HEADER_BYTES + CHECKSUM_BYTES;
      if (!batched || at + size > chunk.length) break;
      if (filled[size] === 0) fillTable(size);
      const table = size * TABLE_WORDS;
      expected =
        RESIDUE ^
        (tables[table + (expected & 0xff)] as number) ^
        (tables[table + 256 + ((expected >>> 8) & 0xff)] as number) ^
        (tables[table + 512 + ((expected >>> 16) & 0xff)] as number) ^
        (tables[table + 768 + (expected >>> 24)] as number);
      at += size;
    }
    this.end = at;
    const sound = at > start && crc32(chunk.subarray(start, at)) === expected >>> 0;
    this.state = sound ? 'verified' : 'unverified';
  }
}
