import { AppError } from '../domain/errors.ts';
import { nearest } from './nearest.ts';
import type { ClusterConfig, ClusterStore, PitrailConfig, SourceConfig } from './types.ts';

/** The named cluster, or the only one. @throws usage */
export function pickCluster(config: PitrailConfig, name: string | null): ClusterConfig {
  return pick('cluster', '--cluster', config.clusters, (cluster) => cluster.name, name, config.file);
}

/** The named source of a cluster, or the only one. `flag` is the option that names it. @throws usage */
export function pickSource(
  config: PitrailConfig,
  cluster: ClusterConfig,
  id: string | null,
  flag = '--source',
): SourceConfig {
  return pick('source', flag, cluster.sources, (source) => source.id, id, config.file);
}

/** The named store of a cluster; without a name the first, which is the preferred one. `flag` names it. @throws usage */
export function pickStore(
  config: PitrailConfig,
  cluster: ClusterConfig,
  id: string | null,
  flag = '--store',
): ClusterStore {
  const [first] = cluster.stores;
  if (id === null && first !== undefined) return first;
  return pick('store', flag, cluster.stores, (store) => store.id, id, config.file);
}

function pick<T>(
  what: string,
  flag: string,
  all: readonly T[],
  nameOf: (item: T) => string,
  name: string | null,
  file: string,
): T {
  const names = all.map(nameOf);
  const found =
    name === null ? (all.length === 1 ? all[0] : undefined) : all.find((item) => nameOf(item) === name);
  if (found !== undefined) return found;
  const meant = name === null ? undefined : nearest(name, names);
  throw new AppError({
    code: name === null ? 'NotChosen' : 'UnknownName',
    kind: 'usage',
    message:
      all.length === 0
        ? `${file} names no ${what} at all.`
        : name === null
          ? `${file} names ${all.length} ${what}s, so it must be said which one.`
          : `${file} names no ${what} ${JSON.stringify(name)}.`,
    hint:
      all.length === 0
        ? `Add the ${what} to pitrail.yaml.`
        : meant === undefined
          ? `Say ${flag} with one of: ${names.join(', ')}.`
          : `Did you mean ${flag} ${meant}?`,
    facts: { what, name, known: names },
  });
}
