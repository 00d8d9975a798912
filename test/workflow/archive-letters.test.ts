/**
 * Promise: what cannot be archived is on the list, whatever the state of the stores: one that cannot take
 * the note of it holds up neither the list, nor the others, nor what would cure it.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { soon } from './far-store.ts';

let world: ArchiveWorld;
let worker: RunningProcess;

before(async () => {
  world = await startArchiveWorld({ stores: [{ id: 'second', directory: 'second', policy: 'catch-up' }] });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(() => world.stop());

function inSecond(): Promise<CatalogState> {
  const directory = join(world.dir, 'second');
  return openCatalog(openDirectoryStore({ id: 'second', directory })).read();
}

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
}

/** Raises the epoch in the first store alone, as a switch of stores does of which the second one has not heard. */
async function raiseEpoch(): Promise<void> {
  const catalog = openCatalog(world.store);
  for (const [from, to] of [
    ['second', 'main'],
    ['main', 'second'],
  ] as const) {
    const { epoch } = await catalog.read();
    const reason = from === 'second' ? 'circuit-open' : 'switch-back';
    await catalog.append(
      { kind: 'handoff', route: { kind: 'store', from, to }, reason, detail: 'made by the test' },
      { writer: 'test/1/host', epoch: epoch + 1, at: '2026-11-20T10:00:00.000000Z' },
    );
  }
}

test('a gap is listed while one store lacks a handoff and another has no repository, and the first is filled', async () => {
  await closeLog();
  await soon(
    'both have the first log',
    async () => (await inSecond()).allSegments().length === (await world.closed()).length,
  );
  await worker.stop();
  await raiseEpoch();
  const config = parse(await readFile(world.config, 'utf8'));
  config.clusters.shop.stores.push({ id: 'never', directory: 'never', policy: 'catch-up' });
  await writeFile(world.config, stringify(config));
  await closeLog();
  await closeLog();
  const [last = ''] = (await world.closed()).slice(-1);
  await world.mysql.run(`PURGE BINARY LOGS TO '${last}'`);
  // The entity has to ask for the epoch anew, as after any handoff.
  worker = await world.startWorker();
  await soon('it is listed', async () => (await world.status()).deadLetters.length > 0);
  await soon('the second store has the handoffs', async () => (await inSecond()).epoch === 3);
  for (const state of [() => world.catalog(), inSecond]) {
    await soon('its catalog names the log', async () => (await state()).deadLetters().length > 0);
    const letters = (await state()).deadLetters().map(({ binlog, reason }) => [binlog, reason]);
    assert.deepEqual(letters, [[last, 'ArchiveGap']]);
  }
  await soon('only the store without a repository is left', async () => {
    const [letter] = (await world.status()).deadLetters;
    return String(letter?.unwritten) === 'never';
  });
  const never = (await world.status()).stores.find(({ store }) => store === 'never');
  assert.equal(never?.failure?.code, 'RepositoryMissing');
});

test('the gap can be accepted, and both stores go on', async () => {
  const [letter] = (await world.status()).deadLetters;
  const { binlog } = letter ?? assert.fail('nothing is listed');
  const accepted = await world.pitrail('archive', '--accept-gap', binlog, '--reason', 'purged', '--json');
  assert.equal(accepted.code, 0, accepted.stdout);
  await closeLog();
  const [last = ''] = (await world.closed()).slice(-1);
  for (const state of [() => world.catalog(), inSecond]) {
    await soon('it has the newest log', async () =>
      (await state()).allSegments().some(({ segment }) => segment.binlog === last),
    );
  }
  assert.deepEqual((await world.status()).deadLetters, []);
  const { verdict, differences } = compareCatalogs(
    viewOf('main', await world.catalog()),
    viewOf('second', await inSecond()),
  );
  assert.equal(verdict, 'equal', JSON.stringify(differences));
});
