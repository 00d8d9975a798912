import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(() => world.stop());

test('a backup runs through its five phases and is complete once its binlog is archived', async () => {
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("a"), ("b")');
  const result = await world.pitrail('backup', '--json');
  assert.equal(result.code, 0, result.stderr + result.stdout);
  const backup = JSON.parse(result.stdout);
  assert.equal(backup.completeness, 'complete');
  const state = await world.catalog();
  assert.deepEqual(
    state.backups().map((it) => it.backup.backupId),
    [backup.backupId],
  );
  assert.ok((await world.archived()).includes(backup.binlog));
});

test('a table in another engine is refused by name, and nothing is left', async () => {
  await world.mysql.run('CREATE TABLE d.m (id INT) ENGINE=MyISAM', 'INSERT INTO d.m VALUES (1)');
  const result = await world.pitrail('backup', '--json');
  assert.equal(result.code, 3, result.stdout);
  assert.match(JSON.parse(result.stdout).error.message, /d.*m/);
  assert.equal((await world.catalog()).backups().length, 1);
  assert.deepEqual(await world.staged(), []);
  await world.mysql.run('DROP TABLE d.m');
});

test('without archiving a backup is registered and said to be waiting', async () => {
  await world.entity().terminate('test');
  const result = await world.pitrail('backup', '--json');
  assert.equal(result.code, 75, result.stderr + result.stdout);
  assert.equal(JSON.parse(result.stdout).completeness, 'waiting');
});
