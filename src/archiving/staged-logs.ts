import { stat } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';
import { parseBinlogName, type ServerUuid } from '../domain/identity.ts';
import type { PeekCache, SourceLog } from './source-logs.ts';
import { type LogRef, stagedStem } from './staging.ts';
import { listStaged } from './tidy.ts';

/** A log that lies in the staging folder, with what its file says. */
export interface StagedSourceLog {
  readonly log: LogRef;
  readonly source: SourceLog;
}

/**
 * Reads what lies staged of one server, oldest first. These logs are archived even where the
 * server has purged them meanwhile.
 *
 * @throws corrupt `StagedLogAltered` where a staged file is not what its name says
 */
export async function readStagedLogs(
  stagingDir: string,
  serverUuid: ServerUuid,
  cache: PeekCache,
): Promise<StagedSourceLog[]> {
  const found: StagedSourceLog[] = [];
  for (const staged of await listStaged(stagingDir, serverUuid)) {
    const { size } = await stat(staged.path);
    const result = await cache.closed(staged.path, staged.binlog);
    if (result.kind === 'corrupt') throw altered(staged.path, result.error.message);
    const { createdAt, firstCommit } = result.peek;
    const log = {
      serverUuid,
      binlog: parseBinlogName(staged.binlog),
      createdAt,
      firstCommit,
      lengthBytes: size,
    };
    if (stagedStem(log) !== staged.stem) throw altered(staged.path, 'its length or its beginning changed');
    const source = {
      name: staged.binlog,
      sizeBytes: size,
      encrypted: false,
      peek: result.peek,
      problem: null,
    };
    found.push({ log, source });
  }
  return found.sort((a, b) => compare(a.log, b.log));
}

function compare(a: LogRef, b: LogRef): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.binlog < b.binlog ? -1 : 1;
}

function altered(path: string, what: string): AppError {
  return new AppError({
    code: 'StagedLogAltered',
    kind: 'corrupt',
    message: `${path} is not the binlog that was staged (${what}), so this source is not archived while it lies there.`,
    hint: 'Compare it with the log on the server; then remove it from the staging folder.',
    facts: { path },
  });
}
