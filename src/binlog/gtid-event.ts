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

const HIGH_BIT_55 = 1n << 55n;
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

/** Source: MySQL control_events.cpp, Gtid_event::Gtid_event. */
function decodeClassic(frame: Frame, uuids: UuidFormatter): GtidEvent {
  const reader = new ByteReader(frame.bytes, frame.bodyStart, frame.bodyEnd, frame);
  const anonymous = frame.type === EVENT.ANONYMOUS_GTID;
  const flags = reader.u8();
  const uuid = uuids.format(reader.take(16));
  const number = reader.bigInt();
  checkNumber(number, anonymous, reader);
  const clock = reader.remaining >= 17 && reader.u8() === TYPECODE_LOGICAL_CLOCK;
  const lastCommitted = clock ? reader.bigInt() : 0n;
  const sequenceNumber = clock ? reader.bigInt() : 0n;
  const times = clock && reader.remaining >= 7 ? readTimes(reader) : null;
  const transactionBytes = times !== null && reader.remaining > 0 ? length(reader.packed(), reader) : null;
  const version = reader.remaining >= 4 ? reader.uint(4) : null;
  return {
    gtid: anonymous ? null : { uuid, tag: '', number },
    mayHoldStatements: (flags & 1) !== 0,
    lastCommitted,
    sequenceNumber,
    committedAtMicros: times?.immediate ?? null,
    originalCommittedAtMicros: times?.original ?? null,
    transactionBytes,
    serverVersionNumber: version === null ? null : version % HIGH_BIT_31,
  };
}

function readTimes(reader: ByteReader): { immediate: Micros; original: Micros } {
  const first = reader.bigUint(7);
  if ((first & HIGH_BIT_55) === 0n) {
    const both = time(first, reader);
    return { immediate: both, original: both };
  }
  return { immediate: time(first - HIGH_BIT_55, reader), original: time(reader.bigUint(7), reader) };
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
    gtid: { uuid: uuids.format(fields.uuid), tag: fields.tag, number: fields.number },
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
