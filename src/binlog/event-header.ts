/** Length of the common header. Source: MySQL binlog_event.h, LOG_EVENT_HEADER_LEN. */
export const HEADER_BYTES = 19;
/** Length of the CRC-32 at an event's end. */
export const CHECKSUM_BYTES = 4;
/** First bytes of a binlog: `\xfe` and `bin`. */
export const MAGIC = Uint8Array.of(0xfe, 0x62, 0x69, 0x6e);
/** First bytes of a log written under `binlog_encryption=ON`. Source: MySQL sql/rpl_log_encryption.h. */
export const ENCRYPTED_MAGIC = Uint8Array.of(0xfd, 0x62, 0x69, 0x6e);

/** Header flags. Source: MySQL sql/log_event.h and binlog_event.h. */
export const FLAG = {
  /** In FORMAT_DESCRIPTION only: the log is open, or was when its server died. */
  IN_USE: 0x01,
  /** Made by a sender of the replication protocol; never in a binlog file. */
  ARTIFICIAL: 0x20,
  /** Written into a relay log. */
  RELAY_LOG: 0x40,
  /** A reader that does not know the type may skip the event. */
  IGNORABLE: 0x80,
} as const;

export interface EventHeader {
  /** Seconds since 1970, UTC; the session's `timestamp`, so no proof of anything. */
  readonly timestamp: number;
  readonly type: number;
  readonly serverId: number;
  /** Whole event with header and checksum. */
  readonly sizeBytes: number;
  /** Offset of the event's end in its file, modulo 2^32. */
  readonly logPos: number;
  readonly flags: number;
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

/** Decodes the common header of version 4; the caller has at least 19 bytes from `offset` on. */
export function decodeHeader(bytes: Uint8Array, offset: number): EventHeader {
  return {
    timestamp: u32(bytes, offset),
    type: bytes[offset + 4] as number,
    serverId: u32(bytes, offset + 5),
    sizeBytes: u32(bytes, offset + 9),
    logPos: u32(bytes, offset + 13),
    flags: (bytes[offset + 17] as number) | ((bytes[offset + 18] as number) << 8),
  };
}

/** Reads 4 bytes, little endian, unsigned; the caller has checked that they are there. */
export const readU32 = u32;
