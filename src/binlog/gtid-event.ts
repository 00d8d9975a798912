import type { Gtid } from '../domain/gtid.ts';
import { isGtidTag, MAX_GTID_NUMBER } from '../domain/gtid.ts';
import { MAX_MICROS, type Micros } from '../domain/time.ts';
import { ByteReader } from './byte-reader.ts';
import { EVENT } from './event-types.ts';
import type { Frame } from './frame.ts';
import { readVarInt, readVarNumber, readVarUint } from './serialization.ts';
import type { UuidFormatter } from './uuid.ts';

/** GTID, ANONYMOUS_GTID or GTID_TAGGED: the event that opens every transaction. */
export interface GtidEvent {
  /** Null in ANONYMOUS_GTID. */
  readonly gtid: Gtid | null;
  /** Part of the transaction may be logged as statements (flag FLAG_MAY_HAVE_SBR). */
  readonly mayHoldStatements: boolean;
  /** Logical clock of this file; 0 where the server gave none. */
  readonly lastCommitted: bigint;
  readonly sequenceNumber: bigint;
  /** When this server committed it; null in logs before MySQL 8.0.1. */
  readonly committedAtMicros: Micros | null;
  /** When the first server committed it. Sessions can set it: never a basis for a decision. */
  readonly originalCommittedAtMicros: Micros | null;
  /** Bytes of the transaction with this event; null in logs before MySQL 8.0.2. */
  readonly transactionBytes: number | null;
  /** 90704 for 9.7.4; null where absent. */
  readonly serverVersionNumber: number | null;
}

const HIGH_BIT_31 = 0x8000_0000;
const TYPECODE_LOGICAL_CLOCK = 2;

function time(value: bigint, reader: ByteReader): Micros {
  if (value > MAX_MICROS) throw reader.malformed(`a commit time of ${value} µs lies after the year 9999`);
  return value as Micros;
}

function length(value: bigint, reader: ByteReader): number | null {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw reader.malformed(`a transaction of ${value} bytes is absurd`);
  return value === 0n ? null : Number(value);
}

function checkNumber(number: bigint, anonymous: boolean, reader: ByteReader): void {
  const fine = anonymous ? number === 0n : number >= 1n && number <= MAX_GTID_NUMBER;
  if (!fine) throw reader.malformed(`${number} is no number of such a GTID`);
}

/** Lengths of the classic layout: flags, UUID, number; type code and two logical times; one commit time. */
const IDENTITY_BYTES = 25;
const CLOCK_BYTES = 17;
const TIME_BYTES = 7;

/** Source: MySQL control_events.cpp, Gtid_event::Gtid_event. */
function decodeClassic(frame: Frame, uuids: UuidFormatter): GtidEvent {
  const { view, bodyStart: start } = frame;
  const reader = new ByteReader(frame.bytes, start, frame.bodyEnd, frame);
  reader.skip(IDENTITY_BYTES);
  const anonymous = frame.type === EVENT.ANONYMOUS_GTID;
  const number = view.getBigInt64(start + 17, true);
  checkNumber(number, anonymous, reader);
  const clock =
    reader.remaining >= CLOCK_BYTES && view.getUint8(start + IDENTITY_BYTES) === TYPECODE_LOGICAL_CLOCK;
  if (clock) reader.skip(CLOCK_BYTES);
  const timeAt = clock && reader.remaining >= TIME_BYTES ? reader.skip(TIME_BYTES) : null;
  const committedAtMicros = timeAt === null ? null : readTime(view, timeAt, reader);
  const twice = timeAt !== null && (view.getUint8(timeAt + 6) & 0x80) !== 0;
  const originalCommittedAtMicros = twice
    ? readTime(view, reader.skip(TIME_BYTES), reader)
    : committedAtMicros;
  const transactionBytes = timeAt !== null && reader.remaining > 0 ? reader.packedNumber() : 0;
  const version = reader.remaining >= 4 ? view.getUint32(reader.skip(4), true) : null;
  return {
    gtid: anonymous ? null : { uuid: uuids.format(frame.bytes, start + 1), tag: '', number },
    mayHoldStatements: (view.getUint8(start) & 1) !== 0,
    lastCommitted: clock ? view.getBigInt64(start + 26, true) : 0n,
    sequenceNumber: clock ? view.getBigInt64(start + 34, true) : 0n,
    committedAtMicros,
    originalCommittedAtMicros,
    transactionBytes: transactionBytes === 0 ? null : transactionBytes,
    serverVersionNumber: version === null ? null : version % HIGH_BIT_31,
  };
}

