/**
 * Promise: where the required store fails in the middle of a base backup and another one begins to count
 * for it, which raises the epoch, the backup is kept there; and the store that is back gets it by itself.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { TakeBackupResult } from '../../workflows/contracts/backup.ts';
import { addNoise } from '../support/workload.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
let farStore: FarStore;

before(async () => {
  farStore = await startFarStore();
  world = await startArchiveWorld({ stores: [farStore.entry], main: { policy: 'catch-up' } });
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await addNoise(world.mysql, 20);
  await world.mysql.run('FLUSH BINARY LOGS');
  await soon('both have all', async () => {
    const closed = String(await world.closed());
    return String(await world.archived()) === closed && String(await inBucket()) === closed;
  });
});
after(async () => {
  await world.stop();
  await farStore.stop();
});

async function inBucket(): Promise<string[]> {
  const state = await openCatalog(farStore.bucket).read();
  return state.allSegments().map(({ segment }) => segment.binlog);
}

test('it is kept in the store that counts now, and the one that is back gets it with all the rest', async () => {
  farStore.cable.setWeather({ kind: 'throttle', bytesPerSecond: 1_000_000 });
  const before = farStore.cable.passed('to-server');
  const taking = world.pitrail('backup', '--json');
  await soon('some of it is there', async () => farStore.cable.passed('to-server') - before > 3_000_000);
  farStore.cable.setWeather({ kind: 'hold' });
  farStore.cable.reset();
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
  const { code, stdout, stderr } = await taking;
  assert.equal(code, 75, stderr + stdout);
  const { backupId, stores, lackedBy } = JSON.parse(stdout) as TakeBackupResult;
  assert.deepEqual([stores, lackedBy.map(({ store }) => store)], [['main'], ['far']]);
  const state = await world.catalog();
  assert.deepEqual([state.epoch, state.handoffs().length], [2, 1], 'the folder counts for the bucket');
  assert.equal(state.backups().at(-1)?.backup.backupId, backupId);

  farStore.cable.setWeather({ kind: 'clear' });
  farStore.cable.reset();
  await soon('it counts again', async () => (await world.status()).standIns.length === 0);
  const far = await openCatalog(farStore.bucket).read();
  assert.ok(far.backups().some(({ backup }) => backup.backupId === backupId));
  const { verdict, differences } = compareCatalogs(viewOf('main', await world.catalog()), viewOf('far', far));
  assert.equal(verdict, 'equal', JSON.stringify(differences));
});
