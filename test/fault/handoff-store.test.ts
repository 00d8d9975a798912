/**
 * Promise: a worker killed once the boundary of a switch of stores stands in the first of them leaves one that the
 * next worker ends: each switch stands once in every store, and all stores are equal again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { FAULT_POINTS } from '../../src/process/fault.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type ArchiveWorld, startArchiveWorld } from '../workflow/archive-world.ts';
import { type FarStore, soon, startFarStore } from '../workflow/far-store.ts';

const [POINT, ...OTHERS] = FAULT_POINTS.filter((point) => point.startsWith('switch.'));

let farStore: FarStore;
let world: ArchiveWorld;
let worker: RunningProcess;
let stores: readonly ObjectStore[];

before(async () => {
  farStore = await startFarStore();
  // The bucket counts. A folder stands in for it, and another one gets each switch behind the first.
  const second = { id: 'second', directory: 'second', policy: 'catch-up' };
  world = await startArchiveWorld({ stores: [farStore.entry, second], main: { policy: 'catch-up' } });
  const { bucket } = farStore;
  stores = [world.store, bucket, openDirectoryStore({ id: 'second', directory: join(world.dir, 'second') })];
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await closeLog();
  await everywhere(stores);
});
after(async () => {
  await world.stop();
  await farStore.stop();
});

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('logged')", 'FLUSH BINARY LOGS');
}

/** Waits until the stores hold all that the server has executed. */
async function everywhere(these: readonly ObjectStore[]): Promise<void> {
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  await soon('all is archived', async () => {
    const states = await Promise.all(these.map((store) => openCatalog(store).read()));
    return states.every((state) => executed.isSubsetOf(state.archivedThrough(1)));
  });
}

/** Handoffs of a store, as `epoch from to to`. */
async function switchesIn(store: ObjectStore): Promise<string[]> {
  const handoffs = (await openCatalog(store).read()).handoffs();
  return handoffs.flatMap(({ epoch, route }) =>
    route.kind === 'store' ? [`${epoch} ${route.from} to ${route.to}`] : [],
  );
}

/** Replaces the worker by one that dies at the point, does something, and waits for its death. */
async function dieAtSwitch(because: string, begin: () => Promise<void>): Promise<void> {
  await worker.stop();
  const once = join(world.dir, `once-${because}`);
  const doomed = await world.startWorker({ PITRAIL_FAULT: String(POINT), PITRAIL_FAULT_ONCE: once });
  await begin();
  const { signal } = await doomed.exited;
  assert.equal(signal, 'SIGKILL');
}

test('there is no other step of a switch', () => assert.deepEqual([POINT, OTHERS], ['switch.anchored', []]));

test('killed where a store stands in: the switch is ended, and archiving goes on without the store', async () => {
  await dieAtSwitch('stand-in', async () => {
    farStore.cable.setWeather({ kind: 'refuse' });
    farStore.cable.reset();
    await closeLog();
  });
  const [main, , second] = stores as [ObjectStore, ObjectStore, ObjectStore];
  assert.deepEqual(await switchesIn(main), ['2 far to main'], 'the boundary stands in the stand-in');
  assert.deepEqual(await switchesIn(second), [], 'and was written nowhere else yet');
  worker = await world.startWorker();
  await soon('the switch has ended', async () => (await world.status()).standIns.length === 1);
  const { segmentsArchived } = await world.status();
  await closeLog();
  await soon('a log counts', async () => (await world.status()).segmentsArchived > segmentsArchived);
  await everywhere([main, second]);
  for (const store of [main, second]) assert.deepEqual(await switchesIn(store), ['2 far to main']);
});

test('killed where the store counts again: the switch back is ended, and all stores are equal', async () => {
  await dieAtSwitch('switch-back', async () => farStore.cable.setWeather({ kind: 'clear' }));
  const [main, far] = stores as [ObjectStore, ObjectStore];
  assert.deepEqual(await switchesIn(main), ['2 far to main', '3 main to far']);
  assert.deepEqual(await switchesIn(far), ['2 far to main'], 'it does not count yet');
  worker = await world.startWorker();
  await soon('it counts again', async () => (await world.status()).standIns.length === 0);
  await closeLog();
  await everywhere(stores);
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  for (const store of stores)
    assert.deepEqual(await switchesIn(store), ['2 far to main', '3 main to far'], store.id);
  const verified = await world.pitrail('verify', '--deep', '--json');
  assert.equal(verified.code, 0, verified.stdout);
  const { comparisons } = JSON.parse(verified.stdout) as { comparisons: { verdict: string }[] };
  assert.deepEqual(
    comparisons.map(({ verdict }) => verdict),
    ['equal', 'equal', 'equal'],
  );
});
