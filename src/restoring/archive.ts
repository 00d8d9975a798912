import { openRepositories, type Repositories, type Repository } from '../archiving/repositories.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { ClusterConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { type Fallover, FalloverReader } from './fallover.ts';
import type { SegmentHome } from './segment-stream.ts';

/** A store that a restore reads from: its catalog as verified at the start, and the key. */
export interface Archive extends SegmentHome {
  readonly state: CatalogState;
  /** Stores that were tried before this one and could not be read, each with its reason. */
  readonly passedOver: readonly string[];
  /** Reads from this store first, and from the others where it fails; from this one only where it was named. */
  readonly reader: FalloverReader;
  /** What `reader` has read from another store so far. */
  readonly fallovers: readonly Fallover[];
  close(): Promise<void>;
}

/**
 * Opens the first store of a cluster whose catalog can be read, in the order of the configuration; or
 * the one that is named. Only an unavailable store is passed over: a corrupt one is an error, because
 * somebody has to know.
 */
export async function openArchive(cluster: ClusterConfig, storeId: string | null): Promise<Archive> {
  const repositories = await openRepositories(cluster);
  try {
    const candidates = choose(repositories, storeId);
    const { repository, state, passedOver } = await firstReadable(candidates);
    const { key } = repositories;
    const { repositoryId } = state;
    const others = candidates.filter((it) => it !== repository);
    const homes = [repository, ...others].map(({ store }) => ({ store, key, repositoryId }));
    const fallovers: Fallover[] = [];
    const reader = new FalloverReader(homes, async (fallover) => void fallovers.push(fallover));
    return {
      store: repository.store,
      key,
      repositoryId,
      state,
      passedOver,
      reader,
      fallovers,
      close: () => repositories.close(),
    };
  } catch (error) {
    await repositories.close();
    throw error;
  }
}

function choose(repositories: Repositories, storeId: string | null): readonly Repository[] {
  if (storeId === null) return repositories.all;
  const named = repositories.all.filter(({ store }) => store.id === storeId);
  if (named.length > 0) return named;
  throw new AppError({
    code: 'UnknownStore',
    kind: 'config',
    message: `No store ${JSON.stringify(storeId)} is configured, so nothing can be read from it.`,
    hint: `Configured are: ${repositories.all.map(({ store }) => store.id).join(', ')}.`,
    facts: { store: storeId },
  });
}

async function firstReadable(
  candidates: readonly Repository[],
): Promise<{ repository: Repository; state: CatalogState; passedOver: string[] }> {
  const passedOver: string[] = [];
  let last: AppError | null = null;
  for (const repository of candidates) {
    try {
      return { repository, state: await repository.catalog.read(), passedOver };
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== 'unavailable') throw error;
      last = error;
      passedOver.push(`${repository.store.id}: ${error.message}`);
    }
  }
  throw new AppError({
    code: 'NoStoreReadable',
    kind: 'unavailable',
    message: `None of ${candidates.length} stores can be read, so nothing can be restored now. ${passedOver.join(' ')}`,
    hint: 'Bring one of the stores back and try again: one store and its key are enough.',
    facts: { stores: candidates.map(({ store }) => store.id) },
    ...(last === null ? {} : { cause: last }),
  });
}
