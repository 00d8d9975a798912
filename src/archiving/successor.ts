import { join } from 'node:path';
import { isCode } from '../process/files.ts';
import { type LogPeek, peekLog } from './peek.ts';
import { type LogRef, stagedFiles } from './staging.ts';

/**
 * PREVIOUS_GTIDS of the log behind another, read where it lies now: staged, or with the server.
 * Null where there is none, or where it is not the file that was listed any more.
 */
export async function successorGtids(
  stagingDir: string,
  binlogDir: string,
  successor: LogRef | null,
): Promise<string | null> {
  if (successor === null) return null;
  const staged = await stagedPeek(stagingDir, successor);
  const peek = staged ?? (await peekIfSame(join(binlogDir, successor.binlog), successor));
  return peek?.previousGtids ?? null;
}

/** The beginning of a log that lies staged; null where it does not. */
export function stagedPeek(stagingDir: string, log: LogRef): Promise<LogPeek | null> {
  return peekIfSame(stagedFiles(stagingDir, log).log, log);
}

async function peekIfSame(path: string, log: LogRef): Promise<LogPeek | null> {
  try {
    const found = await peekLog(path, log.binlog);
    return found.kind === 'readable' && found.peek.createdAt === log.createdAt ? found.peek : null;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}
