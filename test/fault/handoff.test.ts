import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { FAULT_POINTS } from '../../src/process/fault.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { placeOrders } from '../support/workload.ts';
import { until } from '../workflow/archive-world.ts';
import { type HandoffWorld, startHandoffWorld } from '../workflow/handoff-world.ts';

/** The steps of the handoff itself, and the first ones of the archive behind it. */
const POINTS = [
  ...FAULT_POINTS.filter((point) => point.startsWith('handoff.')),
  'archive.uploaded',
  'archive.committed',
] as const;

let world: HandoffWorld;
let worker: RunningProcess;

before(async () => {
  // No handoff by itself: a worker that is killed here is gone for as long as the next one takes to start.
  const fallback = { after: 3_600, lagSeconds: 3_600 };
  world = await startHandoffWorld({ stores: [{ id: 'second', directory: 'second' }], fallback });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('the primary is archived', async () => (await world.archived()).length > 0);
});
after(() => world.stop());

for (const [index, point] of POINTS.entries()) {
  test(`a worker killed at ${point} in the middle of a handoff leaves one that the next worker ends`, async () => {
    const [from, to] = index % 2 === 0 ? ['shop-1', 'shop-2'] : ['shop-2', 'shop-1'];
    await placeOrders(world.mysql, 5, index);
    await world.replica.catchUp();
    await worker.stop();
    const epoch = (await world.catalog()).epoch;
    const once = join(world.dir, `once-${point}`);
    const doomed = await world.startWorker({ PITRAIL_FAULT: point, PITRAIL_FAULT_ONCE: once });
    const handoff = world.handoff('--to', String(to), '--from', String(from));
    const { signal } = await doomed.exited;
    assert.equal(signal, 'SIGKILL');
    worker = await world.startWorker();
    const { code, document, stderr } = await handoff;
    assert.equal(code, 0, `${stderr}\n${JSON.stringify(document)}`);
    assert.deepEqual([document.outcome, document.epoch], ['handed-over', epoch + 1]);
    assert.equal(document.validation?.verdict, 'validated');

    const executed = GtidSet.parse(await world.mysql.gtidExecuted());
    for (const store of [world.storeDir, join(world.dir, 'second')]) {
      const entries = await world.rawEntries(store);
      const boundaries = entries.filter(({ body }) => body.kind === 'handoff');
      assert.equal(boundaries.length, index + 1, 'each handoff stands once');
      assert.equal(boundaries.at(-1)?.epoch, epoch + 1);
      const results = entries.filter(({ body }) => body.kind === 'handoff-validated');
      assert.equal(results.length, index + 1, 'each result stands once');
    }
    await until('all is archived', async () =>
      executed.isSubsetOf((await world.catalog()).archivedThrough(1)),
    );
    // Each store has a lane of its own: the second may be a moment behind.
    await until('both stores are whole and hold the same', async () => {
      return (await world.pitrail('verify', '--json')).code === 0;
    });
  });
}
