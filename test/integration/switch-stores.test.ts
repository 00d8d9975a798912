/** Promise: a store counts for another only with all that was archived, by one entry that is the same in every catalog, however often and wherever it is cut short. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bringBoundaries } from '../../src/archiving/bring-boundaries.ts';
import { claimReachable } from '../../src/archiving/hold.ts';
import type { Repositories } from '../../src/archiving/repositories.ts';
import { type SwitchProof, switchStore } from '../../src/archiving/switch-store.ts';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { StoreBoundary } from '../../src/domain/routing/store-boundaries.ts';
import { noEncryption } from '../../src/envelope/keys.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { testFolder } from '../support/folder.ts';
import { by, REPOSITORY, SERVER, segmentBody } from './catalog-samples.ts';

type Name = 'p' | 'c' | 'd';

let folder: Awaited<ReturnType<typeof testFolder>>;
let worlds = 0;

before(async () => {
  folder = await testFolder('pt-switch');
});
after(() => folder.remove());

const sign = (epoch: number) => by('test', epoch);
const all = (to: number) => `${SERVER}:1-${to}`;
const OUT: StoreBoundary = { epoch: 2, from: 'p', to: 'c', reason: 'circuit-open', detail: 'p is down' };
const BACK: StoreBoundary = { epoch: 3, from: 'c', to: 'p', reason: 'switch-back', detail: 'c is lost' };

/** Stores with so many logs of ten transactions each; a missing one has a folder, and no repository in it. */
async function storesWith(logs: Partial<Record<Name, number>>): Promise<Repositories> {
  worlds += 1;
  await mkdir(join(folder.path, String(worlds)));
  const stores = (['p', 'c', 'd'] as const).map((id) =>
    openDirectoryStore({ id, directory: join(folder.path, String(worlds), id) }),
  );
  const repositories = stores.map((store) => ({ store, catalog: openCatalog(store, { cluster: 'shop' }) }));
  for (const { store, catalog } of repositories) {
    const count = logs[store.id as Name];
    if (count === undefined) continue;
    await catalog.init('shop', by('test', 1), REPOSITORY);
    for (let n = 1; n <= count; n += 1) await catalog.append(segmentBody(n), by('test', 1));
  }
  return { all: repositories, key: noEncryption(), close: async () => undefined };
}

function catalogOf(repositories: Repositories, id: Name) {
  return repositories.all.find(({ store }) => store.id === id)?.catalog ?? assert.fail(id);
}

/** Read anew, as another process sees it. */
async function handoffs(repositories: Repositories, id: Name): Promise<string[]> {
  const state = await openCatalog(catalogOf(repositories, id).store).read();
  return state
    .handoffs()
    .map(({ epoch, route, detail }) => `${epoch} ${JSON.stringify([route.from, route.to])} ${detail}`);
}

function make(
  repositories: Repositories,
  boundary: StoreBoundary,
  reachable: readonly Name[],
  acknowledgedGtids: string,
  proof: SwitchProof = 'holds-all',
) {
  const boundaries = [OUT, BACK];
  return switchStore({ repositories, boundary, proof, boundaries, acknowledgedGtids, reachable, sign });
}

test('a switch that is cut short between two stores goes on, and stands once in each, in the same words', async () => {
  const stores = await storesWith({ p: 2, c: 2, d: 1 });
  const first = await make(stores, OUT, ['c'], all(20));
  assert.deepEqual(first, { kind: 'switched', epoch: 2, later: [] });
  assert.deepEqual(await handoffs(stores, 'd'), []);
  const again = await make(stores, OUT, ['c', 'd'], all(20));
  assert.deepEqual(again, first);
  const entry = ['2 ["p","c"] p is down'];
  assert.deepEqual(await handoffs(stores, 'c'), entry);
  assert.deepEqual(await handoffs(stores, 'd'), entry);
  assert.deepEqual(await handoffs(stores, 'p'), [], 'it is down');
});

test('a stand-in that lacks a transaction that was called archived gets no entry', async () => {
  const stores = await storesWith({ p: 2, c: 1 });
  const done = await make(stores, OUT, ['c'], all(20));
  assert.equal(done.kind, 'not-yet');
  assert.deepEqual(await handoffs(stores, 'c'), []);
});

