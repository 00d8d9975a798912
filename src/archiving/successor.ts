import { join } from 'node:path';
import { isCode } from '../process/files.ts';
import { peekLog } from './peek.ts';
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
  for (const path of [stagedFiles(stagingDir, successor).log, join(binlogDir, successor.binlog)]) {
    const peek = await peekIfThere(path, successor);
    if (peek !== null && peek.createdAt === successor.createdAt) return peek.previousGtids;
  }
  return null;
}

async function peekIfThere(path: string, log: LogRef) {
  try {
    const found = await peekLog(path, log.binlog);
    return found.kind === 'readable' ? found.peek : null;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}
