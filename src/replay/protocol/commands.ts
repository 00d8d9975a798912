/**
 * The commands of a connecting replica, decoded into a closed union.
 * Sources: MySQL's Doxygen, "Command Phase"; sql/rpl_source.cc (com_binlog_dump_gtid), include/my_command.h.
 */
import { EVENT } from '../../binlog/event-types.ts';
import { decodePreviousGtids } from '../../binlog/previous-gtids.ts';
import { AppError } from '../../domain/errors.ts';
import { GtidSet } from '../../domain/gtid-set.ts';
import { bodyFrame } from '../body-frame.ts';

const COM_QUIT = 0x01;
const COM_QUERY = 0x03;
const COM_PING = 0x0e;
const COM_BINLOG_DUMP = 0x12;
const COM_REGISTER_REPLICA = 0x15;
const COM_BINLOG_DUMP_GTID = 0x1e;

/** Flags of a dump request. Source: libs/mysql/… rpl_constants.h */
const FLAG_NON_BLOCK = 0x01;
const FLAG_HEARTBEAT_V2 = 0x02;

/** What happens when everything was sent. */
export type AtEnd = 'heartbeat' | 'end-of-file';

/** Which heartbeat event a replica reads; version 2 has a position of 64 bits. */
export type HeartbeatFormat = 'v1' | 'v2';

export interface DumpRequest {
  readonly kind: 'dump-gtid';
  readonly serverId: number;
  /** What the replica has: executed, or received and not yet applied. */
  readonly has: GtidSet;
  readonly atEnd: AtEnd;
  readonly heartbeat: HeartbeatFormat;
}

export type Command =
  | { readonly kind: 'quit' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'query'; readonly sql: string }
  | { readonly kind: 'register-replica'; readonly serverId: number }
  | DumpRequest
  | { readonly kind: 'dump-position' }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly code: number };

/** Decodes one command; never throws, as any byte may come from a client. */
export function parseCommand(payload: Buffer): Command {
  try {
    return decodeCommand(payload);
  } catch (error) {
    if (error instanceof RangeError || error instanceof AppError)
      return { kind: 'malformed', reason: error.message };
    throw error;
  }
}

function decodeCommand(payload: Buffer): Command {
  const code = payload.readUInt8(0);
  switch (code) {
    case COM_QUIT:
      return { kind: 'quit' };
    case COM_PING:
      return { kind: 'ping' };
    case COM_QUERY:
      return { kind: 'query', sql: payload.toString('utf8', 1) };
    case COM_REGISTER_REPLICA:
      return { kind: 'register-replica', serverId: payload.readUInt32LE(1) };
    case COM_BINLOG_DUMP:
      return { kind: 'dump-position' };
    case COM_BINLOG_DUMP_GTID:
      return decodeDumpGtid(payload);
    default:
      return { kind: 'unknown', code };
  }
}

function decodeDumpGtid(payload: Buffer): DumpRequest {
  const flags = payload.readUInt16LE(1);
  const serverId = payload.readUInt32LE(3);
  // File name and position mean nothing where GTIDs decide.
  const afterName = 11 + payload.readUInt32LE(7);
  const setLength = payload.readUInt32LE(afterName + 8);
  const set = payload.subarray(afterName + 12, afterName + 12 + setLength);
  if (set.length !== setLength) throw new RangeError('the GTID set of the dump request is cut off');
  return {
    kind: 'dump-gtid',
    serverId,
    has: decodeGtidSet(set),
    atEnd: (flags & FLAG_NON_BLOCK) === 0 ? 'heartbeat' : 'end-of-file',
    heartbeat: (flags & FLAG_HEARTBEAT_V2) === 0 ? 'v1' : 'v2',
  };
}

/** The set has the encoding of PREVIOUS_GTIDS' body (sql/rpl_gtid_set.cc, Gtid_set::add_gtid_encoding). */
function decodeGtidSet(bytes: Buffer): GtidSet {
  if (bytes.length === 0) return GtidSet.EMPTY;
  return decodePreviousGtids(bodyFrame('COM_BINLOG_DUMP_GTID', EVENT.PREVIOUS_GTIDS, bytes, 0, bytes.length));
}
