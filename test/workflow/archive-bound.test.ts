/**
 * Promise: while the store is away the backlog grows in the staging folder up to its bound and no further,
 * and an alarm tells in minutes when the server will purge what is left; nothing is lost when it is back.
 */
import assert from 'node:assert/strict';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

const BOUND_BYTES = 4 * 1024 ** 2;
const EXPIRE_SECONDS = 600;

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld({ archive: { stagingMaxBytes: '4MiB' } });
  await world.mysql.run(`SET GLOBAL binlog_expire_logs_seconds = ${EXPIRE_SECONDS}`);
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});

/** Waits for a condition, also on a machine that has much else to do. */
function soon(what: string, isSo: () => Promise<boolean>): Promise<void> {
  return until(what, isSo, 240_000);
}

after(() => world.stop());

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 600000))", 'FLUSH BINARY LOGS');
}

async function stagedBytes(): Promise<number> {
  const entries = await readdir(world.stagingDir, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

test('the folder stays within its bound, and the alarm counts the minutes', async () => {
  await closeLog();
  await soon('it is archived', async () => String(await world.archived()) === String(await world.closed()));
  await rename(world.storeDir, `${world.storeDir}.away`);
  await writeFile(world.storeDir, '');
  for (let i = 0; i < 8; i += 1) await closeLog();
  await soon('the store is given up', async () => {
    const [main] = (await world.status()).stores;
    return main?.circuit.kind !== 'closed';
  });
  await soon('what fits is staged', async () => (await world.staged()).length >= 3);
  await soon('a look tells of the rest', async () => {
    const { retention } = await world.status();
    return retention?.reason === 'counting-down' && retention.atRisk.logs >= 8;
  });
  assert.ok((await stagedBytes()) <= BOUND_BYTES, `${await stagedBytes()} bytes staged`);
  const { retention, backlog } = await world.status();
  assert.ok(retention?.reason === 'counting-down');
  assert.ok(
    retention.minutesLeft < EXPIRE_SECONDS / 60 && retention.minutesLeft >= 5,
    `${retention.minutesLeft}`,
  );
  assert.ok(retention.atRisk.staged < retention.atRisk.logs, 'some of them lie with the server alone');
  assert.equal(backlog.logs, retention.atRisk.logs);
  const status = await world.pitrail('status', '--json');
  assert.equal(status.code, 75, status.stdout);
  const { clusters } = JSON.parse(status.stdout) as {
    clusters: { problems: { code: string }[]; sources: { routes: { circuit: { state: string } }[] }[] }[];
  };
  assert.ok(clusters[0]?.problems.some(({ code }) => code === 'StoreCircuitOpen'));
  assert.notEqual(clusters[0]?.sources[0]?.routes[0]?.circuit.state, 'closed');
});

test('the alarm fires and is logged long before the server purges', async () => {
  // A quarter of what the server keeps is used up by now.
  await world.mysql.run('SET GLOBAL binlog_expire_logs_seconds = 60');
  await soon('it fires', async () => (await world.status()).retention?.level === 'critical');
  const { retention } = await world.status();
  assert.ok(retention?.reason === 'counting-down' && retention.minutesLeft <= 1);
  await soon('it is logged', async () =>
    (await world.workerLog()).includes('will purge what is not archived'),
  );
  const status = await world.pitrail('status');
  assert.match(status.stdout, /PROBLEM shop-1: .*the server may purge binlog\.\d+ in/);
  await world.mysql.run(`SET GLOBAL binlog_expire_logs_seconds = ${EXPIRE_SECONDS}`);
});

test('when the store is back all of it is archived, and nothing lies staged', async () => {
  await rename(world.storeDir, `${world.storeDir}.file`);
  await rename(`${world.storeDir}.away`, world.storeDir);
  await soon('all is archived', async () => String(await world.archived()) === String(await world.closed()));
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  assert.ok(executed.equals((await world.catalog()).archivedThrough(1)));
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  assert.equal((await world.status()).retention?.level, 'none');
});
