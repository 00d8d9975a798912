import { AppError } from '../domain/errors.ts';
import type { BackupId } from '../domain/identity.ts';
import { endRunningClone } from '../engines/clone/run-clone.ts';
import { endLeftCopy } from '../engines/clone/started-copy.ts';
import type { BackupContext } from './context.ts';
import { backupFolder, removeBackupFolder } from './folder.ts';

/**
 * Removes what a backup that is given up left on this host: the server's running clone, the throw-away
 * server, the staged files. An object that was stored already stays; without a catalog entry nothing
 * uses it. May be run again, and when nothing is there.
 */
export async function abandonBackup(ctx: BackupContext, backupId: BackupId): Promise<void> {
  const folder = backupFolder(ctx.stagingDir, backupId);
  await endCloneIfReachable(ctx, folder.clone);
  await endLeftCopy(folder.work);
  await removeBackupFolder(folder);
}

async function endCloneIfReachable(ctx: BackupContext, directory: string): Promise<void> {
  try {
    const session = await ctx.connect();
    try {
      await endRunningClone(session, directory);
    } finally {
      await session.close();
    }
  } catch (error) {
    // A source that is down clones nothing; another's clone is none of ours.
    if (!(error instanceof AppError) || error.kind !== 'unavailable') throw error;
  }
}
