const MIB = 1024 * 1024;
/** Size of the first parts, and of the largest object that goes in one request. */
export const PART_BYTES = 5 * MIB;
/** S3's limits. */
export const MAX_PARTS = 10_000;
/** Parts of the length so far that are in flight together; larger parts go one at a time. */
const IN_FLIGHT_BYTES = 3 * PART_BYTES;
/** Where the length is unknown, parts double after so many: 10,000 of them hold more than 5 TiB. */
const PARTS_PER_SIZE = 900;

/** Size of part `number` (from 1): even where the length is known, growing where it is not. */
export function partBytes(number: number, lengthBytes: number | null): number {
  if (lengthBytes === null) return PART_BYTES * 2 ** Math.floor((number - 1) / PARTS_PER_SIZE);
  return Math.max(PART_BYTES, Math.ceil(lengthBytes / MAX_PARTS / MIB) * MIB);
}

/** How many parts of this size are sent at once. */
export function partsInFlight(bytes: number): number {
  return Math.max(1, Math.floor(IN_FLIGHT_BYTES / bytes));
}
