import { z } from 'zod';
import { initRepositories, type RepositoryChange } from '../../archiving/init-repositories.ts';
import { firstSignature, openRepositories, wallClock } from '../../archiving/repositories.ts';
import type { ClusterConfig, SourceConfig } from '../../config/types.ts';
import { startEntity } from '../archive/entity.ts';
import { defineCommand } from '../command.ts';
import { startWatch } from '../handoff/start-watch.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';

interface SourceChange {
  readonly cluster: string;
  readonly source: string;
  /** `fallback`: its workflow runs, and archives once a handoff names it. */
  readonly role: SourceConfig['role'];
  readonly archiving: 'started' | 'running';
}

export const command = defineCommand({
  description:
    'Makes what runs equal to pitrail.yaml: creates the repository in every store (the key must exist), starts archiving of every source, and the watch over it where fallbacks are named. What is there already is left alone, so it can be run at any time.',
  arguments: [],
  options: [],
  examples: [{ line: 'pitrail apply', says: 'after each change of pitrail.yaml' }],
  schema: z.strictObject({}),
  async run({ config, output }) {
    const settled = await config();
    const repositories: RepositoryChange[] = [];
    for (const cluster of settled.clusters) repositories.push(...(await applyStores(cluster)));
    const session = await connectTemporal(settled.temporal);
    const sources: SourceChange[] = [];
    try {
      for (const cluster of settled.clusters)
        sources.push(...(await applySources(cluster, settled.region, session)));
    } finally {
      await session.close();
    }
    output.result({ repositories, sources }, () => describe(repositories, sources));
    return 0;
  },
});

async function applyStores(cluster: ClusterConfig): Promise<readonly RepositoryChange[]> {
  const repositories = await openRepositories(cluster);
  try {
    return await initRepositories(cluster.name, repositories, firstSignature('apply', wallClock()));
  } finally {
    await repositories.close();
  }
}

async function applySources(
  cluster: ClusterConfig,
  region: string,
  session: TemporalSession,
): Promise<SourceChange[]> {
  const changes: SourceChange[] = [];
  for (const { id, role } of cluster.sources) {
    const archiving = await startEntity(session, { cluster: cluster.name, source: id, region });
    changes.push({ cluster: cluster.name, source: id, role, archiving });
  }
  if (cluster.archive.fallback !== null) await startWatch(session, cluster.name, region);
  return changes;
}

function describe(repositories: readonly RepositoryChange[], sources: readonly SourceChange[]): string {
  return [
    ...repositories.map(
      ({ change, cluster, location, repositoryId }) =>
        `${change === 'created' ? 'created' : 'found'} repository ${repositoryId} of ${cluster} in ${location}`,
    ),
    ...sources.map(
      ({ cluster, source, role, archiving }) =>
        `${archiving === 'started' ? 'started' : 'runs already:'} archiving of ${cluster}/${source}${role === 'fallback' ? ', which stands by until a handoff names it' : ''}`,
    ),
  ].join('\n');
}
