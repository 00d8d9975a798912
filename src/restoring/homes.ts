import { openRepositories } from '../archiving/repositories.ts';
import type { ClusterConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { SegmentHome } from './segment-stream.ts';
import type { StoredPlan } from './work-folder.ts';

/** The stores that a restore may read from, the one whose catalog was planned with first. */
export interface RestoreHomes {
  /**
   * The first store that holds the object and answers now. What is read from it is proven by its
   * digest, so it does not matter which one it is.
   * @throws unavailable where none answers; refused `ObjectMissing` where none that answers holds it
   */
  holding(object: StoredObject, signal: AbortSignal): Promise<SegmentHome>;
  close(): Promise<void>;
}

/** Opens the stores of a planned restore. @throws config, refused where the key is absent or exposed */
export async function openHomes(cluster: ClusterConfig, stored: StoredPlan): Promise<RestoreHomes> {
  const repositories = await openRepositories(cluster);
  const usable = repositories.all
    .map(({ store }) => store)
    .filter(({ id }) => id === stored.storeId || stored.job.store === null)
    .toSorted((a, b) => rank(a.id, stored) - rank(b.id, stored));
  const { repositoryId } = stored.plan;
  const homes = usable.map((store): SegmentHome => ({ store, key: repositories.key, repositoryId }));
  return {
    holding: (object, signal) => firstHolding(homes, object, signal),
    close: () => repositories.close(),
  };
}

function rank(storeId: string, stored: StoredPlan): number {
  return storeId === stored.storeId ? 0 : 1;
}

async function firstHolding(
  homes: readonly SegmentHome[],
  object: StoredObject,
  signal: AbortSignal,
): Promise<SegmentHome> {
  const failures: AppError[] = [];
  for (const home of homes) {
    try {
      const info = await home.store.head(object.key, { signal });
      if (info?.lengthBytes === object.lengthBytes) return home;
      failures.push(missing(home, object, info === undefined ? 'is not there' : 'has another length'));
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== 'unavailable') throw error;
      failures.push(error);
    }
  }
  // A store that is away may hold it: then trying again can help, whatever the others lack.
  throw failures.find(({ kind }) => kind === 'unavailable') ?? failures[0] ?? noStore();
}

function missing({ store }: SegmentHome, object: StoredObject, what: string): AppError {
  return new AppError({
    code: 'ObjectMissing',
    kind: 'refused',
    message: `${object.key} ${what} in ${store.location}, although the catalog names it: the restore cannot go on from there.`,
    hint: 'Find out who removed or replaced it. A second store of the cluster that holds it is used by itself.',
    facts: { store: store.id, key: object.key },
  });
}

function noStore(): AppError {
  return new AppError({
    code: 'UnknownStore',
    kind: 'config',
    message: 'The store that the restore was planned with is not configured any more, so it cannot go on.',
    hint: 'Put it back into pitrail.yaml.',
  });
}