test('a store comes back without its stand-in: the handoff that it lacks first, then its own, and only with all', async () => {
  const stores = await storesWith({ p: 2, c: 2, d: 2 });
  await make(stores, OUT, ['c', 'd'], all(20));
  await catalogOf(stores, 'c').append(segmentBody(3), by('test', 2));
  const early = await make(stores, BACK, ['p', 'd'], all(30));
  assert.equal(early.kind, 'not-yet');
  assert.deepEqual(await handoffs(stores, 'p'), ['2 ["p","c"] p is down']);
  await catalogOf(stores, 'p').append(segmentBody(3), by('test', 2));
  for (let times = 0; times < 2; times += 1) {
    const done = await make(stores, BACK, ['p', 'd'], all(30));
    assert.deepEqual(done, { kind: 'switched', epoch: 3, later: [] });
  }
  const entries = ['2 ["p","c"] p is down', '3 ["c","p"] c is lost'];
  assert.deepEqual(await handoffs(stores, 'p'), entries);
  assert.deepEqual(await handoffs(stores, 'd'), entries);
  // A writer that slept, and the stand-in that wakes up.
  await assert.rejects(catalogOf(stores, 'p').append(segmentBody(4), by('old', 2)), { code: 'StaleEpoch' });
  assert.deepEqual(await handoffs(stores, 'c'), entries.slice(0, 1));
  await bringBoundaries(catalogOf(stores, 'c'), [OUT, BACK], sign);
  await bringBoundaries(catalogOf(stores, 'c'), [OUT, BACK], sign);
  const [p, c] = [await catalogOf(stores, 'p').read(), await catalogOf(stores, 'c').read()];
  assert.equal(compareCatalogs(viewOf('p', p), viewOf('c', c)).verdict, 'equal');
  await assert.rejects(catalogOf(stores, 'c').append(segmentBody(4), by('old', 2)), { code: 'StaleEpoch' });
});

test('what was given up in a store is missed there only as long as its stand-in may wake up', async () => {
  const stores = await storesWith({ p: 1 });
  const missingGtids = `${SERVER}:11-20`;
  const gap = {
    kind: 'gap-accepted',
    timeline: 1,
    serverUuid: SERVER,
    missingGtids,
    detail: 'lost',
  } as const;
  await bringBoundaries(catalogOf(stores, 'p'), [OUT], sign);
  await catalogOf(stores, 'p').append(gap, by('test', 2));
  assert.equal((await make(stores, BACK, ['p'], all(20))).kind, 'not-yet');
  const done = await make(stores, BACK, ['p'], all(20), 'holds-all-but-given-up');
  assert.equal(done.kind, 'switched');
});

test('another handoff of the same epoch is met, and not written over', async () => {
  const stores = await storesWith({ p: 1, c: 1, d: 1 });
  const other: StoreBoundary = { ...OUT, to: 'd' };
  await bringBoundaries(catalogOf(stores, 'd'), [other], sign);
  await assert.rejects(make(stores, OUT, ['c', 'd'], all(10)), { code: 'StaleEpoch' });
  assert.deepEqual(await handoffs(stores, 'd'), ['2 ["p","d"] p is down']);
});

const claimant = { source: 'shop-1', serverUuid: SERVER, role: 'archived' } as const;
const look = (store: Name, access: 'open' | 'held-back' = 'open') =>
  ({ store, policy: store === 'p' ? 'required' : 'catch-up', access }) as const;

test('what is wrong with a store that another one counts for keeps no writer from beginning', async () => {
  const stores = await storesWith({ c: 1, d: 1 });
  const looks = [look('p'), look('c'), look('d')];
  const claim = () => claimReachable(stores, { claimant, looks, boundaries: [] });
  // While it counts, it is told what is wrong with it.
  await assert.rejects(claim(), { code: 'RepositoryMissing' });
  await make(stores, OUT, ['c'], all(10));
  const found = await claim();
  assert.deepEqual(found.claim, { kind: 'held', epoch: 2 });
  assert.deepEqual(found.standIns, [{ from: 'p', to: 'c' }]);
  assert.deepEqual(found.boundaries, [OUT]);
});

test('a writer remembers a handoff that only a lost store has, and does not begin in the epoch before it', async () => {
  const stores = await storesWith({ p: 1, c: 1 });
  await make(stores, OUT, ['c'], all(10));
  const claim = (access: 'open' | 'held-back', boundaries: readonly StoreBoundary[]) =>
    claimReachable(stores, { claimant, looks: [look('p'), look('c', access)], boundaries });
  const without = await claim('held-back', [OUT]);
  assert.deepEqual([without.claim, without.unasked], [{ kind: 'held', epoch: 2 }, ['c']]);
  assert.deepEqual(without.standIns, [{ from: 'p', to: 'c' }]);
  assert.deepEqual((await claim('open', [OUT])).claim, { kind: 'held', epoch: 2 });
  // Made, but in no store yet: it counts all the same.
  const back = await claim('open', [OUT, BACK]);
  assert.deepEqual(back.claim, { kind: 'held', epoch: 3 });
  assert.deepEqual(back.standIns, []);
  assert.deepEqual(back.boundaries, [OUT, BACK]);
});
