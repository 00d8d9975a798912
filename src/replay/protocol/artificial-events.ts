/**
 * Events that a source makes itself: ROTATE at a file's start, heartbeats, and the changed
 * FORMAT_DESCRIPTION of a file that is sent in part.
 * Sources: sql/rpl_binlog_sender.cc, libs/mysql/binlog/event/control_events.h (Heartbeat_event_v2).
 */
import { crc32 } from 'node:zlib';
import { CHECKSUM_BYTES, FLAG, HEADER_BYTES } from '../../binlog/event-header.ts';
import { EVENT } from '../../binlog/event-types.ts';
import type { ChecksumAlgorithm } from '../../binlog/format-description.ts';
import type { HeartbeatFormat } from './commands.ts';
import { lengthEncoded } from './packets.ts';

const FLAGS_OFFSET = 17;
/** After the header: binlog version (2), server version (50). */
const FDE_CREATED_OFFSET = HEADER_BYTES + 52;
const HB_FILE_NAME = 1;
const HB_POSITION = 2;

interface EventFields {
  readonly type: number;
  readonly serverId: number;
  readonly logPos: number;
  readonly flags: number;
}

function makeEvent(fields: EventFields, body: Buffer, checksum: ChecksumAlgorithm): Buffer {
  const crcBytes = checksum === 'crc32' ? CHECKSUM_BYTES : 0;
  const event = Buffer.alloc(HEADER_BYTES + body.length + crcBytes);
  event.writeUInt8(fields.type, 4);
  event.writeUInt32LE(fields.serverId, 5);
  event.writeUInt32LE(event.length, 9);
  event.writeUInt32LE(fields.logPos, 13);
  event.writeUInt16LE(fields.flags, FLAGS_OFFSET);
  body.copy(event, HEADER_BYTES);
  if (checksum === 'crc32') writeCrc(event);
  return event;
}

function writeCrc(event: Buffer): void {
  const end = event.length - CHECKSUM_BYTES;
  event.writeUInt32LE(crc32(event.subarray(0, end)), end);
}

/** ROTATE with time 0 and the artificial flag: from here on, events come from this file. */
export function artificialRotate(fileName: string, serverId: number, checksum: ChecksumAlgorithm): Buffer {
  const body = Buffer.alloc(8 + Buffer.byteLength(fileName));
  body.writeBigUInt64LE(4n, 0);
  body.write(fileName, 8);
  return makeEvent({ type: EVENT.ROTATE, serverId, logPos: 0, flags: FLAG.ARTIFICIAL }, body, checksum);
}

/** A heartbeat: the source lives and stands at this place. `position` wraps at 2^32 in version 1. */
export function heartbeatEvent(
  where: { readonly fileName: string; readonly position: number },
  serverId: number,
  format: HeartbeatFormat,
  checksum: ChecksumAlgorithm,
): Buffer {
  const name = Buffer.from(where.fileName);
  const logPos = where.position % 2 ** 32;
  if (format === 'v1')
    return makeEvent({ type: EVENT.HEARTBEAT, serverId, logPos, flags: 0 }, name, checksum);
  const position = lengthEncoded(where.position);
  const body = Buffer.concat([
    ...[lengthEncoded(HB_FILE_NAME), lengthEncoded(name.length), name],
    ...[lengthEncoded(HB_POSITION), lengthEncoded(position.length), position],
    lengthEncoded(0),
  ]);
  return makeEvent({ type: EVENT.HEARTBEAT_V2, serverId, logPos: 0, flags: 0 }, body, checksum);
}

/** Whether the replica takes a file from its first transaction on. */
export type FileStart = 'from-the-start' | 'resumed';

/**
 * A copy of a FORMAT_DESCRIPTION event as a source sends it: no in-use flag, and without the creation time
 * where the file is resumed, as that time makes a replica drop its temporary tables.
 */
export function sentFormatDescription(event: Uint8Array, start: FileStart): Buffer {
  const copy = Buffer.from(event);
  copy.writeUInt16LE(copy.readUInt16LE(FLAGS_OFFSET) & ~FLAG.IN_USE, FLAGS_OFFSET);
  if (start === 'resumed') copy.writeUInt32LE(0, FDE_CREATED_OFFSET);
  writeCrc(copy);
  return copy;
}
