import { ByteReader } from './byte-reader.ts';
import { isJson, readValueLength, type ValueLength } from './column-lengths.ts';
import { tableIdOf } from './events.ts';
import type { Frame } from './frame.ts';
import { decodeText } from './sql-tokens.ts';

/** TABLE_MAP: which table a number means in the statement, and how long its values are. */
export interface TableMap {
  readonly tableId: number;
  readonly schema: string;
  readonly name: string;
  readonly lengths: readonly ValueLength[];
  readonly jsonColumns: number;
}

/** MySQL has 4096 columns at most. Source: MySQL sql/sql_const.h, MAX_FIELDS. */
const MAX_COLUMNS = 4096;

function text(reader: ByteReader): string {
  const name = decodeText(reader.take(reader.u8()));
  reader.skip(1);
  return name;
}

/** Decodes TABLE_MAP; the optional metadata behind the null bits is not needed. @throws corrupt
 * Source: MySQL rows_event.h, Table_map_event. */
export function decodeTableMap(frame: Frame): TableMap {
  const tableId = tableIdOf(frame);
  const reader = new ByteReader(frame.bytes, frame.bodyStart + 8, frame.bodyEnd, frame);
  const schema = text(reader);
  const name = text(reader);
  const count = reader.packedNumber();
  if (count > MAX_COLUMNS) throw reader.malformed(`a table with ${count} columns does not exist`);
  const types = reader.take(count);
  const metadataBytes = reader.packedNumber();
  const start = reader.skip(metadataBytes);
  const metadata = new ByteReader(frame.bytes, start, start + metadataBytes, frame);
  const lengths = Array.from(types, (type) => readValueLength(type, metadata));
  if (metadata.remaining > 0)
    throw reader.malformed(`${metadata.remaining} bytes of column metadata are left over`);
  return { tableId, schema, name, lengths, jsonColumns: types.filter(isJson).length };
}
