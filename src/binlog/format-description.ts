import { ByteReader } from './byte-reader.ts';
import { FLAG, HEADER_BYTES } from './event-header.ts';
import { EVENT } from './event-types.ts';
import type { Frame } from './frame.ts';
import { corruptAt } from './problem.ts';

export type ChecksumAlgorithm = 'crc32' | 'none';

/** FORMAT_DESCRIPTION: what a log says of itself. */
export interface FormatDescription {
  readonly serverVersion: string;
  /** Header time, whole seconds since 1970. */
  readonly createdAtSeconds: number;
  readonly serverId: number;
  readonly checksum: ChecksumAlgorithm;
  /** Lengths of the fixed part after the common header; index = event type - 1. */
  readonly postHeaderLengths: Uint8Array;
  readonly inUse: boolean;
}

const VERSION_BYTES = 50;

function checksumOf(code: number, frame: Frame): ChecksumAlgorithm {
  if (code === 0) return 'none';
  if (code === 1) return 'crc32';
  throw corruptAt(frame, 'malformed-event', `it names checksum algorithm ${code}, which MySQL does not have`);
}

function requireMysql(version: string, frame: Frame): void {
  if (/mariadb/i.test(version)) {
    throw corruptAt(
      frame,
      'unsupported-version',
      `it was written by ${version}, whose GTIDs are another thing`,
    );
  }
  const major = Number.parseInt(version, 10);
  const minor = Number.parseInt(version.slice(version.indexOf('.') + 1), 10);
  if (!(major > 5 || (major === 5 && minor >= 7))) {
    throw corruptAt(
      frame,
      'unsupported-version',
      `server version ${JSON.stringify(version)} is none that is supported (5.7 or later)`,
    );
  }
}

/**
 * Decodes FORMAT_DESCRIPTION of binlog version 4. The frame's body includes the checksum
 * algorithm, not the checksum itself. @throws corrupt
 * Source: MySQL control_events.cpp, Format_description_event.
 */
export function decodeFormatDescription(frame: Frame): FormatDescription {
  const reader = new ByteReader(frame.bytes, frame.bodyStart, frame.bodyEnd, frame);
  const binlogVersion = reader.uint(2);
  if (binlogVersion !== 4) {
    throw corruptAt(frame, 'unsupported-version', `binlog version ${binlogVersion} is not 4`);
  }
  const version = reader.take(VERSION_BYTES);
  const zero = version.indexOf(0);
  const serverVersion = Buffer.from(version.subarray(0, zero === -1 ? VERSION_BYTES : zero)).toString(
    'latin1',
  );
  requireMysql(serverVersion, frame);
  reader.skip(4);
  const headerLength = reader.u8();
  if (headerLength !== HEADER_BYTES) {
    throw corruptAt(frame, 'unsupported-version', `event headers of ${headerLength} bytes are not supported`);
  }
  const postHeaderLengths = Uint8Array.from(reader.take(Math.max(0, reader.remaining - 1)));
  if (postHeaderLengths.length < EVENT.PREVIOUS_GTIDS) {
    throw corruptAt(
      frame,
      'unsupported-version',
      `it describes only ${postHeaderLengths.length} event types`,
    );
  }
  return {
    serverVersion,
    createdAtSeconds: frame.timestamp,
    serverId: frame.serverId,
    checksum: checksumOf(reader.u8(), frame),
    postHeaderLengths,
    inUse: (frame.flags & FLAG.IN_USE) !== 0,
  };
}
