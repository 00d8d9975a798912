/** Promise: what a step of a restore has said is done is still done after its server is killed. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ClusterStore } from '../../src/config/types.ts';
import { AppError } from '../../src/domain/errors.ts';
import { startApplier } from '../../src/replay/applier.ts';
import { abandonStep } from '../../src/restoring/abandon-step.ts';
import { applierOptions } from '../../src/restoring/applier-options.ts';
import type { RestoreContext } from '../../src/restoring/context.ts';
import { fetchStep } from '../../src/restoring/fetch-step.ts';
import { handOverStep } from '../../src/restoring/hand-over-step.ts';
import type { RestoreJob } from '../../src/restoring/job.ts';
import { planStep } from '../../src/restoring/plan-step.ts';
import { replayStep } from '../../src/restoring/replay-step.ts';
import { verifyStep } from '../../src/restoring/verify-step.ts';
import { foldersOf, requirePlan } from '../../src/restoring/work-folder.ts';
import { PLAIN_RULES } from '../support/store-rules.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type RestoreRig, startRestored, startRestoreRig } from './restore-rig.ts';

const EVENTS = 'SELECT EVENT_NAME AS name, STATUS AS status FROM information_schema.EVENTS ORDER BY 1';

let rig: RestoreRig;
let context: RestoreContext;

before(async () => {
  rig = await startRestoreRig({ mysql: ['--event-scheduler=OFF'] });
  const { source } = rig;
  await createShop(source);
  await rig.archive();
  await rig.backup();
  await source.run('CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO SET @a = 1');
  await placeOrders(source, 30);
  await rig.archive();
  context = await rig.context();
});
after(() => rig.stop());

/** Plans, fetches, and starts a server that writes nothing to disk by itself. */
async function begin(): Promise<{ job: RestoreJob; server: Awaited<ReturnType<typeof applierOf>> }> {
  const job = rig.job('latest');
  await planStep(context, job);
  await fetchStep(context, job);
  const server = await applierOf(job);
  const session = await server.connect();
  await session.run('SET GLOBAL innodb_flush_log_at_timeout = 2700');
  await session.close();
  return { job, server };
}

async function applierOf(job: RestoreJob) {
  return startApplier(await applierOptions(context, await requirePlan(job), foldersOf(job)));
}

test('a server that is killed after each step loses nothing of it', async () => {
  const { job, server } = await begin();
  await replayStep(context, job);
  await server.server.kill();
  const again = await applierOf(job);
  const session = await again.connect();
  await session.run('SET GLOBAL innodb_flush_log_at_timeout = 2700');
  await session.close();
  const { gtidExecuted, eventStatusesSet } = await verifyStep(context, job);
  assert.equal(eventStatusesSet, 1);
  await again.server.kill();
  await handOverStep(context, job);
  const restored = await startRestored(job.targetDir);
  try {
    assert.equal(await restored.gtidExecuted(), gtidExecuted);
    assert.equal(gtidExecuted, await rig.source.gtidExecuted());
    assert.deepEqual(await tableChecksums(restored), await tableChecksums(rig.source));
    assert.deepEqual(await restored.query(EVENTS), await rig.source.query(EVENTS));
  } finally {
    await restored.stop();
  }
});

test('a server that changed after its verification is not handed over', async () => {
  const { job } = await begin();
  await replayStep(context, job);
  await verifyStep(context, job);
  const session = await (await applierOf(job)).connect();
  await session.run("SET gtid_next = '11111111-1111-1111-1111-111111111111:1'");
  await session.run('COMMIT');
  await session.run("SET gtid_next = 'AUTOMATIC'");
  await session.close();
  await assert.rejects(
    handOverStep(context, job),
    (error) => error instanceof AppError && error.code === 'NotAsVerified' && error.kind === 'conflict',
  );
  await (await applierOf(job)).server.kill();
});

test('what an earlier restore left beside the target is not taken for steps of this one', async () => {
  const job = rig.job('latest');
  const { workDir } = foldersOf(job);
  await mkdir(workDir);
  for (const mark of ['plan', 'base-state', 'replayed', 'verified', 'handed-over', 'fetched']) {
    await writeFile(
      join(workDir, `${mark}.json`),
      JSON.stringify({ job: { requestId: 'other' }, events: [] }),
    );
  }
  await rig.restore('latest', { targetDir: job.targetDir });
  const restored = await startRestored(job.targetDir);
  try {
    assert.equal(await restored.gtidExecuted(), await rig.source.gtidExecuted());
  } finally {
    await restored.stop();
  }
});

test('a store that was passed over is told of by a plan that is found again, too', async () => {
  const job = rig.job('latest');
  const away: ClusterStore = {
    ...PLAIN_RULES,
    kind: 'directory',
    id: 'away',
    directory: join(rig.folder.path, 'mount', 'store'),
  };
  const cluster = { ...context.cluster, stores: [away, ...context.cluster.stores] };
  const first = await planStep({ ...context, cluster }, job);
  assert.deepEqual([first.store, first.passedOver.length], ['main', 1]);
  assert.match(first.passedOver[0] ?? '', /^away: /);
  assert.deepEqual(await planStep(context, job), first);
});

test('a hand-over that is asked for again tells of the running server, and nobody removes its data', async () => {
  const job: RestoreJob = { ...rig.job('latest'), afterwards: 'keep-running' };
  for (const step of [planStep, fetchStep, replayStep, verifyStep]) await step(context, job);
  const { server } = await handOverStep(context, job);
  if (server.kind !== 'running') throw new Error('it was asked to run on');
  try {
    assert.deepEqual((await handOverStep(context, job)).server, server);
    await abandonStep(context, job, { kind: 'cancelled', message: 'cancelled' });
    assert.ok((await readFile(join(job.targetDir, 'auto.cnf'))).length > 0);
  } finally {
    process.kill(server.pid, 'SIGKILL');
  }
});

test('a server that ends at every start is refused, not tried for ever', async () => {
  const job = rig.job('latest');
  await planStep(context, job);
  // Nothing was fetched: no mysqld can start on an empty folder.
  await assert.rejects(applierOf(job), { code: 'ApplierDoesNotStart', kind: 'refused', message: /ibdata1/ });
});
