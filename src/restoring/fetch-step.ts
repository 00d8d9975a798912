import type { AppError } from '../domain/errors.ts';
import type { RestoreContext } from './context.ts';
import { type FetchedBase, fetchBase } from './fetch-base.ts';
import { openHomes, type RestoreHomes } from './homes.ts';
import type { RestoreJob } from './job.ts';
import { planFromOtherBase } from './plan-around.ts';
import { secondsSince } from './plan-step.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, requirePlan, type StoredPlan } from './work-folder.ts';

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

/**
 * The step itself, for a caller that holds the lock of the target. Where no store gives the planned base, and an
 * older one leads to the same state, the plan is another afterwards.
 */
export async function fetchOnce(context: RestoreContext, job: RestoreJob): Promise<FetchedRestore> {
  const startedAt = performance.now();
  const lost = new Map<string, AppError>();
  for (let stored = await requirePlan(job); ; ) {
    const homes = await openHomes(context.cluster, stored);
    try {
      const fetched = await fetchFrom(context, stored, homes);
      return { ...fetched, fetchSeconds: secondsSince(startedAt) };
    } catch (error) {
      context.signal.throwIfAborted();
      // One that is only away is waited for: from an older base there is much more to replay.
      const gone = [...homes.reader.lost].filter(([, { kind }]) => kind !== 'unavailable');
      for (const [key, why] of gone) lost.set(key, why);
      const other = gone.length > 0 ? await planFromOtherBase(context, stored, lost) : null;
      if (other === null) throw error;
      stored = other;
    } finally {
      await homes.close();
    }
  }
}

function fetchFrom(
  context: RestoreContext,
  stored: StoredPlan,
  { reader }: RestoreHomes,
): Promise<FetchedBase> {
  const { base } = stored.plan;
  if (base === null) throw new Error('a plan that passed has a base');
  return fetchBase({
    reader,
    base: { backup: stored.backup, object: base.object, stores: base.stores },
    folder: foldersOf(stored.job),
    signal: context.signal,
    onProgress: (doneBytes, totalBytes) => context.onProgress({ doneBytes, totalBytes }),
  });
}
