import { join } from 'node:path';
import { readFileChunks } from '../binlog/file-chunks.ts';
import type { HostSource } from '../config/types.ts';
import type { LogAccess } from './log-access.ts';
import { type PeekCache, readSourceLogs } from './source-logs.ts';
import { stageLogs } from './stage.ts';
import { ensureStagingDir } from './staging.ts';
import { successorGtids } from './successor.ts';

/** The logs of a source whose files lie on this host. */
export function hostAccess(
  { binlogDir, stagingDir }: HostSource,
  cache: PeekCache,
  stagingMaxBytes: number,
): LogAccess {
  return {
    mode: 'host',
    stagingMaxBytes,
    readHeads: ({ listed, relist }) => readSourceLogs(binlogDir, listed, cache, relist),
    async stage(logs) {
      const [first] = logs;
      if (first !== undefined) await ensureStagingDir(stagingDir, first.serverUuid);
      return stageLogs(stagingDir, binlogDir, logs);
    },
    successorGtids: (successor) => successorGtids(stagingDir, binlogDir, successor),
    // A link is the server's own file: mended there, it is mended here.
    dropDamaged: () => Promise.resolve(),
    read: ({ binlog }) => readFileChunks(join(binlogDir, binlog)),
  };
}
