/**
 * Promise: a replica that stands by is backed up on the timeline of the server that is archived, and a restore from that
 * base is exact; where it does not replicate from that server, it is refused.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TakeBackupResult } from '../../workflows/contracts/backup.ts';
import { documentOf, pitrail } from '../integration/cli-run.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { placeOrders, tableChecksums } from '../support/workload.ts';
import { until } from './archive-world.ts';
import { type HandoffWorld, startHandoffWorld } from './handoff-world.ts';

let world: HandoffWorld;

before(async () => {
  world = await startHandoffWorld();
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await placeOrders(world.mysql, 20, 10);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('all is archived', async () => String(await world.archived()) === String(await world.closed()));
});
after(async () => {
  await world.stop();
});

test('its base counts once the logs of the archived server hold its transactions, and restores exactly', async () => {
  await placeOrders(world.mysql, 20, 10);
  await world.replica.catchUp();
  const backup = await world.pitrail('backup', '--source', 'shop-2', '--json');
  assert.equal(backup.code, 0, backup.stderr + backup.stdout);
  const { backupId, timeline, completeness } = JSON.parse(backup.stdout) as TakeBackupResult;
  assert.deepEqual([timeline, completeness], [1, 'complete']);
  const state = await world.catalog();
  assert.deepEqual(
    state.timelines().map((it) => [it.timeline, it.serverUuid]),
    [[1, world.mysql.serverUuid]],
    'it began no timeline',
  );
  assert.equal(state.backup(backupId as never)?.backup.serverUuid, world.replica.serverUuid);

  await placeOrders(world.mysql, 20, 10);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('all is archived', async () => String(await world.archived()) === String(await world.closed()));
  const [executed, truth] = [await world.mysql.gtidExecuted(), await tableChecksums(world.mysql)];
  const target = join(world.dir, 'restored');
  const restore = await pitrail([
    ...['restore', '--config', world.config, '--direct', '--to', 'latest'],
    ...['--target-dir', target, '--json'],
  ]);
  assert.equal(restore.code, 0, restore.stderr + restore.stdout);
  const outcome = documentOf<{ gtidExecuted: string; backupId?: string; plan?: unknown }>(restore);
  assert.equal(outcome.gtidExecuted, executed);
  const restored = await startRestored(target);
  try {
    assert.deepEqual(await tableChecksums(restored), truth);
  } finally {
    await restored.stop();
  }
});

test('a replica that is cut off from the archived server is not backed up', async () => {
  await world.replica.run('STOP REPLICA');
  const before = (await world.catalog()).backups().length;
  const backup = await world.pitrail('backup', '--source', 'shop-2', '--json');
  assert.equal(backup.code, 3, backup.stderr + backup.stdout);
  assert.match(backup.stdout, /NotReplicating/);
  assert.equal((await world.catalog()).backups().length, before);
  await world.replica.run('START REPLICA');
});
