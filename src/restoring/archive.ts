import { openRepositories, type Repository } from '../archiving/repositories.ts';
import type { ClusterConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { type Fallover, FalloverReader } from './fallover.ts';
import { type ReadUnion, readUnion } from './read-union.ts';

/** The stores that a restore reads from: what their catalogs say together, as verified at the start. */
export interface Archive extends ReadUnion {
  /** Reads each object from the stores that hold it, and from the others where those fail. */
  readonly reader: FalloverReader;
  /** What `reader` has read from another store so far. */
  readonly fallovers: readonly Fallover[];
  close(): Promise<void>;
}

/**
 * Opens all stores of a cluster whose catalogs can be read, in the order of the configuration; or only the one
 * that is named.
 * @throws config `UnknownStore`; what `readUnion` throws
 */
export async function openArchive(cluster: ClusterConfig, storeId: string | null): Promise<Archive> {
  const repositories = await openRepositories(cluster);
  const stores = repositories.all.map(({ store }) => store);
  const close = async () => void (await Promise.all(stores.map((store) => store.close())));
  try {
    const candidates = choose(repositories.all, storeId);
    const union = await readUnion(candidates);
    const { key } = repositories;
    const { repositoryId } = union.facts;
    const homes = candidates.map(({ store }) => ({ store, key, repositoryId }));
    const fallovers: Fallover[] = [];
    const reader = new FalloverReader(homes, async (fallover) => void fallovers.push(fallover));
    // The catalogs themselves are let go: only what the union keeps of them stays in memory.
    return { ...union, reader, fallovers, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function choose(all: readonly Repository[], storeId: string | null): readonly Repository[] {
  if (storeId === null) return all;
  const named = all.filter(({ store }) => store.id === storeId);
  if (named.length > 0) return named;
  throw new AppError({
    code: 'UnknownStore',
    kind: 'config',
    message: `No store ${JSON.stringify(storeId)} is configured, so nothing can be read from it.`,
    hint: `Configured are: ${all.map(({ store }) => store.id).join(', ')}.`,
    facts: { store: storeId },
  });
}
