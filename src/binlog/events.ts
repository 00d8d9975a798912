import { ByteReader } from './byte-reader.ts';
import { EVENT } from './event-types.ts';
import type { Frame } from './frame.ts';
import type { Place } from './problem.ts';

function readerOf(frame: Frame): ByteReader {
  return new ByteReader(frame.bytes, frame.bodyStart, frame.bodyEnd, frame);
}

/** ROTATE: this log is complete, and the next one is named. */
export interface RotateEvent {
  readonly nextBinlog: string;
  readonly nextPosition: bigint;
}

/** Decodes ROTATE. Source: MySQL control_events.cpp, Rotate_event. @throws corrupt */
export function decodeRotate(frame: Frame): RotateEvent {
  const reader = readerOf(frame);
  const nextPosition = reader.bigUint(8);
  const nextBinlog = Buffer.from(reader.take(reader.remaining)).toString('utf8');
  if (nextBinlog === '') throw reader.malformed('it names no log');
  return { nextBinlog, nextPosition };
}

/** How the session read the text of a QUERY; from its status variables. */
export interface SqlContext {
  /** `sql_mode` of the session, lowest 53 bits; 0 where not logged. */
  readonly sqlMode: number;
  /** Id of `character_set_client`'s collation; 0 where not logged. */
  readonly clientCollation: number;
}

/** QUERY: a statement, or the border of a transaction. The views are valid while the frame is. */
export interface QueryEvent extends SqlContext {
  readonly schema: Uint8Array;
  /** The text, or its beginning where the event is large. */
  readonly sql: Uint8Array;
  readonly errorCode: number;
}

const Q_FLAGS2 = 0;
const Q_SQL_MODE = 1;
const Q_AUTO_INCREMENT = 3;
const Q_CHARSET = 4;
const Q_CATALOG = 6;

/** Reads the first status variables, which stand in a fixed order; the rest is skipped. Source: MySQL statement_events.cpp. */
function readStatus(reader: ByteReader, end: number): SqlContext {
  let sqlMode = 0;
  while (reader.position < end) {
    const code = reader.u8();
    if (code === Q_FLAGS2 || code === Q_AUTO_INCREMENT) reader.skip(4);
    else if (code === Q_SQL_MODE) {
      sqlMode = reader.uint(6);
      reader.skip(2);
    } else if (code === Q_CATALOG) reader.skip(reader.u8());
    else if (code === Q_CHARSET) return { sqlMode, clientCollation: reader.uint(2) };
    else break;
  }
  return { sqlMode, clientCollation: 0 };
}

/** Length of QUERY's post-header. */
const QUERY_BYTES = 13;
/** Bytes of the post-header that EXECUTE_LOAD_QUERY has more than QUERY: file id, two positions, duplicate handling. */
const LOAD_BYTES = 13;

/** Decodes QUERY or EXECUTE_LOAD_QUERY. Source: MySQL statement_events.h and load_data_events.h. @throws corrupt */
export function decodeQuery(frame: Frame): QueryEvent {
  const reader = readerOf(frame);
  reader.skip(8);
  const schemaLength = reader.u8();
  const errorCode = reader.uint(2);
  const statusLength = reader.uint(2);
  if (frame.type === EVENT.EXECUTE_LOAD_QUERY) reader.skip(LOAD_BYTES);
  const statusEnd = reader.position + statusLength;
  const status = readStatus(reader, statusEnd);
  reader.skip(statusEnd - reader.position);
  const schema = reader.take(schemaLength);
  if (reader.u8() !== 0) throw reader.malformed('its schema name does not end where it says');
  return { ...status, schema, errorCode, sql: reader.take(reader.remaining) };
}

const BEGIN = { kind: 'begin' } as const;
const COMMIT = { kind: 'commit' } as const;

/**
 * Recognises QUERY events that are exactly BEGIN or COMMIT, as a server writes them: most of all
 * QUERY events are. Null for any other, also for one that cannot be read.
 */
export function borderOf(frame: Frame): typeof BEGIN | typeof COMMIT | null {
  const { view, bodyStart, bodyEnd } = frame;
  if (frame.type !== EVENT.QUERY || bodyEnd - bodyStart < QUERY_BYTES) return null;
  const schemaEnd =
    bodyStart + QUERY_BYTES + view.getUint16(bodyStart + 11, true) + view.getUint8(bodyStart + 8);
  const length = bodyEnd - schemaEnd - 1;
  if (length !== 5 && length !== 6) return null;
  // The zero behind the schema and the word's first letters, as one number.
  const word = view.getUint32(schemaEnd, true);
  const end = view.getUint16(bodyEnd - 2, true);
  if (length === 5 && word === 0x47454200 && end === 0x4e49) return BEGIN;
  return word === 0x4d4f4300 && view.getUint8(schemaEnd + 4) === 0x4d && end === 0x5449 ? COMMIT : null;
}

