import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  await world.startWorker();
});
after(() => world.stop());

test('apply creates the repository and starts archiving, and a second time finds both', async () => {
  const first = await world.pitrail('apply', '--json');
  assert.equal(first.code, 0, first.stderr);
  const { repositories, sources } = JSON.parse(first.stdout);
  assert.equal(repositories[0].change, 'created');
  assert.deepEqual(sources, [{ cluster: 'shop', source: 'shop-1', role: 'archived', archiving: 'started' }]);
  const second = JSON.parse((await world.pitrail('apply', '--json')).stdout);
  assert.equal(second.repositories[0].change, 'found');
  assert.equal(second.sources[0].archiving, 'running');
});

test('every closed log is archived once, in order, and nothing stays staged', async () => {
  for (let i = 0; i < 4; i += 1) {
    await world.mysql.run('INSERT INTO d.t (v) VALUES (REPEAT("x", 20000))', 'FLUSH BINARY LOGS');
  }
  const result = await world.pitrail('archive', '--once', '--json');
  assert.equal(result.code, 0, result.stderr + result.stdout);
  assert.deepEqual(await world.archived(), await world.closed());
  await until('staging is empty', async () => (await world.staged()).length === 0);
});
