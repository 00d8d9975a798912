/**
 * Promise: while the store is away the backlog grows in the staging folder up to its bound and no further,
 * and an alarm tells in minutes when the server will purge what is left; nothing is lost when it is back.
 */
import assert from 'node:assert/strict';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { RetentionAlarm } from '../../src/domain/routing/retention-alarm.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

const BOUND_BYTES = 4 * 1024 ** 2;
/** Nothing is purged while the test lasts, however slow the machine. */
const EXPIRE_SECONDS = 7200;

let world: ArchiveWorld;
/** What the store held before it went away. */
let archivedBefore: readonly string[] = [];

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

type Countdown = Extract<RetentionAlarm, { reason: 'counting-down' }>;

/** What the server itself keeps of a log, in milliseconds: it purges by the time of the file's last write. */
async function leftMs(binlog: string, expireSeconds: number): Promise<number> {
  const { mtimeMs } = await stat(join(world.mysql.binlogDir, binlog));
  return mtimeMs + expireSeconds * 1000 - Date.now();
}

/** Gives the server a retention, has it looked at, and holds that the alarm counts exactly the minutes which it leaves. */
async function countdownWith(expireSeconds: number): Promise<Countdown> {
  await world.mysql.run(`SET GLOBAL binlog_expire_logs_seconds = ${expireSeconds}`);
  const setAtMs = Date.now();
  // Ends with the round that looked after it was asked; that it cannot archive anything is no news.
  assert.equal((await world.pitrail('archive', '--once')).code, 75);
  const { retention } = await world.status();
  assert.ok(retention?.reason === 'counting-down');
  const least = await leftMs(retention.binlog, expireSeconds);
  const most = least + Date.now() - setAtMs;
  // A log tells its beginning, which is the end of the one before it, in whole seconds.
  const [from = 0, to = 0] = [least - 1000, most].map((ms) => Math.floor(Math.max(0, ms) / 60_000));
  const { minutesLeft } = retention;
  assert.ok(
    minutesLeft >= from && minutesLeft <= to,
    `${minutesLeft} minutes, the server keeps ${from} to ${to}`,
  );
  return retention;
}

/** Closed logs that neither the archive nor a link in the staging folder keeps, oldest first. */
async function onServerAlone(): Promise<string[]> {
  const kept = [...archivedBefore, ...(await world.staged())];
  return (await world.closed()).filter((name) => !kept.some((file) => file.startsWith(name)));
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
  archivedBefore = await world.archived();
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
  const [unstaged] = await onServerAlone();
  const retention = await countdownWith(EXPIRE_SECONDS);
  assert.equal(retention.binlog, unstaged, 'the oldest log that nothing but the server keeps');
  assert.equal(retention.level, 'none', 'it has just begun to wait');
  assert.ok(retention.atRisk.staged < retention.atRisk.logs, 'some of them lie with the server alone');
  assert.equal((await world.status()).backlog.logs, retention.atRisk.logs);
  const status = await world.pitrail('status', '--json');
  assert.equal(status.code, 75, status.stdout);
  const { clusters } = JSON.parse(status.stdout) as {
    clusters: { problems: { code: string }[]; sources: { routes: { circuit: { state: string } }[] }[] }[];
  };
  assert.ok(clusters[0]?.problems.some(({ code }) => code === 'StoreCircuitOpen'));
  assert.notEqual(clusters[0]?.sources[0]?.routes[0]?.circuit.state, 'closed');
});

test('the alarm fires and is logged while the server keeps more than half of its retention', async () => {
  const [binlog = assert.fail('all is staged')] = await onServerAlone();
  const waitedSeconds = async () => (EXPIRE_SECONDS * 1000 - (await leftMs(binlog, EXPIRE_SECONDS))) / 1000;
  // More than a quarter of it is used up now.
  const expireSeconds = Math.floor(3.9 * (await waitedSeconds()));
  const warned = await countdownWith(expireSeconds);
  assert.equal(warned.binlog, binlog);
  assert.equal(warned.level, 'warning');
  const share = (await leftMs(binlog, expireSeconds)) / (expireSeconds * 1000);
  assert.ok(share > 0.5, `${share} of the retention is left when it fires`);
  await soon('it is logged', async () =>
    (await world.workerLog()).includes('will purge what is not archived'),
  );
  // And more than half of it now.
  const urgent = await countdownWith(Math.floor(1.9 * (await waitedSeconds())));
  assert.equal(urgent.level, 'critical');
  const status = await world.pitrail('status');
  const [, named] = /PROBLEM shop-1: .*the server may purge (\S+) in /.exec(status.stdout) ?? [];
  assert.equal(named, binlog, status.stdout);
  assert.equal((await countdownWith(EXPIRE_SECONDS)).level, 'none');
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
