/**
 * The request for a dump. Source: MySQL's Doxygen, "COM_BINLOG_DUMP_GTID"; sql/rpl_source.cc (com_binlog_dump_gtid).
 */

const COM_BINLOG_DUMP_GTID = 0x1e;
/** The server ends the dump with EOF where it would wait for more. */
const FLAG_NON_BLOCK = 0x01;
/** A GTID set of no sources: nothing is left out. */
const NO_GTIDS = Buffer.alloc(8);

/** Where a dump begins. */
export interface DumpStart {
  readonly binlog: string;
  /** 4, or where an event begins. */
  readonly position: number;
  /** What this client calls itself. */
  readonly serverId: number;
}

/**
 * A dump from a place in a log, as one packet. The GTID form of the command is taken because its position has
 * 64 bits: with a log's name in it, it begins there, as COM_BINLOG_DUMP does with its 32 bits.
 */
export function dumpRequestPacket({ binlog, position, serverId }: DumpStart): Buffer {
  const name = Buffer.from(binlog, 'utf8');
  const payload = Buffer.alloc(1 + 2 + 4 + 4 + name.length + 8 + 4 + NO_GTIDS.length);
  payload.writeUInt8(COM_BINLOG_DUMP_GTID, 0);
  payload.writeUInt16LE(FLAG_NON_BLOCK, 1);
  payload.writeUInt32LE(serverId, 3);
  payload.writeUInt32LE(name.length, 7);
  name.copy(payload, 11);
  const afterName = 11 + name.length;
  payload.writeBigUInt64LE(BigInt(position), afterName);
  payload.writeUInt32LE(NO_GTIDS.length, afterName + 8);
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}
