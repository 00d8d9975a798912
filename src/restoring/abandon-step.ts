import type { ErrorKind } from '../domain/errors.ts';
import { formatInstant } from '../domain/time.ts';
import { endApplier } from '../replay/applier.ts';
import { applierFolders } from './applier-options.ts';
import { auditRestore } from './audit-restore.ts';
import type { RestoreContext } from './context.ts';
import { abandonDataFolder, readClaim } from './data-folder.ts';
import type { RestoreJob } from './job.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, readMark, readPlan } from './work-folder.ts';

/** Why a restore is given up. */
export interface GivenUp {
  readonly kind: ErrorKind | 'cancelled';
  readonly message: string;
}

/**
 * Gives a restore up: ends its server, removes its data folder and its work folder, and writes the reason
 * into the audit file. Does nothing where the target belongs to another restore, or was handed over.
 */
export function abandonStep(context: RestoreContext, job: RestoreJob, why: GivenUp): Promise<void> {
  return withRestoreLock(job.targetDir, async () => {
    const folder = foldersOf(job);
    // Without a claim the target is nobody's, or the user's: also one that is being handed over.
    if ((await readClaim(folder.workDir)) !== job.requestId) return;
    const stored = await readPlan(job);
    if (stored !== undefined && (await readMark(folder, 'handed-over')) !== undefined) return;
    if (stored !== undefined) {
      await endApplier(applierFolders(folder));
      const outcome = why.kind === 'refused' ? 'refused' : 'failed';
      const ending = { outcome, gtidExecuted: null, detail: why.message } as const;
      await auditRestore(context.cluster, stored, ending, formatInstant(context.now()));
    }
    await abandonDataFolder(folder);
  });
}
