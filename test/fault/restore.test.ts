/** Promise: whatever dies in the middle of a restore, it ends exactly at its target, each transaction applied once. */
import assert from 'node:assert/strict';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FAULT_POINTS } from '../../src/process/fault.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { readAudit } from '../../src/telemetry/audit.ts';
import { pitrail } from '../integration/cli-run.ts';
import {
  type RestoreRig,
  startPitrail,
  startRestored,
  startRestoreRig,
  startWorker,
} from '../integration/restore-rig.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { startTemporalServer, type TestTemporal } from '../support/temporal.ts';
import { createShop, placeOrders, runXa, tableChecksums } from '../support/workload.ts';

const POINTS = FAULT_POINTS.filter((point) => point.startsWith('restore.'));
const ACCESS_VARIABLE = 'PITRAIL_TEST_S3_ACCESS';
const SECRET_VARIABLE = 'PITRAIL_TEST_S3_SECRET';
/** Transactions of the replay: enough that something can die in its middle. */
const STEPS = 3000;

let rig: RestoreRig;
let temporal: TestTemporal;
let s3: TestS3;
let proxy: TcpProxy;
let wanted: Record<string, string>;

before(async () => {
  [temporal, s3] = await Promise.all([startTemporalServer(), startS3()]);
  proxy = await tcpProxy(s3);
  process.env[ACCESS_VARIABLE] = s3.credentials.accessKeyId;
  process.env[SECRET_VARIABLE] = s3.credentials.secretAccessKey;
  rig = await startRestoreRig({ temporal: temporal.address, stores: [proxiedStore()] });
  const { source } = rig;
  await createShop(source);
  await source.run(
    'CREATE TABLE shop.steps (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(200))',
    'CREATE TABLE shop.counter (id INT PRIMARY KEY, n INT NOT NULL)',
    'INSERT INTO shop.counter VALUES (1, 0)',
    `CREATE PROCEDURE shop.walk(steps INT) BEGIN
       WHILE steps > 0 DO
         START TRANSACTION;
         INSERT INTO shop.steps (pad) VALUES (REPEAT(SHA2(steps, 256), 3));
         UPDATE shop.counter SET n = n + 1;
         COMMIT;
         SET steps = steps - 1;
       END WHILE;
     END`,
  );
  await rig.archive();
  await rig.backup();
  await source.run(`CALL shop.walk(${STEPS / 2})`);
  await rig.archive();
  await runXa(source, 'open', 'left-prepared');
  await source.run(`CALL shop.walk(${STEPS / 2})`);
  await placeOrders(source, 20);
  await rig.archive();
  wanted = await tableChecksums(source);
});
after(async () => {
  await rig.stop();
  await Promise.all([temporal.stop(), proxy.stop()]);
  await s3.stop();
});

function proxiedStore(): unknown {
  return {
    id: 's3',
    s3: {
      bucket: s3.bucket,
      region: s3.region,
      endpoint: `http://127.0.0.1:${proxy.port}`,
      pathStyle: true,
      accessKeyId: { env: ACCESS_VARIABLE },
      secretAccessKey: { env: SECRET_VARIABLE },
    },
  };
}

async function assertRestored(outcome: RestoreOutcome): Promise<void> {
  assert.equal(outcome.gtidExecuted, await rig.source.gtidExecuted());
  const server = await startRestored(outcome.dataDir);
  try {
    assert.equal(await server.gtidExecuted(), outcome.gtidExecuted);
    assert.deepEqual(await tableChecksums(server), wanted, 'each transaction once');
    assert.equal((await server.query('XA RECOVER')).length, 1);
  } finally {
    await server.stop();
  }
  await assert.rejects(access(`${outcome.dataDir}.pitrail`), { code: 'ENOENT' });
  const audit = await readAudit(rig.cluster.auditFile);
  const restores = audit.flatMap(({ event }) => (event.action === 'restore' ? [event] : []));
  assert.deepEqual(
    restores.filter((event) => event.dataDir === outcome.dataDir).map((event) => event.outcome),
    ['handed-over'],
    'written down once',
  );
}

function restoreArguments(targetDir: string, ...more: readonly string[]): string[] {
  return ['restore', '--to', 'latest', '--target-dir', targetDir, '--json', ...more];
}

/** What a pitrail printed on stdout among its words. */
async function documentIn(logFile: string): Promise<RestoreOutcome> {
  const text = await readFile(logFile, 'utf8');
  const line = text.split('\n').findLast((it) => it.startsWith('{"status"'));
  assert.ok(line !== undefined, text);
  return JSON.parse(line) as RestoreOutcome;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await sleep(20);
  }
}

