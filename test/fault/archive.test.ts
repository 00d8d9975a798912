import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { catalogKey } from '../../src/domain/object-keys.ts';
import { FAULT_POINTS } from '../../src/process/fault.ts';
import { type ArchiveWorld, startArchiveWorld, until } from '../workflow/archive-world.ts';

const ARCHIVE_POINTS = FAULT_POINTS.filter((point) => point.startsWith('archive.'));

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  const worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await until(
    'the first logs are archived',
    async () => (await world.closed()).length === (await world.archived()).length,
  );
  await worker.stop();
});
after(() => world.stop());

async function storedKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of world.store.list('mysql/')) keys.push(key);
  return keys;
}

for (const point of ARCHIVE_POINTS) {
  test(`a worker killed at ${point} leaves nothing that the next one does not finish`, async () => {
    for (let i = 0; i < 3; i += 1) {
      await world.mysql.run('INSERT INTO d.t (v) VALUES (REPEAT("k", 300000))', 'FLUSH BINARY LOGS');
    }
    const once = join(world.dir, `once-${point}`);
    const doomed = await world.startWorker({ PITRAIL_FAULT: point, PITRAIL_FAULT_ONCE: once });
    const { signal } = await doomed.exited;
    assert.equal(signal, 'SIGKILL');
    const next = await world.startWorker();
    await until('nothing is staged', async () => {
      const archived = await world.archived();
      return (
        (await world.closed()).every((name) => archived.includes(name)) && (await world.staged()).length === 0
      );
    });
    assert.deepEqual(await world.archived(), await world.closed(), 'each log once, in order');
    const named = (await world.catalog()).allSegments().map(({ object }) => object.key);
    assert.deepEqual((await storedKeys()).sort(), named.sort(), 'no object that no catalog entry names');
    await next.stop();
  });
}

test('what a killed worker had staged is archived, though the server has purged it meanwhile', async () => {
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("staged")', 'FLUSH BINARY LOGS');
  const [name] = (await world.closed()).slice(-1);
  const doomed = await world.startWorker({ PITRAIL_FAULT: 'archive.staged' });
  await doomed.exited;
  await world.mysql.run('FLUSH BINARY LOGS');
  await world.mysql.run(`PURGE BINARY LOGS TO '${(await world.closed()).at(-1)}'`);
  assert.ok(!(await world.closed()).includes(String(name)));
  const next = await world.startWorker();
  await until('the purged log is archived', async () => (await world.archived()).includes(String(name)));
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, once.stderr);
  assert.deepEqual((await world.catalog()).acceptedGaps(), []);
  await next.stop();
});

test('archiving goes on after Temporal was killed and started again', async () => {
  const worker = await world.startWorker();
  await world.temporal.kill();
  await world.mysql.run('INSERT INTO d.t (v) VALUES ("meanwhile")', 'FLUSH BINARY LOGS');
  const name = (await world.closed()).at(-1);
  await world.temporal.start();
  await until('the log is archived', async () => (await world.archived()).includes(String(name)));
  await worker.stop();
});

test('a catalog that was rolled back is found by the workflow that saw it longer', async () => {
  const worker = await world.startWorker();
  await until('the workflow has seen the head', async () => {
    const { sequence } = (await world.catalog()).head;
    return (await world.status()).heads.some((head) => head.sequence === sequence);
  });
  const { sequence } = (await world.catalog()).head;
  const path = join(world.storeDir, catalogKey(sequence));
  await rename(path, `${world.dir}/kept`);
  await until('it is named', async () => (await world.status()).lastFailure?.code === 'CatalogBroken');
  assert.match((await world.status()).lastFailure?.message ?? '', new RegExp(`sequence ${sequence}`));
  await rename(`${world.dir}/kept`, path);
  await until('archiving goes on', async () => (await world.status()).lastFailure === null);
  await worker.stop();
});
