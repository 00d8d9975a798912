import { openCatalog } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { loadTrustedKey } from '../catalog/keys.ts';
import type { ClusterConfig, ClusterStore } from '../config/types.ts';
import { guardByRules } from '../storage/guard/guarded-store.ts';
import { openStore } from '../storage/open-store.ts';

/** What one store says, and how whole it is. */
export interface StoreCatalog {
  readonly state: CatalogState;
  readonly location: string;
  readonly damagedPacks: readonly number[];
}

/** Reads the catalog of one store; needs no encryption key. @throws all that `Catalog.read` throws */
export async function readCatalog(cluster: ClusterConfig, config: ClusterStore): Promise<StoreCatalog> {
  const { publicKeyFile } = cluster.signing;
  const trustedKey = publicKeyFile === null ? {} : { trustedKey: await loadTrustedKey(publicKeyFile) };
  const store = guardByRules(await openStore(config), config);
  try {
    const catalog = openCatalog(store, { cluster: cluster.name, ...trustedKey });
    const state = await catalog.read();
    return { state, location: store.location, damagedPacks: catalog.damagedPacks };
  } finally {
    await store.close();
  }
}
