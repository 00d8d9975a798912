import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { ClusterReport } from '../../src/cli/status/report.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { startTestReplica, type TestReplica } from '../support/mysql-replica.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;
let replica: TestReplica;
let worker: RunningProcess;

before(async () => {
  world = await startArchiveWorld();
  replica = await startTestReplica(world.mysql);
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await replica.stop();
  await world.stop();
});

/** Hands the archive to the replica, as a handoff writes it. @returns the boundary's sequence */
async function handOver(): Promise<number> {
  const catalog = openCatalog(world.store);
  const { epoch } = await catalog.read();
  const entry = await catalog.append(
    {
      kind: 'handoff',
      route: {
        kind: 'source',
        from: { source: 'shop-1', serverUuid: parseServerUuid(world.mysql.serverUuid) },
        to: { source: 'shop-2', serverUuid: parseServerUuid(replica.serverUuid) },
        continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
      },
      reason: 'operator',
      detail: 'asked for by the test',
    },
    { writer: 'test/1/handoff', epoch: epoch + 1, at: '2026-11-20T10:00:00.000000Z' },
  );
  return entry.sequence;
}

async function addHeir(): Promise<void> {
  const config = parse(await readFile(world.config, 'utf8'));
  config.clusters.shop.sources.push({
    id: 'shop-2',
    socket: replica.socket,
    user: 'pitrail',
    password: { file: 'password' },
    binlogDir: replica.binlogDir,
  });
  await writeFile(world.config, stringify(config));
}

test('an heir goes on in the same timeline without a gap, and a restore to latest equals it', async (t) => {
  await createShop(world.mysql);
  await placeOrders(world.mysql, 20);
  const backup = await world.pitrail('backup');
  assert.equal(backup.code, 0, backup.stderr);
  await placeOrders(world.mysql, 20);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('all is archived', async () => String(await world.archived()) === String(await world.closed()));
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');

  const boundary = await handOver();
  await placeOrders(world.mysql, 20);
  await world.mysql.run('FLUSH BINARY LOGS');
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');
  await worker.stop();
  await addHeir();
  worker = await world.startWorker();
  assert.equal((await world.pitrail('apply')).code, 0);

  const executed = GtidSet.parse(await replica.gtidExecuted());
  await until('the heir has archived the rest', async () =>
    executed.isSubsetOf((await world.catalog()).archivedThrough(1)),
  );
  const state = await world.catalog();
  assert.equal(state.timelines().length, 1);
  const behind = state.allSegments().filter(({ sequence }) => sequence > boundary);
  assert.ok(behind.length > 0);
  assert.deepEqual([...new Set(behind.map(({ segment }) => segment.serverUuid))], [replica.serverUuid]);
  const transactions = state.allSegments().reduce((sum, { segment }) => sum + segment.transactions, 0);
  assert.equal(BigInt(transactions), executed.count(), 'each transaction is archived once');
  const handle = world.client.workflow.getHandle('archive/shop/shop-2');
  const { deadLetters, backlog } = await handle.query<ArchiveStatus>('status');
  assert.deepEqual([deadLetters, backlog.logs], [[], 0]);

  const status = await world.pitrail('status', '--json');
  const report = JSON.parse(status.stdout) as { clusters: readonly ClusterReport[] };
  const heir = report.clusters[0]?.sources.find(({ id }) => id === 'shop-2');
  const backlogs = heir?.archived.map((line) => line.backlog?.logs);
  assert.deepEqual(backlogs, [0], 'logs that were recognized are no backlog');

  const targetDir = join(world.dir, 'restored');
  const restored = await world.pitrail('restore', '--to', 'latest', '--target-dir', targetDir);
  assert.equal(restored.code, 0, restored.stderr);
  const server = await startRestored(targetDir);
  t.after(() => server.stop());
  assert.ok(executed.equals(GtidSet.parse(await server.gtidExecuted())));
  assert.deepEqual(await tableChecksums(server), await tableChecksums(replica));
});
