import assert from 'node:assert/strict';
import type { CatalogState } from '../../src/catalog/fold.ts';
import type { ClusterConfig, StoreConfig } from '../../src/config/types.ts';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import { PLAIN_RULES } from '../support/store-rules.ts';
import type { RestoreRig } from './restore-rig.ts';

/** All that an archiver stores: a base backup, and a binlog that is too large for one request once it is sealed. */
export async function storeEverything(rig: RestoreRig, storeId: string): Promise<CatalogState> {
  await rig.source.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)',
  );
  await rig.backup();
  // Random text does not compress.
  await rig.source.run(
    'SET SESSION cte_max_recursion_depth = 1000000',
    'INSERT INTO d.t (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 12000) SELECT HEX(RANDOM_BYTES(1000)) FROM n',
  );
  await rig.archive();
  const archived = rig.repositories.all.find(({ store }) => store.id === storeId);
  const state = (await archived?.catalog.read()) ?? assert.fail(`no store ${storeId}`);
  const isInParts = state.allSegments().some(({ object }) => object.lengthBytes > 8 * 1024 * 1024);
  assert.ok(isInParts, 'one went in parts');
  assert.equal(state.backups().length, 1);
  return state;
}

/** Restores everything from one store alone, with the credentials of its configuration. */
export async function restoreFrom(rig: RestoreRig, store: StoreConfig): Promise<void> {
  const cluster: ClusterConfig = { ...rig.cluster, stores: [{ ...store, ...PLAIN_RULES }] };
  const watcher = { onStep: () => undefined, onPlanned: () => undefined, onRetry: () => undefined };
  const outcome = await restoreDirectly(await rig.context({ cluster }), rig.job('latest'), watcher);
  assert.equal(outcome.gtidExecuted, await rig.source.gtidExecuted());
}
