import { isGtidTag, MAX_GTID_NUMBER } from '../domain/gtid.ts';
import { type GtidSet, GtidSetBuilder } from '../domain/gtid-set.ts';
import { ByteReader } from './byte-reader.ts';
import type { Frame } from './frame.ts';
import { readVarNumber } from './serialization.ts';
import { UuidFormatter } from './uuid.ts';

/** A longer PREVIOUS_GTIDS is refused: a set of four million intervals fits. */
export const MAX_PREVIOUS_GTIDS_BYTES = 64 * 1024 * 1024;

const TAGGED = 1;

/** The count's highest byte is the format: 0 has UUIDs only; 1 has tags, and repeats itself in the lowest. */
function readCount(reader: ByteReader): { count: number; tagged: boolean } {
  const low = reader.uint(1);
  const middle = reader.uint(6);
  const format = reader.uint(1);
  if (format > TAGGED) throw reader.malformed(`GTID set format ${format} is not known`);
  if (format === TAGGED) return { count: middle, tagged: true };
  const count = middle * 256 + low;
  if (!Number.isSafeInteger(count)) throw reader.malformed(`a set of ${count} UUIDs is absurd`);
  return { count, tagged: false };
}

function readTag(reader: ByteReader): string {
  const tag = Buffer.from(reader.take(readVarNumber(reader))).toString('latin1');
  if (tag !== '' && !isGtidTag(tag))
    throw reader.malformed(`${JSON.stringify(tag.slice(0, 40))} is no GTID tag`);
  return tag;
}

/**
 * Decodes PREVIOUS_GTIDS: every GTID logged before this file. @throws corrupt
 * Source: MySQL sql/rpl_gtid_set.cc, Gtid_set::add_gtid_encoding; intervals exclude their end.
 */
export function decodePreviousGtids(frame: Frame): GtidSet {
  const reader = new ByteReader(frame.bytes, frame.bodyStart, frame.bodyEnd, frame);
  const { count, tagged } = readCount(reader);
  const builder = new GtidSetBuilder();
  const uuids = new UuidFormatter();
  for (let i = 0; i < count; i++) {
    const uuid = uuids.format(frame.bytes, reader.skip(16));
    const tag = tagged ? readTag(reader) : '';
    const intervals = reader.bigInt();
    let previousEnd = 0n;
    for (let n = 0n; n < intervals; n++) {
      const from = reader.bigInt();
      const end = reader.bigInt();
      if (from <= previousEnd || end <= from || end > MAX_GTID_NUMBER + 1n) {
        throw reader.malformed(`the interval ${from} to ${end} of ${uuid} is out of order`);
      }
      builder.addRange(uuid, tag, from, end - 1n);
      previousEnd = end;
    }
  }
  if (reader.remaining > 0) throw reader.malformed(`${reader.remaining} bytes follow the set`);
  return builder.build();
}
