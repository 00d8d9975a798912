/**
 * Promises: where a stand-in fails as well, a third store that holds all that was called archived goes
 * on; and a stand-in that is taken out of the configuration stops nothing: the store that it stood in
 * for counts again once it holds all of that.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { archivedGtids } from '../../src/domain/routing/catalog-view.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
let p: FarStore;
let c: FarStore;
let d: ObjectStore;
let worker: Awaited<ReturnType<ArchiveWorld['startWorker']>>;

before(async () => {
  [p, c] = await Promise.all([startFarStore('p'), startFarStore('c')]);
  world = await startArchiveWorld({
    main: { ...p.entry, directory: undefined },
    stores: [
      { ...c.entry, policy: 'catch-up' },
      { id: 'd', directory: 'third', policy: 'catch-up' },
    ],
  });
  d = openDirectoryStore({ id: 'd', directory: join(world.dir, 'third') });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});

after(async () => {
  await world.stop();
  await Promise.all([p.stop(), c.stop()]);
});

const heldBy = async (store: ObjectStore): Promise<GtidSet> =>
  archivedGtids(viewOf('', await openCatalog(store).read()));

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 50000))", 'FLUSH BINARY LOGS');
}

async function hasAll(store: ObjectStore): Promise<boolean> {
  const names = (await openCatalog(store).read()).allSegments().map(({ segment }) => segment.binlog);
  return String(names) === String(await world.closed());
}

async function cut({ cable }: FarStore): Promise<void> {
  cable.setWeather({ kind: 'refuse' });
  cable.reset();
}

async function standsIn(to: string): Promise<boolean> {
  return (await world.status()).standIns.some((it) => it.from === 'p' && it.to === to);
}

async function routes(store: ObjectStore): Promise<string[]> {
  return (await openCatalog(store).read()).handoffs().map(({ epoch, route, reason }) => {
    assert.ok(route.kind === 'store');
    return `${epoch} ${route.from} to ${route.to}: ${reason}`;
  });
}

const OUT = ['2 p to c: circuit-open', '3 p to d: circuit-open'];
let acknowledged = GtidSet.EMPTY;

test('the store that counts fails, and its stand-in after it: a third one goes on with all that was archived', async () => {
  await closeLog();
  const stores = [p.bucket, c.bucket, d];
  await soon('all have all', async () => (await Promise.all(stores.map(hasAll))).every((has) => has));
  await cut(p);
  await closeLog();
  await soon('c stands in', () => standsIn('c'));
  await soon('c and d have all', async () => (await hasAll(c.bucket)) && (await hasAll(d)));
  const before = await heldBy(c.bucket);
  await cut(c);
  await closeLog();
  await soon('d stands in', () => standsIn('d'));
  await closeLog();
  await soon('archiving goes on', async () => (await hasAll(d)) && (await world.status()).backlog.logs === 0);
  acknowledged = await heldBy(d);
  assert.ok(before.isSubsetOf(acknowledged), 'no transaction is archived any less');
  assert.deepEqual(await routes(d), OUT);
  assert.deepEqual(await routes(p.bucket), []);
});

test('the stand-in is taken out of the configuration: the store counts again with all that was archived', async () => {
  await worker.stop();
  const config = parse(await readFile(world.config, 'utf8'));
  const { shop } = config.clusters;
  shop.stores = shop.stores.filter(({ id }: { id: string }) => id !== 'd');
  await writeFile(world.config, stringify(config));
  worker = await world.startWorker();
  await closeLog();
  await soon('nothing counts', async () => (await world.status()).lastFailure !== null);
  p.cable.setWeather({ kind: 'clear' });
  await soon('p counts itself', async () => (await world.status()).standIns.length === 0);
  assert.ok(acknowledged.isSubsetOf(await heldBy(p.bucket)), 'no transaction is archived any less');
  assert.deepEqual(await routes(p.bucket), [...OUT, '4 d to p: switch-back']);
  await closeLog();
  await soon('archiving goes on', () => hasAll(p.bucket));
  c.cable.setWeather({ kind: 'clear' });
  await soon('c has all', () => hasAll(c.bucket));
  assert.deepEqual(await routes(c.bucket), await routes(p.bucket));
  const verified = await world.pitrail('verify');
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  assert.ok(executed.equals(await heldBy(p.bucket)));
});