/** XA_PREPARE: the end of a prepared transaction, or of one committed in one phase. */
export interface XaPrepareEvent {
  readonly onePhase: boolean;
  /** As in `xidKey`. */
  readonly xid: string;
}

/** One text for an XID, however it was written: format id and both parts in hexadecimal. */
export function xidKey(formatId: number, gtrid: Uint8Array, bqual: Uint8Array): string {
  return `${formatId}:${Buffer.from(gtrid).toString('hex')}:${Buffer.from(bqual).toString('hex')}`;
}

/** Decodes XA_PREPARE. Source: MySQL control_events.cpp, XA_prepare_event. @throws corrupt */
export function decodeXaPrepare(frame: Frame): XaPrepareEvent {
  const reader = readerOf(frame);
  const onePhase = reader.u8() !== 0;
  const formatId = reader.uint(4);
  const gtridLength = reader.uint(4);
  const bqualLength = reader.uint(4);
  if (gtridLength > 64 || bqualLength > 64) throw reader.malformed('its XID is longer than 64 bytes');
  return { onePhase, xid: xidKey(formatId, reader.take(gtridLength), reader.take(bqualLength)) };
}

/** Number of the file whose content BEGIN_LOAD_QUERY, APPEND_BLOCK, DELETE_FILE or EXECUTE_LOAD_QUERY speaks of. @throws corrupt */
export function loadFileId(frame: Frame): number {
  const reader = readerOf(frame);
  if (frame.type === EVENT.EXECUTE_LOAD_QUERY) reader.skip(QUERY_BYTES);
  return reader.uint(4);
}

/** INCIDENT: the server says that something went wrong. Source: MySQL control_events.cpp, Incident_event. @throws corrupt */
export function decodeIncident(frame: Frame): { readonly number: number; readonly message: string } {
  const reader = readerOf(frame);
  const number = reader.uint(2);
  return { number, message: Buffer.from(reader.take(reader.u8())).toString('utf8') };
}

/** Number of the table that TABLE_MAP or a ROWS event speaks of. @throws corrupt */
export function tableIdOf(frame: Frame): number {
  if (frame.bodyEnd - frame.bodyStart < 8)
    throw readerOf(frame).malformed('it is shorter than its post-header');
  const bytes = frame.bytes;
  const at = frame.bodyStart;
  const low =
    ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)) >>> 0;
  const high =
    ((bytes[at + 3] as number) | ((bytes[at + 4] as number) << 8) | ((bytes[at + 5] as number) << 16)) >>> 0;
  return low + high * 0x100_0000;
}

/** True where a ROWS event ends its statement (STMT_END_F), after `tableIdOf` has checked its length. */
export function endsStatement(frame: Frame): boolean {
  return ((frame.bytes[frame.bodyStart + 6] as number) & 1) !== 0;
}

/** TRANSACTION_PAYLOAD's own header; the payload itself follows at `payloadStart`. */
export interface PayloadHeader {
  readonly compression: 'zstd' | 'none';
  /** As declared; what comes out is bounded where it is opened. */
  readonly uncompressedBytes: number;
  readonly payloadBytes: number;
  /** Index in the given bytes. */
  readonly payloadStart: number;
}

/**
 * Decodes the header fields of TRANSACTION_PAYLOAD, from the beginning of its body.
 * Source: MySQL libs/mysql/binlog/event/codecs/binary.cpp. @throws corrupt
 */
export function decodePayloadHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  bodyBytes: number,
  place: Place,
): PayloadHeader {
  const reader = new ByteReader(bytes, start, end, place);
  const values = new Map<number, number>();
  for (let field = reader.packedNumber(); field !== 0; field = reader.packedNumber()) {
    const next = reader.packedNumber() + reader.position;
    if (field <= 3) values.set(field, reader.packedNumber());
    reader.skip(next - reader.position);
  }
  const payloadBytes = values.get(1) ?? 0;
  const type = values.get(2);
  if (type !== 0 && type !== 255) throw reader.malformed(`compression type ${type} is not known`);
  const follow = bodyBytes - (reader.position - start);
  if (payloadBytes !== follow) {
    throw reader.malformed(`a payload of ${payloadBytes} bytes is declared and ${follow} follow`);
  }
  return {
    compression: type === 0 ? 'zstd' : 'none',
    uncompressedBytes: values.get(3) ?? payloadBytes,
    payloadBytes,
    payloadStart: reader.position,
  };
}