/** Seven bytes: 55 bits of time, and one that says that another time follows. */
function readTime(view: DataView, at: number, reader: ByteReader): Micros {
  const low = view.getUint32(at, true);
  const high = view.getUint16(at + 4, true) + (view.getUint8(at + 6) & 0x7f) * 0x1_0000;
  const exact = high < 0x20_0000 ? BigInt(low + high * 0x1_0000_0000) : (BigInt(high) << 32n) | BigInt(low);
  return time(exact, reader);
}

interface TaggedFields {
  flags: number;
  uuid: Uint8Array | null;
  number: bigint;
  tag: string;
  lastCommitted: bigint;
  sequenceNumber: bigint;
  immediate: bigint;
  original: bigint | null;
  transactionBytes: bigint;
  version: number | null;
}

/** Each byte of a fixed array is a variable-length integer of its own. */
function readUuid(reader: ByteReader): Uint8Array {
  return Uint8Array.from({ length: 16 }, () => readVarNumber(reader));
}

function readTag(reader: ByteReader): string {
  const tag = Buffer.from(reader.take(readVarNumber(reader))).toString('latin1');
  if (tag !== '' && !isGtidTag(tag))
    throw reader.malformed(`${JSON.stringify(tag.slice(0, 40))} is no GTID tag`);
  return tag;
}

/** Fields of Gtid_event::define_fields, in order: the index is the field's id. */
const FIELDS: readonly ((into: TaggedFields, reader: ByteReader) => void)[] = [
  (into, reader) => {
    into.flags = readVarNumber(reader);
  },
  (into, reader) => {
    into.uuid = readUuid(reader);
  },
  (into, reader) => {
    into.number = readVarInt(reader);
  },
  (into, reader) => {
    into.tag = readTag(reader);
  },
  (into, reader) => {
    into.lastCommitted = readVarInt(reader);
  },
  (into, reader) => {
    into.sequenceNumber = readVarInt(reader);
  },
  (into, reader) => {
    into.immediate = readVarUint(reader);
  },
  (into, reader) => {
    into.original = readVarUint(reader);
  },
  (into, reader) => {
    into.transactionBytes = readVarUint(reader);
  },
  (into, reader) => {
    into.version = readVarNumber(reader);
  },
  (_into, reader) => {
    readVarNumber(reader);
  },
  (_into, reader) => {
    readVarUint(reader);
  },
];

/** Reads the message: format version, size, last field that must be understood, then id and value of each. */
function readFields(reader: ByteReader): TaggedFields {
  const fields: TaggedFields = {
    flags: 0,
    uuid: null,
    number: 0n,
    tag: '',
    lastCommitted: 0n,
    sequenceNumber: 0n,
    immediate: 0n,
    original: null,
    transactionBytes: 0n,
    version: null,
  };
  const available = reader.remaining;
  const formatVersion = readVarNumber(reader);
  if (formatVersion !== 1) throw reader.malformed(`serialization format ${formatVersion} is not 1`);
  const size = readVarNumber(reader);
  if (size !== available) throw reader.malformed(`it says ${size} bytes and has ${available}`);
  const lastNeeded = readVarNumber(reader);
  if (lastNeeded > FIELDS.length)
    throw reader.malformed(`field ${lastNeeded - 1} must be understood and is not known`);
  let previous = -1;
  while (reader.remaining > 0) {
    const id = readVarNumber(reader);
    if (id <= previous) throw reader.malformed(`field ${id} follows field ${previous}`);
    const read = FIELDS[id];
    // A field of a later version has no length of its own, so nothing after it can be read.
    if (read === undefined) break;
    read(fields, reader);
    previous = id;
  }
  return fields;
}

/** Source: MySQL control_events.h, Gtid_event::define_fields; libs/mysql/serialization/readme.md. */
function decodeTagged(frame: Frame, uuids: UuidFormatter): GtidEvent {
  const reader = new ByteReader(frame.bytes, frame.bodyStart, frame.bodyEnd, frame);
  const fields = readFields(reader);
  if (fields.uuid === null) throw reader.malformed('it has no UUID');
  checkNumber(fields.number, false, reader);
  const immediate = time(fields.immediate, reader);
  return {
    gtid: { uuid: uuids.format(fields.uuid, 0), tag: fields.tag, number: fields.number },
    mayHoldStatements: (fields.flags & 1) !== 0,
    lastCommitted: fields.lastCommitted,
    sequenceNumber: fields.sequenceNumber,
    committedAtMicros: immediate,
    originalCommittedAtMicros: fields.original === null ? immediate : time(fields.original, reader),
    transactionBytes: length(fields.transactionBytes, reader),
    serverVersionNumber: fields.version,
  };
}

/** Decodes any of the three GTID events. @throws corrupt */
export function decodeGtidEvent(frame: Frame, uuids: UuidFormatter): GtidEvent {
  return frame.type === EVENT.GTID_TAGGED ? decodeTagged(frame, uuids) : decodeClassic(frame, uuids);
}
