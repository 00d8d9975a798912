import { crc32 } from 'node:zlib';
import { HEADER_BYTES, MAGIC } from '../../../src/binlog/event-header.ts';
import { EVENT } from '../../../src/binlog/event-types.ts';

/** An event to be written: its type, its body, and what its header says. */
export interface ForgedEvent {
  readonly type: number;
  readonly body: Uint8Array;
  readonly flags?: number;
  readonly serverId?: number;
}

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const UUID_BYTES = Buffer.from(UUID.replaceAll('-', ''), 'hex');

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** FORMAT_DESCRIPTION as MySQL 9.7 writes it. */
export function formatDescription(
  options: { version?: string; checksum?: number; flags?: number } = {},
): ForgedEvent {
  const version = Buffer.alloc(50);
  version.write(options.version ?? '9.7.4');
  const body = Buffer.concat([
    u16(4),
    version,
    u32(0),
    Uint8Array.of(19),
    new Uint8Array(42),
    Uint8Array.of(options.checksum ?? 1),
  ]);
  return { type: EVENT.FORMAT_DESCRIPTION, body, flags: options.flags ?? 0 };
}

/** PREVIOUS_GTIDS without tags: 1 to `last` of UUID, or the empty set. */
export function previousGtids(last = 0n): ForgedEvent {
  const body = last === 0n ? u64(0n) : Buffer.concat([u64(1n), UUID_BYTES, u64(1n), u64(1n), u64(last + 1n)]);
  return { type: EVENT.PREVIOUS_GTIDS, body, flags: 0x80 };
}

/** GTID with the classic layout; `bytes` is the length of the transaction with this event. */
export function gtid(options: {
  number?: bigint;
  sequence?: bigint;
  lastCommitted?: bigint;
  bytes?: bigint;
  micros?: bigint;
  type?: number;
}): ForgedEvent {
  const number = options.number ?? 1n;
  const sequence = options.sequence ?? number;
  const length = options.bytes === undefined ? [] : [Uint8Array.of(254), u64(options.bytes), u32(90_704)];
  const body = Buffer.concat([
    Uint8Array.of(1),
    UUID_BYTES,
    u64(number),
    Uint8Array.of(2),
    u64(options.lastCommitted ?? sequence - 1n),
    u64(sequence),
    u64(options.micros ?? 1_795_207_901_417_035n).subarray(0, 7),
    ...length,
  ]);
  return { type: options.type ?? EVENT.GTID, body };
}

/** QUERY with a schema and no status variables. */
export function query(sql: string | Uint8Array, schema = 's'): ForgedEvent {
  const body = Buffer.concat([
    u32(1),
    u32(0),
    Uint8Array.of(schema.length),
    u16(0),
    u16(0),
    Buffer.from(schema),
    Uint8Array.of(0),
    Buffer.from(sql as string),
  ]);
  return { type: EVENT.QUERY, body };
}

export function xid(): ForgedEvent {
  return { type: EVENT.XID, body: u64(1n) };
}

/** TABLE_MAP of `s.t` with one LONGBLOB column. */
export function tableMap(id = 7): ForgedEvent {
  const body = Buffer.concat([
    u32(id),
    u16(0),
    u16(1),
    Uint8Array.of(1),
    Buffer.from('s\0'),
    Uint8Array.of(1),
    Buffer.from('t\0'),
    Uint8Array.of(1, 252, 1, 4, 1),
  ]);
  return { type: EVENT.TABLE_MAP, body };
}

/** ROWS of `s.t`: each row a blob of the given length, filled with a byte. */
export function rows(
  type: number,
  lengths: readonly number[],
  options: { id?: number; flags?: number } = {},
): ForgedEvent {
  const head = [u32(options.id ?? 7), u16(0), u16(options.flags ?? 1), u16(2), Uint8Array.of(1, 1)];
  if (type === EVENT.UPDATE_ROWS) head.push(Uint8Array.of(1));
  const images = lengths.flatMap((length) => [Uint8Array.of(0), u32(length), Buffer.alloc(length, 0x71)]);
  return { type, body: Buffer.concat([...head, ...images]) };
}

export function rotate(next = 'binlog.000002'): ForgedEvent {
  return { type: EVENT.ROTATE, body: Buffer.concat([u64(4n), Buffer.from(next)]) };
}

export function stop(): ForgedEvent {
  return { type: EVENT.STOP, body: new Uint8Array(0) };
}

/** An event's header. */
export function header(event: ForgedEvent, sizeBytes: number, endOffset: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32LE(1_795_207_901, 0);
  bytes.writeUInt8(event.type, 4);
  bytes.writeUInt32LE(event.serverId ?? 7, 5);
  bytes.writeUInt32LE(sizeBytes, 9);
  bytes.writeUInt32LE(endOffset % 2 ** 32, 13);
  bytes.writeUInt16LE(event.flags ?? 0, 17);
  return bytes;
}

/** One event with the position and checksum that it has at `offset`. */
export function written(event: ForgedEvent, offset: number, checksum: 'crc32' | 'none' = 'crc32'): Buffer {
  const footer = checksum === 'crc32' || event.type === EVENT.FORMAT_DESCRIPTION ? 4 : 0;
  const size = HEADER_BYTES + event.body.length + footer;
  const bytes = Buffer.concat([header(event, size, offset + size), event.body]);
  if (footer === 0) return bytes;
  const summed = Buffer.from(bytes);
  if (event.type === EVENT.FORMAT_DESCRIPTION) summed.writeUInt8((summed[17] as number) & ~1, 17);
  return Buffer.concat([bytes, u32(crc32(summed))]);
}

/** A log whose positions and checksums are right, whatever stands in it. */
export function forge(events: readonly ForgedEvent[], checksum: 'crc32' | 'none' = 'crc32'): Buffer {
  const parts: Buffer[] = [Buffer.from(MAGIC)];
  let offset = MAGIC.length;
  for (const event of events) {
    const bytes = written(event, offset, checksum);
    parts.push(bytes);
    offset += bytes.length;
  }
  return Buffer.concat(parts);
}

/** A transaction whose GTID event says its true length. */
export function transaction(
  number: bigint,
  events: readonly ForgedEvent[],
  more: Parameters<typeof gtid>[0] = {},
): ForgedEvent[] {
  const empty = gtid({ ...more, number, bytes: 0n });
  const bytes = [empty, ...events].reduce((sum, { body }) => sum + HEADER_BYTES + body.length + 4, 0);
  return [gtid({ ...more, number, bytes: BigInt(bytes) }), ...events];
}
