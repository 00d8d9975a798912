import { AppError } from '../domain/errors.ts';
import { closedRefs, decideRound, type ServerView } from './decide-round.ts';
import type { LogAccess } from './log-access.ts';
import { withinStaging } from './stage-ahead.ts';

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
  const decided = decideRound([view]);
  const stage = view.stores.length === 0 ? closedRefs(view) : decided.stage;
  const bounded = withinStaging({ ...decided, stage }, [view], access.stageAhead).stage;
  const signal = AbortSignal.timeout(MAX_MS);
  try {
    await access.stage(bounded.slice(0, MAX_STAGED), { signal, onProgress: () => undefined });
  } catch (error) {
    // What came by then is kept, and the next look goes on.
    if (!signal.aborted || error instanceof AppError) throw error;
  }
}
