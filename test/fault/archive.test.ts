import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
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
    await next.stop();
  });
}
