import type { ArchiveSourceContext } from '../archiving/resources.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import type { ServerUuid } from '../domain/identity.ts';
import { type ArchiveLag, archiveLag, lagSeconds } from '../domain/routing/archive-lag.ts';
import { readServerFacts } from '../mysql/facts.ts';
import { coveredOf } from './covered.ts';
import { readLagLogs } from './look.ts';
import { effective } from './manifests.ts';
import { within } from './within.ts';

/** A look at the lag takes no longer; a store that is away is no fault of the source. */
const LAG_MS = 5_000;
const STORE_MS = 3_000;

/**
 * How far the archive is behind the closed logs of a source, against all stores that answer; null where
 * something does not. @throws config, bug
 */
export async function currentLag(context: ArchiveSourceContext): Promise<ArchiveLag | null> {
  try {
    return await within(LAG_MS, context.source.id, () => readLag(context));
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === 'bug' || error.kind === 'config') throw error;
    return null;
  }
}

/** Age in seconds of the oldest transaction that is not archived; 0 where there is none, or it is not known. */
export async function currentLagSeconds(context: ArchiveSourceContext): Promise<number> {
  const lag = await currentLag(context);
  return lag === null ? 0 : (lagSeconds(lag, Date.now()) ?? 0);
}

function readLag(context: ArchiveSourceContext): Promise<ArchiveLag> {
  return context.withSession(async (session) => {
    const { serverUuid, gtidExecuted } = await readServerFacts(session);
    const logs = await readLagLogs(context, session);
    // What the open log holds cannot be archived yet, however long the server keeps it open.
    const begun = logs.at(-1)?.previousGtids ?? gtidExecuted;
    const covered = await coveredWhereItCounts(context, serverUuid);
    return archiveLag(logs.slice(0, -1), GtidSet.parse(begun), covered);
  });
}

/** What is archived: every store has it that counts. One that does not is not waited for. */
async function coveredWhereItCounts(
  { cluster, repositories }: ArchiveSourceContext,
  serverUuid: ServerUuid,
): Promise<GtidSet> {
  const read = await Promise.allSettled(
    repositories.all.map(({ store, catalog }) => within(STORE_MS, store.location, () => catalog.read())),
  );
  const states = new Map<string, CatalogState>();
  for (const [index, result] of read.entries()) {
    const id = repositories.all[index]?.store.id;
    if (result.status === 'fulfilled' && id !== undefined) states.set(id, result.value);
  }
  const counting = effective(cluster.stores, [...states.values()]).filter(
    ({ policy }) => policy === 'required',
  );
  const covered = counting.map(({ store }) => {
    const state = states.get(store);
    if (state === undefined) throw notRead(store);
    return coveredOf(state, serverUuid);
  });
  return covered.reduce((one, other) => one.intersect(other));
}

function notRead(store: string): AppError {
  return new AppError({
    code: 'StoreNotRead',
    kind: 'unavailable',
    message: `${store} counts and could not be read, so it is not known how far the archive is behind.`,
    facts: { store },
  });
}
