import { stat } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';
import { type BinlogName, binlogIndex, parseBinlogName, type ServerUuid } from '../domain/identity.ts';
import { isCode } from '../process/files.ts';
import type { PeekCache, SourceLog } from './source-logs.ts';
import { stagedStem } from './staging.ts';
import { listStaged, listStagedServers, type StagedLog } from './tidy.ts';

/** What lies staged of one server, oldest first by the time at which each log was begun. */
export interface StagedServer {
  readonly serverUuid: ServerUuid;
  readonly staged: readonly SourceLog[];
}

/** What lies staged of the server that a source is now, and of those that it was before. */
export interface StagedServers {
  /** Oldest first; none of them empty. */
  readonly earlier: readonly StagedServer[];
  readonly present: readonly SourceLog[];
}

/**
 * Reads all that lies staged of a source. These logs are archived even where the server has purged
 * them meanwhile, and where it is another one now: its server_uuid was made anew, or it was rebuilt.
 *
 * @throws corrupt `StagedLogAltered` where a staged file is not what its name says
 */
export async function readStagedServers(
  stagingDir: string,
  present: ServerUuid,
  cache: PeekCache,
): Promise<StagedServers> {
  const earlier: StagedServer[] = [];
  for (const serverUuid of await listStagedServers(stagingDir)) {
    if (serverUuid === present) continue;
    const staged = await readStagedLogs(stagingDir, serverUuid, cache);
    if (staged.length > 0) earlier.push({ serverUuid, staged });
  }
  return {
    earlier: earlier.sort((a, b) => (begunAt(a) < begunAt(b) ? -1 : 1)),
    present: await readStagedLogs(stagingDir, present, cache),
  };
}

function begunAt({ staged }: StagedServer): string {
  return staged[0]?.peek?.createdAt ?? '';
}

async function readStagedLogs(
  stagingDir: string,
  serverUuid: ServerUuid,
  cache: PeekCache,
): Promise<SourceLog[]> {
  const found: NamedLog[] = [];
  for (const staged of await listStaged(stagingDir, serverUuid)) {
    try {
      found.push(await readStaged(staged, serverUuid, cache));
    } catch (error) {
      // Archived and released since the folder was listed.
      if (!isCode(error, 'ENOENT')) throw error;
    }
  }
  return found.sort((a, b) => {
    const [one, other] = [a.peek?.createdAt ?? '', b.peek?.createdAt ?? ''];
    return one === other ? binlogIndex(a.name) - binlogIndex(b.name) : one < other ? -1 : 1;
  });
}

type NamedLog = SourceLog & { readonly name: BinlogName };

async function readStaged(staged: StagedLog, serverUuid: ServerUuid, cache: PeekCache): Promise<NamedLog> {
  const { size } = await stat(staged.path);
  const result = await cache.closed(staged.path, staged.binlog);
  if (result.kind === 'corrupt') throw altered(staged.path, result.error.message);
  const name = parseBinlogName(staged.binlog);
  const { createdAt, firstCommit } = result.peek;
  const stem = stagedStem({ serverUuid, binlog: name, createdAt, firstCommit, lengthBytes: size });
  if (stem !== staged.stem) throw altered(staged.path, 'its length or its beginning changed');
  return { name, sizeBytes: size, encrypted: false, peek: result.peek, problem: null };
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
