import type { SourceConfig } from '../config/types.ts';
import { closedRefs, decideRound, type ServerView } from './decide-round.ts';
import { stageLogs } from './stage.ts';
import { ensureStagingDir } from './staging.ts';

/** How many logs one look stages: where they are copied, it must end in the time of a step. */
const MAX_STAGED = 100;

/**
 * Stages closed logs while a catalog cannot be read. Nothing can be archived then, but the server
 * purges all the same, and what it purges unstaged is lost. `view.stores` holds the catalogs that
 * are known from before: what all of those name is left out; without any, every closed log is
 * staged, and the next look that reads the catalogs releases what was archived already.
 *
 * @throws unavailable `StagingFull`
 */
export async function stageUnread(view: ServerView, source: SourceConfig): Promise<void> {
  const { stagingDir, binlogDir } = source;
  const stage = view.stores.length === 0 ? closedRefs(view) : decideRound([view]).stage;
  await ensureStagingDir(stagingDir, view.serverUuid);
  await stageLogs(stagingDir, binlogDir, stage.slice(0, MAX_STAGED));
}
