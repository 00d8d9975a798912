/**
 * Promise: a store that can never be made equal, because its server has purged what it lacks, gets all that
 * is new, and status names what it never gets.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { soon } from './far-store.ts';

const SECOND = { id: 'second', directory: 'second' };

let world: ArchiveWorld;
let worker: RunningProcess;
let stores: readonly { readonly id: string }[];

before(async () => {
  world = await startArchiveWorld({ stores: [SECOND] });
  stores = parse(await readFile(world.config, 'utf8')).clusters.shop.stores;
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(() => world.stop());

/** Goes on with some of the stores, as if the others had never been configured. */
async function withStores(...ids: readonly string[]): Promise<void> {
  await worker.stop();
  const config = parse(await readFile(world.config, 'utf8'));
  config.clusters.shop.stores = stores.filter(({ id }) => ids.includes(id));
  await writeFile(world.config, stringify(config));
  worker = await world.startWorker();
}

function inSecond(): Promise<CatalogState> {
  return openCatalog(openDirectoryStore({ id: 'second', directory: join(world.dir, 'second') })).read();
}

/** @returns the log that was closed */
async function closeLog(): Promise<string> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
  return (await world.closed()).at(-1) ?? assert.fail('nothing is closed');
}

async function has(state: Promise<CatalogState>, binlog: string): Promise<boolean> {
  return (await state).allSegments().some(({ segment }) => segment.binlog === binlog);
}

async function inBoth(binlog: string): Promise<void> {
  await soon(`the first store has ${binlog}`, () => has(world.catalog(), binlog));
  await soon(`the second store has ${binlog}`, () => has(inSecond(), binlog));
}

test('a store that accepted the gap of a purged log gets what is new, though another one holds that log', async () => {
  await inBoth(await closeLog());
  await withStores('main');
  const purged = await closeLog();
  const behind = await closeLog();
  await soon('the first store has both', () => has(world.catalog(), behind));
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  await world.mysql.run(`PURGE BINARY LOGS TO '${behind}'`);
  await withStores('second');
  await soon('the gap is named', async () => (await world.status()).deadLetters.length > 0);
  const accepted = await world.pitrail('archive', '--accept-gap', behind, '--reason', 'purged', '--json');
  assert.equal(accepted.code, 0, accepted.stdout);
  await soon('the second store goes on', () => has(inSecond(), behind));
  await withStores('main', 'second');
  const newest = await closeLog();
  await inBoth(newest);
  assert.ok(!(await has(inSecond(), purged)));
  await soon('nothing waits', async () => (await world.status()).backlog.logs === 0);
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, once.stderr);
  assert.deepEqual((await world.status()).deadLetters, []);
});

test('status names what it never gets, and where that lies', async () => {
  const { stdout } = await world.pitrail('status', '--json');
  const { problems } = JSON.parse(stdout).clusters[0];
  const [problem, ...others] = problems.filter(({ code }: { code: string }) => code === 'StoreOutOfReach');
  assert.deepEqual([problem?.subject, problem?.kind, others], ['second', 'refused', []]);
  assert.match(problem.message, /never gets 1 binlog with 1 transaction that main holds/);
});

test('a base backup behind it in that store ends that, for the store then restores all that comes later alone', async () => {
  const backup = await world.pitrail('backup', '--json');
  assert.equal(backup.code, 0, backup.stderr);
  await inBoth(await closeLog());
  const { code, stdout } = await world.pitrail('status', '--json');
  const [cluster] = JSON.parse(stdout).clusters;
  assert.deepEqual([cluster.problems, code], [[], 0]);
  // The truth: the transactions of the logs that one of the stores has.
  const inMain = (await world.catalog()).allSegments();
  const held = new Set((await inSecond()).allSegments().map(({ object }) => object.key));
  const only = inMain.filter(({ object }) => !held.has(object.key)).map(({ segment }) => segment.gtids);
  const [, second] = cluster.stores;
  assert.deepEqual(second.bridged, [{ heldBy: 'main', gtids: only.join() }]);
  assert.equal(only.length, 1);
  const { stdout: words } = await world.pitrail('status');
  assert.match(words, /1 transaction before a base of it are in main only, and never come here/);
  const plan = await world.pitrail('plan', '--store', 'second', '--to', 'latest');
  assert.equal(plan.code, 0, plan.stderr);
});