/** Kills the throw-away server once some transactions are applied. */
async function killApplier(targetDir: string): Promise<void> {
  const pidFile = join(`${targetDir}.pitrail`, 'applier', 'mysqld.pid');
  await until('the applier runs', async () => (await readFile(pidFile, 'utf8').catch(() => '')) !== '');
  const relay = join(targetDir, '#pitrail', 'relay');
  await until('it receives', async () => (await readdir(relay)).some((name) => /\.0+[2-9]$/.test(name)));
  process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGKILL');
}

test('one restore survives the kill of its worker at every fault point', { timeout: 400_000 }, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'by-workflow.log');
  let worker = await startWorker(rig, faults(POINTS[0] ?? ''));
  const asked = await startPitrail(rig, restoreArguments(targetDir), logFile);
  for (const next of [...POINTS.slice(1), null]) {
    const { signal } = await worker.exited;
    assert.equal(signal, 'SIGKILL');
    worker = await startWorker(rig, next === null ? {} : faults(next));
  }
  const { code } = await asked.exited;
  assert.equal(code, 0, await readFile(logFile, 'utf8'));
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8');
  const peakKiB = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]);
  assert.ok(peakKiB < 300 * 1024, `the worker took ${peakKiB} KiB`);
  await worker.stop();
  await assertRestored(await documentIn(logFile));
});

function faults(point: string): Record<string, string> {
  return { PITRAIL_FAULT: point, PITRAIL_FAULT_ONCE: join(rig.folder.path, `once-${point}`) };
}

test('a direct restore, without Temporal, is killed at every fault point and run again', {
  timeout: 300_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'direct.log');
  const args = restoreArguments(targetDir, '--direct');
  for (const point of POINTS) {
    const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: point });
    assert.equal((await doomed.exited).signal, 'SIGKILL', `${point}: ${await readFile(logFile, 'utf8')}`);
  }
  const last = await startPitrail(rig, args, logFile);
  assert.equal((await last.exited).code, 0, await readFile(logFile, 'utf8'));
  await assertRestored(await documentIn(logFile));
});

test('the target server is killed in the middle of the replay, and started again', {
  timeout: 120_000,
}, async () => {
  const targetDir = rig.newTarget();
  const restoring = rig.restore('latest', { targetDir });
  await killApplier(targetDir);
  const outcome = await restoring;
  assert.equal(outcome.restarts, 1);
  await assertRestored(outcome);
});

test('a store that breaks off and goes away in the middle, and comes back', {
  timeout: 180_000,
}, async () => {
  proxy.resetAfter('to-client', 900_000);
  const restoring = rig.restore('latest', { store: 's3' });
  const base = proxy.passed('to-client');
  await until('it has begun to fetch', async () => proxy.passed('to-client') > base + 500_000);
  proxy.setWeather({ kind: 'refuse' });
  proxy.reset();
  await sleep(2_000);
  proxy.setWeather({ kind: 'clear' });
  await assertRestored(await restoring);
});

test('a store that goes away for good is left for the other one', { timeout: 120_000 }, async () => {
  proxy.setWeather({ kind: 'refuse' });
  proxy.reset();
  try {
    const outcome = await rig.restore('latest');
    assert.equal(outcome.store, 'main');
    await assertRestored(outcome);
  } finally {
    proxy.setWeather({ kind: 'clear' });
  }
});

test('Ctrl-C ends only the waiting; the same request id comes back to the result', {
  timeout: 180_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'interrupted.log');
  const worker = await startWorker(rig);
  const args = restoreArguments(targetDir, '--request-id', 'come-back');
  const asked = await startPitrail(rig, args, logFile);
  await until('the workflow runs', async () =>
    (await readFile(logFile, 'utf8')).includes('runs as workflow'),
  );
  asked.kill('SIGINT');
  assert.equal((await asked.exited).code, 130);
  assert.match(await readFile(logFile, 'utf8'), /--request-id come-back/);
  const again = await pitrail(['--config', rig.configFile, ...args]);
  assert.equal(again.code, 0, again.stderr);
  await assertRestored(JSON.parse(again.stdout));
  const other = await pitrail([
    '--config',
    rig.configFile,
    ...restoreArguments(rig.newTarget(), '--request-id', 'come-back'),
  ]);
  assert.equal(other.code, 5, other.stderr);
  await worker.stop();
});
