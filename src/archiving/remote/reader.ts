import { dumpAccountOf } from '../../config/connect-source.ts';
import type { RemoteSource } from '../../config/types.ts';
import type { BinlogName } from '../../domain/identity.ts';
import { dumpBinlog } from '../../mysql/dump/dump.ts';

/** Reads a log of a source from its server, from where an event begins; 0 for the whole. */
export type ReadRemote = (binlog: BinlogName, from: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** Reads logs as the configuration says; each on a connection of its own, with the password as it is then. */
export function remoteReader(source: RemoteSource): ReadRemote {
  return async function* read(binlog, from, signal) {
    yield* dumpBinlog(await dumpAccountOf(source), { binlog, from, signal });
  };
}
