import type { RestoreContext } from './context.ts';
import { fetchBase } from './fetch-base.ts';
import { openHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { secondsSince } from './plan-step.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, requirePlan } from './work-folder.ts';

export interface FetchedRestore {
  readonly backupId: string;
  readonly files: number;
  readonly bytes: number;
  readonly fetchSeconds: number;
}

/**
 * Fetches the base backup into the target folder, unpacked while it arrives. A finished fetch is kept,
 * and never touched again once a server was started on it; an unfinished one is begun anew.
 * @throws corrupt, refused `WrongKey`, `ObjectMissing`; unavailable
 */
export function fetchStep(context: RestoreContext, job: RestoreJob): Promise<FetchedRestore> {
  return withRestoreLock(job.targetDir, () => fetchOnce(context, job));
}

/** The step itself, for a caller that holds the lock of the target. */
export async function fetchOnce(context: RestoreContext, job: RestoreJob): Promise<FetchedRestore> {
  const startedAt = performance.now();
  const stored = await requirePlan(job);
  const folder = foldersOf(job);
  const homes = await openHomes(context.cluster, stored);
  try {
    const { base } = stored.plan;
    if (base === null) throw new Error('a plan that passed has a base');
    const fetched = await fetchBase({
      reader: homes.reader,
      base: { backup: stored.backup, object: base.object, stores: base.stores },
      folder,
      signal: context.signal,
      onProgress: (doneBytes, totalBytes) => context.onProgress({ doneBytes, totalBytes }),
    });
    return { ...fetched, fetchSeconds: secondsSince(startedAt) };
  } finally {
    await homes.close();
  }
}
