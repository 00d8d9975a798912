import { rm } from 'node:fs/promises';
import { GtidSet } from '../domain/gtid-set.ts';
import { formatInstant } from '../domain/time.ts';
import { cloneRefused } from '../engines/clone/obstacles.ts';
import { endRunningClone, runClone } from '../engines/clone/run-clone.ts';
import { endLeftCopy } from '../engines/clone/started-copy.ts';
import { foreignTables } from '../engines/clone/survey.ts';
import { readServerFacts } from '../mysql/facts.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { faultPoint } from '../process/fault.ts';
import type { BackupContext } from './context.ts';
import { type BackupFolder, backupFolder, createBackupFolder, readMark, writeMark } from './folder.ts';
import type { ClonedBackup, PreparedBackup } from './state.ts';

/**
 * Phase 2: the server copies its data folder into the staging folder. A finished clone is kept; what
 * a crash left of an unfinished one is removed, with the server's own work on it, and begun anew.
 * @throws refused (`CloneFailed`, `ForeignEngineRows` where such rows came meanwhile), unavailable
 */
export async function executeClone(ctx: BackupContext, prepared: PreparedBackup): Promise<ClonedBackup> {
  const folder = backupFolder(ctx.stagingDir, prepared.backupId);
  const done = await readMark<ClonedBackup>(folder, 'cloned');
  if (done !== undefined) return done;
  const session = await ctx.connect();
  const watcher = await ctx.connect();
  try {
    await cleanBeginning(session, folder);
    await runClone(session, watcher, {
      directory: folder.clone,
      signal: ctx.signal,
      onProgress: ctx.onProgress,
    });
    faultPoint('backup.cloned');
    const cloned = await describeClone(ctx, session, prepared);
    await writeMark(folder, 'cloned', cloned);
    return cloned;
  } finally {
    await Promise.all([session.close(), watcher.close()]);
  }
}

async function cleanBeginning(session: MysqlSession, folder: BackupFolder): Promise<void> {
  const { dataDir } = await readServerFacts(session);
  await endRunningClone(session, folder.clone);
  await endLeftCopy(folder.work);
  await rm(folder.clone, { recursive: true, force: true, maxRetries: 3 });
  await createBackupFolder(folder, dataDir);
}

async function describeClone(
  ctx: BackupContext,
  session: MysqlSession,
  prepared: PreparedBackup,
): Promise<ClonedBackup> {
  const clonedAt = formatInstant(ctx.now());
  // Asked again: rows that came between the survey and the clone are missing in the clone.
  const tables = await foreignTables(session);
  if (tables.length > 0) throw cloneRefused(session.where, [{ code: 'ForeignEngineRows', tables }]);
  const { gtidPurged } = await readServerFacts(session);
  return { ...prepared, clonedAt, gtidPurged: GtidSet.parse(gtidPurged).toString() };
}
