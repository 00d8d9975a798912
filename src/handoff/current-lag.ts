import type { ArchiveSourceContext } from '../archiving/resources.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { type ArchiveLag, archiveLag, lagSeconds } from '../domain/routing/archive-lag.ts';
import { readServerFacts } from '../mysql/facts.ts';
import { coveredOf } from './covered.ts';
import { readLagLogs } from './look.ts';
import { effective } from './manifests.ts';
import { within } from './within.ts';

/** A look at the lag takes no longer; a store that is away is no fault of the source. */
const LAG_MS = 4_000;

/** How far the archive is behind a source. */
export interface CurrentLag extends ArchiveLag {
  /** Age of the oldest transaction that is not archived; 0 where that is not known. */
  readonly seconds: number;
}

const UNKNOWN: CurrentLag = { transactions: 0, since: null, seconds: 0 };

/** Computes the lag of a source against all stores that answer; unknown where something does not. @throws config, bug */
export async function currentLag(context: ArchiveSourceContext): Promise<CurrentLag> {
  try {
    return await within(LAG_MS, context.source.id, () => readLag(context));
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === 'bug' || error.kind === 'config') throw error;
    return UNKNOWN;
  }
}

function readLag(context: ArchiveSourceContext): Promise<CurrentLag> {
  return context.withSession(async (session) => {
    const { serverUuid, gtidExecuted } = await readServerFacts(session);
    const logs = await readLagLogs(context, session);
    const states = await Promise.all(
      context.repositories.all.map(async ({ store, catalog }) => ({
        store: store.id,
        state: await catalog.read(),
      })),
    );
    // Archived is what every store has that counts.
    const counting = effective(
      context.cluster.stores,
      states.map(({ state }) => state),
    )
      .filter(({ policy }) => policy === 'required')
      .map(({ store }) => store);
    const covered = states
      .filter(({ store }) => counting.includes(store))
      .map(({ state }) => coveredOf(state, serverUuid))
      .reduce((one, other) => one.intersect(other));
    const lag = archiveLag(logs, GtidSet.parse(gtidExecuted), covered);
    return { ...lag, seconds: lagSeconds(lag, Date.now()) ?? 0 };
  });
}
