import { AppError } from '../domain/errors.ts';
import { endApplier } from '../replay/applier.ts';
import { applierFolders } from './applier-options.ts';
import type { RestoreContext } from './context.ts';
import { forgetFetched } from './fetch-base.ts';
import { fetchOnce } from './fetch-step.ts';
import type { RestoreJob } from './job.ts';
import { foldersOf, readMark, removeMark, type StoredPlan } from './work-folder.ts';

/**
 * True where statements with temporary tables are replayed. Those tables live in the applier's session,
 * so a replay that was cut is not gone on with, but begun anew from the base: a later statement would
 * fail, or silently read a table of the same name.
 */
export function holdsTemporaryTables({ plan }: StoredPlan): boolean {
  return plan.verdict.reasons.some(({ code }) => code === 'temporary-tables');
}

/**
 * Makes sure that the replay begins on the base itself: what an earlier try has replayed is thrown away,
 * and the base is fetched once more. A crash in between is noticed by the marks that are gone.
 */
export async function beginInOneGo(context: RestoreContext, job: RestoreJob): Promise<void> {
  const folder = foldersOf(job);
  if ((await readMark(folder, 'base-state')) !== undefined) {
    await endApplier(applierFolders(folder));
    await forgetFetched(folder);
    await removeMark(folder, 'base-state');
  }
  await fetchOnce(context, job);
}

/** The server ended in the middle of a replay that must be done in one go: it is tried again, from the base. */
export function cutShort(): AppError {
  return new AppError({
    code: 'ReplayCutShort',
    kind: 'unavailable',
    message:
      'The server that replays ended, and temporary tables of the replayed statements with it: the replay begins anew from the base.',
  });
}
