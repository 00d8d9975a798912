import { type Catalog, openCatalog } from '../../catalog/catalog.ts';
import type { CatalogState } from '../../catalog/fold.ts';
import { loadTrustedKey } from '../../catalog/keys.ts';
import type { ClusterConfig, StoreConfig } from '../../config/types.ts';
import { guardSilence } from '../../storage/guard/guarded-store.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openStore } from '../../storage/open-store.ts';
import { probeStore } from '../../storage/probe.ts';
import { formatCount } from '../words.ts';
import { type CheckFinding, failed, findingsOf, ok, warning } from './finding.ts';
import { checkOpens } from './opens.ts';

/** Checks every store of a cluster: what it can do, and whether its catalog is whole. */
export async function checkStores(cluster: ClusterConfig): Promise<readonly CheckFinding[]> {
  const checked = await Promise.all(cluster.stores.map((store) => checkStore(cluster, store)));
  return [
    ...checked.flatMap(({ findings }) => findings),
    ...judgeSameRepository(
      cluster.name,
      checked.flatMap(({ state }) => state),
    ),
  ];
}

interface CheckedStore {
  readonly findings: readonly CheckFinding[];
  /** One, or none where there is no repository or it cannot be read. */
  readonly state: readonly CatalogState[];
}

async function checkStore(cluster: ClusterConfig, config: StoreConfig): Promise<CheckedStore> {
  const part = `store ${cluster.name}/${config.id}`;
  const state: CatalogState[] = [];
  const findings = await findingsOf(part, async () => {
    const store = guardSilence(await openStore(config));
    try {
      const probed = await findingsOf(part, () => probe(part, store));
      // What is out of reach has been said once.
      if (probed.some((finding) => finding.status === 'failed' && finding.kind === 'unavailable'))
        return probed;
      const catalog = await findingsOf(part, () => readCatalog(part, cluster, store, state));
      return [...probed, ...catalog.filter((finding) => !isSaid(probed, finding))];
    } finally {
      await store.close();
    }
  });
  return { findings, state };
}

/** A missing bucket, say, keeps the catalog from being read for the very same reason. */
function isSaid(said: readonly CheckFinding[], finding: CheckFinding): boolean {
  return finding.status === 'failed' && said.some(({ message }) => message === finding.message);
}

async function probe(part: string, store: ObjectStore): Promise<CheckFinding[]> {
  await probeStore(store);
  return [ok(part, `${store.location} creates objects only where none exists, and gives back what it took`)];
}

async function readCatalog(
  part: string,
  cluster: ClusterConfig,
  store: ObjectStore,
  read: CatalogState[],
): Promise<CheckFinding[]> {
  const { publicKeyFile } = cluster.signing;
  const trustedKey = publicKeyFile === null ? {} : { trustedKey: await loadTrustedKey(publicKeyFile) };
  const catalog = openCatalog(store, { cluster: cluster.name, ...trustedKey });
  const state = await catalog.readIfAny();
  if (state === undefined) {
    return [warning(part, `${store.location} holds no repository yet.`, 'Make it: pitrail apply')];
  }
  read.push(state);
  const entries = formatCount(state.head.sequence, 'entry', 'entries');
  return [
    ok(part, `the catalog is whole: ${entries}, repository ${state.repositoryId}`),
    ...damagedPacks(part, catalog),
    ...(await checkOpens(part, cluster, store, state)),
  ];
}

function damagedPacks(part: string, catalog: Catalog): CheckFinding[] {
  if (catalog.damagedPacks.length === 0) return [];
  const message = `pack ${catalog.damagedPacks.join(', ')} of the catalog is damaged; its entries were read one by one and are whole.`;
  return [warning(part, message, 'Remove the damaged objects under catalog/packs/; they are written anew.')];
}

/** All stores of a cluster hold one repository, because the same sealed bytes go to each. Pure. */
function judgeSameRepository(cluster: string, states: readonly CatalogState[]): CheckFinding[] {
  const ids = [...new Set(states.map(({ repositoryId }) => repositoryId))];
  if (ids.length <= 1) return [];
  const message = `the stores of ${cluster} hold ${ids.length} different repositories (${ids.join(', ')}), so nothing is archived into them.`;
  return [
    failed(
      `cluster ${cluster}`,
      'RepositoriesDiffer',
      'conflict',
      message,
      'Give the newer store an empty prefix or folder.',
    ),
  ];
}
