import type { ByteReader } from './byte-reader.ts';

/**
 * Variable-length integers of MySQL's serialization library: the first byte's trailing ones say
 * how many bytes follow. Source: MySQL libs/mysql/serialization/variable_length_integers.h.
 */
export function readVarUint(reader: ByteReader): bigint {
  const first = reader.u8();
  let extra = 0;
  while (extra < 8 && (first & (1 << extra)) !== 0) extra += 1;
  if (extra === 0) return BigInt(first >> 1);
  const low = extra >= 7 ? 0n : BigInt(first >> (extra + 1));
  const high = reader.bigUint(extra);
  return extra >= 7 ? high : low | (high << BigInt(7 - extra));
}

/** Signed variant: the lowest bit is the sign, a negative number is stored as its complement. */
export function readVarInt(reader: ByteReader): bigint {
  const raw = readVarUint(reader);
  return (raw & 1n) === 0n ? raw >> 1n : -(raw >> 1n) - 1n;
}

/** A variable-length integer that must be a small number: a size, an id. */
export function readVarNumber(reader: ByteReader): number {
  const value = readVarUint(reader);
  if (value > 0xffff_ffffn) throw reader.malformed(`${value} is no size`);
  return Number(value);
}
