/** Promise: a restore is a workflow that anyone can start with plain JSON; what it cannot do, it refuses once, and leaves nothing. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { fromFailure } from '../../activities/failures.ts';
import { runTool } from '../../src/process/run.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { readAudit } from '../../src/telemetry/audit.ts';
import type { RestoreToPointProgress } from '../../workflows/contracts/restore.ts';
import { type RestoreRig, startRestored, startRestoreRig, startWorker } from '../integration/restore-rig.ts';
import { startTemporalServer, type TestTemporal } from '../support/temporal.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';

let rig: RestoreRig;
let temporal: TestTemporal;
let connection: Connection;
let client: Client;
let worker: RunningProcess;

before(async () => {
  temporal = await startTemporalServer();
  rig = await startRestoreRig({ temporal: temporal.address });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
  worker = await startWorker(rig);
  await createShop(rig.source);
  await rig.archive();
  await rig.backup();
  await placeOrders(rig.source, 200);
  await rig.archive();
});
after(async () => {
  await worker.stop();
  await connection.close();
  await rig.stop();
  await temporal.stop();
});

/** Starts as an operator does without pitrail: with Temporal's own command line. */
async function start(id: string, input: object): Promise<WorkflowHandle> {
  const workflowId = `restore/shop/${id}`;
  const args = ['workflow', 'start', '--type', 'restoreToPoint', '--task-queue', 'control.local'];
  args.push('--workflow-id', workflowId, '--input', JSON.stringify(input), '--address', temporal.address);
  await runTool(await findTool('temporal'), args, { timeoutMs: 30_000 });
  return client.workflow.getHandle(workflowId);
}

async function failureOf(handle: WorkflowHandle) {
  const error = await handle.result().then(
    () => assert.fail('it must fail'),
    (failure: unknown) => failure,
  );
  const found = fromFailure(error);
  assert.ok(found !== undefined, String(error));
  return found;
}

async function assertNothingAt(targetDir: string): Promise<void> {
  for (const path of [targetDir, `${targetDir}.pitrail`]) {
    await assert.rejects(access(path), { code: 'ENOENT' }, `${path} is left`);
  }
}

test('plain JSON restores, and progress tells where', async () => {
  const targetDir = rig.newTarget();
  const handle = await start('plain', { cluster: 'shop', target: 'latest', targetDir, requestId: 'plain' });
  const outcome = (await handle.result()) as RestoreOutcome;
  assert.equal(outcome.gtidExecuted, await rig.source.gtidExecuted());
  const progress = await handle.query<RestoreToPointProgress>('progress');
  assert.equal(progress.step, 'done');
  assert.equal(progress.host, hostname());
  assert.equal(progress.plan?.backupId, outcome.backupId);
  const server = await startRestored(outcome.dataDir);
  assert.deepEqual(await tableChecksums(server), await tableChecksums(rig.source));
  await server.stop();
});

test('bad JSON fails once, names the field and shows an example', async () => {
  const inputs: readonly [object, RegExp][] = [
    [{ cluster: 'shop', target: 'latest', requestId: 'x' }, /"targetDir"/],
    [{ cluster: 'shop', target: 'latest', targetDir: 'srv', requestId: 'x' }, /"targetDir"/],
    [{ cluster: 'shop', target: 'latest', targetDir: '/', requestId: 'x' }, /"targetDir"/],
    [{ cluster: 'shop', target: 'latest', targetDir: '/tmp/x', requestId: 'x', keep: true }, /"keep"/],
  ];
  for (const [index, [input, names]] of inputs.entries()) {
    const error = await failureOf(await start(`bad-${index}`, input));
    assert.equal(error.code, 'BadInput');
    assert.match(error.message, names);
    assert.match(error.message, /Example/);
  }
});

test('what cannot be restored is refused by its reason, and nothing is left', async () => {
  const refusals: readonly [object, string, string][] = [
    [{ target: '2020-01-01T00:00:00Z' }, 'PlanRefused', 'refused'],
    [{ target: 'yesterday' }, 'MalformedTarget', 'usage'],
    [{ target: 'latest', store: 'nowhere' }, 'UnknownStore', 'config'],
    [{ target: 'latest', cluster: 'nowhere' }, 'UnknownName', 'usage'],
  ];
  for (const [index, [input, code, kind]] of refusals.entries()) {
    const targetDir = rig.newTarget();
    const requestId = `refused-${index}`;
    const error = await failureOf(
      await start(requestId, { cluster: 'shop', targetDir, requestId, ...input }),
    );
    assert.deepEqual([error.code, error.kind], [code, kind], error.message);
    await assertNothingAt(targetDir);
  }
});

test('a request id is used once', async () => {
  await assert.rejects(
    client.workflow.start('restoreToPoint', {
      workflowId: 'restore/shop/plain',
      taskQueue: 'control.local',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      args: [{}],
    }),
    WorkflowExecutionAlreadyStartedError,
  );
});

test('a restore that is cancelled in the middle removes all that it made, and says so in the audit file', async () => {
  const targetDir = rig.newTarget();
  const requestId = 'cancelled';
  const handle = await start(requestId, { cluster: 'shop', target: 'latest', targetDir, requestId });
  const plan = join(`${targetDir}.pitrail`, 'plan.json');
  while (
    !(await access(plan).then(
      () => true,
      () => false,
    ))
  )
    await sleep(20);
  await handle.cancel();
  await assert.rejects(handle.result());
  await assertNothingAt(targetDir);
  const audit = await readAudit(rig.cluster.auditFile);
  const restores = audit.flatMap(({ event }) => (event.action === 'restore' ? [event] : []));
  const ended = restores.find((event) => event.requestId === requestId);
  assert.equal(ended?.outcome, 'failed');
  assert.match(ended?.detail ?? '', /cancelled/);
});
