import { randomUUID } from 'node:crypto';
import type { AppendBy } from '../catalog/catalog.ts';
import { parseRepositoryId } from '../domain/identity.ts';
import { probeStore } from '../storage/probe.ts';
import type { Repositories } from './repositories.ts';

/** What `initRepositories` did to one store. */
export interface RepositoryChange {
  readonly cluster: string;
  readonly store: string;
  readonly location: string;
  readonly repositoryId: string;
  readonly change: 'created' | 'found';
}

/**
 * Creates the repository of a cluster in every store that has none, all under one id: the same
 * sealed bytes go to each. A store without preconditions is refused before anything is created.
 * Can be run again; a crash leaves the stores done so far, and the next run goes on with their id.
 *
 * @throws refused `NoPreconditions`, `ForeignRepository`; unavailable
 */
export async function initRepositories(
  cluster: string,
  repositories: Repositories,
  by: AppendBy,
): Promise<readonly RepositoryChange[]> {
  const found = await Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      await probeStore(store);
      return catalog.readIfAny();
    }),
  );
  const repositoryId =
    found.find((state) => state !== undefined)?.repositoryId ?? parseRepositoryId(randomUUID());
  const changes: RepositoryChange[] = [];
  for (const [index, { store, catalog }] of repositories.all.entries()) {
    const state = await catalog.init(cluster, by, repositoryId);
    changes.push({
      cluster,
      store: store.id,
      location: store.location,
      repositoryId: state.repositoryId,
      change: found[index] === undefined ? 'created' : 'found',
    });
  }
  return changes;
}
