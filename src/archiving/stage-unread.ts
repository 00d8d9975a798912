import { AppError } from '../domain/errors.ts';
import { closedRefs, decideRound } from './decide-round.ts';
import type { LogAccess } from './log-access.ts';
import type { ServerView } from './server-view.ts';
import type { LogRef } from './staging.ts';
import { STAGING_FACTOR } from './staging-room.ts';

/** How many logs one look stages, and how long: where they are copied, it must end in the time of a step. */
const MAX_STAGED = 100;
const MAX_MS = 5 * 60_000;

/**
 * Stages closed logs while a catalog cannot be read. Nothing can be archived then, but the server
 * purges all the same, and what it purges unstaged is lost. `view.stores` holds the catalogs that
 * are known from before: what all of those name is left out; without any, every closed log is
 * staged, and the next look that reads the catalogs releases what was archived already.
 *
 * @throws unavailable `StagingFull`
 */
export async function stageUnread(view: ServerView, access: LogAccess): Promise<void> {
  const { stagingMaxBytes } = access;
  const stage =
    view.stores.length === 0 ? fitting(view, stagingMaxBytes) : decideRound([view], stagingMaxBytes).stage;
  const signal = AbortSignal.timeout(MAX_MS);
  try {
    await access.stage(stage.slice(0, MAX_STAGED), { signal, onProgress: () => undefined });
  } catch (error) {
    // What came by then is kept, and the next look goes on.
    if (!signal.aborted || error instanceof AppError) throw error;
  }
}

/** The oldest closed logs that fit into the staging folder beside what lies there. */
function fitting(view: ServerView, stagingMaxBytes: number): readonly LogRef[] {
  let bytes = view.staged.reduce((sum, { sizeBytes }) => sum + sizeBytes * STAGING_FACTOR, 0);
  const refs = closedRefs(view);
  const cut = refs.findIndex(({ lengthBytes }) => {
    const isAlone = bytes === 0;
    bytes += lengthBytes * STAGING_FACTOR;
    return !isAlone && bytes > stagingMaxBytes;
  });
  return cut < 0 ? refs : refs.slice(0, cut);
}
