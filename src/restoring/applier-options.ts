import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { freeBytes } from '../process/disk.ts';
import type { ApplierOptions } from '../replay/applier.ts';
import type { ApplierFolders } from '../replay/applier-paths.ts';
import { planTuning } from '../replay/tuning.ts';
import type { RestoreContext } from './context.ts';
import type { ClaimedFolder } from './data-folder.ts';
import type { StoredPlan } from './work-folder.ts';

/** The folders of the throw-away applier: the data, and one inside the work folder. */
export function applierFolders({ targetDir, workDir }: ClaimedFolder): ApplierFolders {
  return { dataDir: targetDir, workDir: join(workDir, 'applier') };
}

/** How the applier of a restore runs on this machine, from what is free now. */
export async function applierOptions(
  context: RestoreContext,
  stored: StoredPlan,
  folder: ClaimedFolder,
): Promise<ApplierOptions> {
  const { memoryBytes } = context.cluster.restore;
  const tuning = planTuning({
    availableMemoryBytes: memoryBytes ?? process.availableMemory(),
    cores: availableParallelism(),
    dataBytes: stored.backup.dataBytes,
    freeDiskBytes: await freeBytes(folder.targetDir),
    lowerCaseTableNames: stored.backup.lowerCaseTableNames,
  });
  return {
    ...applierFolders(folder),
    tuning,
    extraOptions: [],
    tool: context.mysqld,
    signal: context.signal,
  };
}
