/** Promise: a store that nobody waits for never delays the ones that count, whether it is down, slow or hangs. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { TestS3 } from '../support/s3.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
let farStore: FarStore;
let s3: TestS3;
let cable: TcpProxy;
let bucket: ObjectStore;

before(async () => {
  farStore = await startFarStore();
  ({ s3, cable, bucket } = farStore);
  // Room for a few logs only, so that what waits for the bucket alone does not stay staged.
  world = await startArchiveWorld({
    stores: [{ ...farStore.entry, policy: 'catch-up' }],
    archive: { stagingMaxBytes: '4MiB' },
  });
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
beforeEach(() => cable.setWeather({ kind: 'clear' }));

after(async () => {
  await world.stop();
  await farStore.stop();
});

async function closeLogs(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 600000))", 'FLUSH BINARY LOGS');
  }
}

/** Seconds until the folder has all that is closed. */
async function archivesIn(): Promise<number> {
  const began = performance.now();
  await soon(
    'the folder has all',
    async () => String(await world.archived()) === String(await world.closed()),
  );
  return (performance.now() - began) / 1000;
}

async function far() {
  const { stores } = await world.status();
  return stores.find(({ store }) => store === 'far') ?? assert.fail('no record of far');
}

async function catchesUp(): Promise<void> {
  await soon('the bucket has all', async () => (await far()).backlog.logs === 0);
  const [one, other] = [await world.catalog(), await openCatalog(bucket).read()];
  const { verdict, differences } = compareCatalogs(viewOf('main', one), viewOf('far', other));
  assert.equal(verdict, 'equal', JSON.stringify(differences));
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
}

test('one that hangs delays nobody, and gets what was released meanwhile from another store', async (t) => {
  await closeLogs(2);
  const alone = await archivesIn();
  await catchesUp();
  cable.setWeather({ kind: 'hold' });
  cable.reset();
  await closeLogs(8);
  const seconds = await archivesIn();
  t.diagnostic(
    `2 logs in ${alone.toFixed(1)} s, 8 logs beside a store that hangs in ${seconds.toFixed(1)} s`,
  );
  await soon('it is given up', async () => (await far()).circuit.kind !== 'closed');
  assert.equal((await world.status()).lastFailure, null, 'nothing is wrong with the archive');
  await closeLogs(2);
  const later = await archivesIn();
  assert.ok(later < 30, `${later} s while its circuit is open`);
  assert.ok((await far()).backlog.logs >= 10);
  cable.setWeather({ kind: 'clear' });
  await catchesUp();
});

test('one that is slow delays nobody', async (t) => {
  cable.setWeather({ kind: 'throttle', bytesPerSecond: 60_000 });
  // Random bytes, so that they stay as many when they are sealed.
  const row = '(TO_BASE64(RANDOM_BYTES(1000)))';
  for (let i = 0; i < 2; i += 1) {
    const rows = Array.from({ length: 400 }, () => row).join();
    await world.mysql.run(`INSERT INTO d.t (v) VALUES ${rows}`, 'FLUSH BINARY LOGS');
  }
  const seconds = await archivesIn();
  t.diagnostic(`archived in ${seconds.toFixed(1)} s beside a slow store`);
  assert.ok((await far()).backlog.logs >= 1, 'the slow one has not got all yet');
  cable.setWeather({ kind: 'clear' });
  await catchesUp();
});

test('one that is down is told of by status, which is degraded and names it', async () => {
  await s3.kill();
  await closeLogs(1);
  await archivesIn();
  await soon('it is given up', async () => (await far()).circuit.kind !== 'closed');
  const { lastFailure, phase } = await world.status();
  assert.equal(lastFailure, null);
  assert.notEqual(phase, 'failing');
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, once.stderr);
  const status = await world.pitrail('status', '--json');
  // 3: there is no base backup either.
  assert.equal(status.code, 3, status.stdout);
  const { clusters } = JSON.parse(status.stdout) as {
    clusters: { problems: { code: string; subject: string }[] }[];
  };
  const given = clusters[0]?.problems.find(({ code }) => code === 'StoreCircuitOpen');
  assert.match(given?.subject ?? '', /far/, status.stdout);
  await s3.start();
  await catchesUp();
});
