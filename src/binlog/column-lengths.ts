import type { ByteReader } from './byte-reader.ts';

/**
 * Column types as TABLE_MAP holds them. Source: MySQL include/field_types.h.
 */
const TYPE = {
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  NEWDATE: 14,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP2: 17,
  DATETIME2: 18,
  TIME2: 19,
  TYPED_ARRAY: 20,
  VECTOR: 242,
  BOOL: 244,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

/**
 * How long a column's value is in a row image: `n` bytes where positive or zero; a length of
 * `-n` bytes followed by that many where negative.
 */
export type ValueLength = number;

const FIXED = new Map<number, number>([
  [TYPE.TINY, 1],
  [TYPE.BOOL, 1],
  [TYPE.YEAR, 1],
  [TYPE.SHORT, 2],
  [TYPE.INT24, 3],
  [TYPE.LONG, 4],
  [TYPE.LONGLONG, 8],
  [TYPE.NULL, 0],
  [TYPE.DATE, 3],
  [TYPE.NEWDATE, 3],
  [TYPE.TIME, 3],
  [TYPE.TIMESTAMP, 4],
  [TYPE.DATETIME, 8],
]);

/** Bytes of a fractional-second type without its fraction. */
const FRACTIONAL = new Map<number, number>([
  [TYPE.TIME2, 3],
  [TYPE.TIMESTAMP2, 4],
  [TYPE.DATETIME2, 5],
]);

/** Types whose metadata byte says how many bytes their length has. */
const BLOBS = new Set<number>([
  TYPE.TINY_BLOB,
  TYPE.MEDIUM_BLOB,
  TYPE.LONG_BLOB,
  TYPE.BLOB,
  TYPE.GEOMETRY,
  TYPE.JSON,
  TYPE.VECTOR,
]);

/** Bytes of the digits left over after groups of nine. */
const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

function digitsLength(digits: number): number {
  return Math.floor(digits / 9) * 4 + (DIGIT_BYTES[digits % 9] as number);
}

/** Source: MySQL binary_log_funcs.cpp, decimal_binary_size. */
function decimalLength(precision: number, scale: number, reader: ByteReader): ValueLength {
  if (precision < 1 || precision > 65 || scale > precision)
    throw reader.malformed(`DECIMAL(${precision},${scale}) does not exist`);
  return digitsLength(precision - scale) + digitsLength(scale);
}

/** CHAR, BINARY, ENUM and SET share a type: the first byte tells them apart and has two bits of the length. */
function stringLength(first: number, second: number): ValueLength {
  if (first === TYPE.ENUM || first === TYPE.SET) return second;
  const maximum = (((first << 4) & 0x300) ^ 0x300) + second;
  return maximum > 255 ? -2 : -1;
}

function packLength(bytes: number, reader: ByteReader): ValueLength {
  if (bytes < 1 || bytes > 4) throw reader.malformed(`a length of ${bytes} bytes does not exist`);
  return -bytes;
}

/** Multi-valued index columns hold the element type first, then its metadata; their value is a JSON blob. */
function skipArrayMetadata(reader: ByteReader): ValueLength {
  const element = reader.u8();
  if (element === TYPE.VARCHAR) reader.skip(3);
  else if (element === TYPE.NEWDECIMAL || element === TYPE.STRING || element === TYPE.BIT) reader.skip(2);
  else if (FRACTIONAL.has(element) || BLOBS.has(element) || element === TYPE.DOUBLE || element === TYPE.FLOAT)
    reader.skip(1);
  return -4;
}

/**
 * Reads a column's metadata and says how long its values are in row images. @throws corrupt for a type that MySQL does not log
 * Source: MySQL binary_log_funcs.cpp, calc_field_size; sql/rpl_utility.cc, read_field_metadata.
 */
export function readValueLength(type: number, metadata: ByteReader): ValueLength {
  const fixed = FIXED.get(type);
  if (fixed !== undefined) return fixed;
  const whole = FRACTIONAL.get(type);
  if (whole !== undefined) return whole + ((metadata.u8() + 1) >> 1);
  if (BLOBS.has(type)) return packLength(metadata.u8(), metadata);
  switch (type) {
    case TYPE.FLOAT:
    case TYPE.DOUBLE:
      return metadata.u8();
    case TYPE.VARCHAR:
    case TYPE.VAR_STRING:
      return metadata.uint(2) > 255 ? -2 : -1;
    case TYPE.BIT: {
      const bits = metadata.u8();
      return metadata.u8() + (bits > 0 ? 1 : 0);
    }
    case TYPE.NEWDECIMAL: {
      const precision = metadata.u8();
      return decimalLength(precision, metadata.u8(), metadata);
    }
    case TYPE.STRING:
    case TYPE.ENUM:
    case TYPE.SET: {
      const first = metadata.u8();
      return stringLength(first, metadata.u8());
    }
    case TYPE.TYPED_ARRAY:
      return skipArrayMetadata(metadata);
    default:
      throw metadata.malformed(`column type ${type} is not known`);
  }
}

/** True for JSON, whose partial updates have a bitmap of their own. */
export function isJson(type: number): boolean {
  return type === TYPE.JSON;
}
