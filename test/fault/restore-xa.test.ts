/** Promise: exactly the XA transactions are prepared that the origin had prepared at the target, whatever dies in between. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectMysql } from '../../src/mysql/session.ts';
import { isAlive } from '../../src/process/pid.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { type RestoreRig, startPitrail, startRestored, startRestoreRig } from '../integration/restore-rig.ts';
import { createShop, tableChecksums } from '../support/workload.ts';
import { createSteps, restoreWithKills } from './restore-cut-rig.ts';

const MIXED: readonly string[] = Array.from({ length: 12 }, (_, i) => `mixed${'x'.repeat(12 - i)}`);
const formatOf = (index: number): number => index * 7919 + 3;

let rig: RestoreRig;
/** GTID numbers: of the last transaction before a place in the history. */
const at = { oneFormat: 0, commitOfOne: 0, mixed: 0, oneLeft: 0 };

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await createShop(source);
  await createSteps(source);
  await rig.archive();
  await rig.backup();
  // Of two such XIDs each is less than the other by the server's order, which makes it lose them at a start.
  for (const [index, name] of MIXED.entries()) {
    await prepare(name, formatOf(index), index % 3 === 0 ? 'compressed' : 'plain');
  }
  // A kill undoes the last second: what it shall meet lies that much before it.
  await source.run('CALL shop.walk(24000)');
  at.mixed = await executed();
  await rig.archive();
  for (const [index, name] of MIXED.entries()) {
    if (index > 0) {
      await source.run(`XA ${index % 2 === 0 ? 'COMMIT' : 'ROLLBACK'} '${name}', 'b', ${formatOf(index)}`);
    }
  }
  await source.run('CALL shop.walk(3000)');
  at.oneLeft = await executed();
  await rig.archive();
  await source.run(`XA COMMIT '${MIXED[0]}', 'b', ${formatOf(0)}`);
  await prepare('same-1', 1);
  await prepare('same-2', 1, 'compressed');
  await source.run('CALL shop.walk(24000)');
  at.oneFormat = await executed();
  await source.run("XA COMMIT 'same-1', 'b', 1");
  at.commitOfOne = await executed();
  await source.run("XA ROLLBACK 'same-2', 'b', 1");
  await rig.archive();
});
after(() => rig.stop());

async function executed(): Promise<number> {
  return Number(/:1-(\d+)/.exec(await rig.source.gtidExecuted())?.[1]);
}

const gtid = (number: number): string => `${rig.source.serverUuid}:${number}`;

async function prepare(name: string, formatId: number, log: 'plain' | 'compressed' = 'plain'): Promise<void> {
  const session = await rig.source.connect();
  const xid = `'${name}', 'b', ${formatId}`;
  await session.run(`SET SESSION binlog_transaction_compression = ${log === 'plain' ? 'OFF' : 'ON'}`);
  await session.run(`XA START ${xid}`);
  await session.run(`INSERT INTO shop.orders (customer_id, placed_at, note) VALUES (1, NOW(6), '${name}')`);
  await session.run(`XA END ${xid}`);
  await session.run(`XA PREPARE ${xid}`);
  await session.close();
}

function xids(outcome: RestoreOutcome): string[] {
  return outcome.preparedXa
    .map(({ dataHex, gtridLength }) => Buffer.from(dataHex, 'hex').toString('latin1').slice(0, gtridLength))
    .sort();
}

async function endRunning({ server }: RestoreOutcome, look: (names: string[]) => void): Promise<void> {
  assert.ok(server.kind === 'running');
  const session = await connectMysql({ socket: server.socket }, 'root', '');
  const rows = await session.query<{ data: string; gtrid_length: string }>('XA RECOVER');
  look(rows.map(({ data, gtrid_length }) => data.slice(0, Number(gtrid_length))).sort());
  await session.close();
  process.kill(server.pid, 'SIGKILL');
  while (await isAlive(server.pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a kill that loses prepared ones makes the replay begin anew from the base, and none is lost', {
  timeout: 180_000,
}, async () => {
  const { outcome, retries } = await restoreWithKills(rig, `after:${gtid(at.mixed)}`, [0.6], {
    afterwards: 'keep-running',
  });
  assert.deepEqual(retries, ['ReplayCutShort']);
  assert.deepEqual(xids(outcome), MIXED.toSorted());
  await endRunning(outcome, (names) =>
    assert.deepEqual(names, MIXED.toSorted(), 'the server that runs has them'),
  );
});

test('the same where those that are lost are ended before the target', { timeout: 180_000 }, async () => {
  const { outcome, retries } = await restoreWithKills(rig, `after:${gtid(at.oneLeft)}`, [0.45]);
  assert.deepEqual(retries, ['ReplayCutShort']);
  assert.deepEqual(xids(outcome), [MIXED[0]]);
});

test('a kill that loses none is gone on after', { timeout: 120_000 }, async () => {
  const { outcome, retries } = await restoreWithKills(rig, `after:${gtid(at.oneFormat)}`, [0.8]);
  assert.deepEqual(retries, []);
  assert.equal(outcome.restarts, 1);
  assert.deepEqual(xids(outcome), ['same-1', 'same-2']);
});

test('the last target is the origin itself', async () => {
  const outcome = await rig.restore('latest');
  assert.deepEqual(xids(outcome), []);
  const server = await startRestored(outcome.dataDir);
  assert.deepEqual(await tableChecksums(server), await tableChecksums(rig.source));
  assert.deepEqual(await server.query('XA RECOVER'), []);
  await server.stop();
});

test('a target between XA PREPARE and XA COMMIT in one file, of which the catalog says that it leaves none', async () => {
  const inside = await rig.restore(`after:${gtid(at.commitOfOne)}`);
  assert.deepEqual(xids(inside), ['same-2'], 'also one that was prepared in a compressed transaction');
});

test('what is left out does not count: XA COMMIT, or XA PREPARE with it', async () => {
  const target = `after:${gtid(at.commitOfOne + 1)}`;
  const uncommitted = await rig.restore(target, { skipGtids: gtid(at.commitOfOne) });
  assert.deepEqual(xids(uncommitted), ['same-1']);
  const nothing = await rig.restore(target);
  assert.deepEqual(xids(nothing), []);
});

test('a killed server that does not start any more is begun anew from the base', {
  timeout: 120_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'broken.log');
  const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--direct', '--json'];
  const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: 'restore.mid-replay' });
  assert.equal((await doomed.exited).signal, 'SIGKILL', await readFile(logFile, 'utf8'));
  const pid = Number(await readFile(join(`${targetDir}.pitrail`, 'applier', 'mysqld.pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  await writeFile(join(targetDir, 'ibdata1'), randomBytes(12 * 1024 * 1024));
  const again = await startPitrail(rig, args, logFile);
  const { code } = await again.exited;
  const text = await readFile(logFile, 'utf8');
  assert.equal(code, 0, text);
  assert.match(text, /its server does not start any more.*begins anew from the base/s);
  const server = await startRestored(targetDir);
  assert.deepEqual(await tableChecksums(server), await tableChecksums(rig.source));
  await server.stop();
});

test('a hand-over that is killed hands the same running server over when it is run again', {
  timeout: 120_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'handed.log');
  const target = `after:${gtid(at.mixed)}`;
  const args = ['restore', '--to', target, '--target-dir', targetDir, '--direct', '--keep-running', '--json'];
  const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: 'restore.handed-over' });
  assert.equal((await doomed.exited).signal, 'SIGKILL', await readFile(logFile, 'utf8'));
  const pid = Number(await readFile(join(`${targetDir}.pitrail`, 'applier', 'mysqld.pid'), 'utf8'));
  const again = await startPitrail(rig, args, logFile);
  assert.equal((await again.exited).code, 0, await readFile(logFile, 'utf8'));
  const line = (await readFile(logFile, 'utf8')).split('\n').findLast((it) => it.startsWith('{"status"'));
  const outcome = JSON.parse(line ?? '') as RestoreOutcome;
  assert.ok(outcome.server.kind === 'running');
  assert.equal(outcome.server.pid, pid, 'it was not started anew');
  const session = await connectMysql({ socket: outcome.server.socket }, 'root', '');
  const accounts = await session.query("SELECT user FROM mysql.user WHERE user = 'pitrail_applier'");
  assert.deepEqual(accounts, []);
  await session.close();
  await endRunning(outcome, (names) => assert.deepEqual(names, MIXED.toSorted()));
});

test('those that are lost after the replay end the restore by their names', {
  timeout: 120_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'lost.log');
  const args = [
    'restore',
    '--to',
    `after:${gtid(at.mixed)}`,
    '--target-dir',
    targetDir,
    '--direct',
    '--keep-running',
  ];
  const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: 'restore.verified' });
  assert.equal((await doomed.exited).signal, 'SIGKILL', await readFile(logFile, 'utf8'));
  process.kill(
    Number(await readFile(join(`${targetDir}.pitrail`, 'applier', 'mysqld.pid'), 'utf8')),
    'SIGKILL',
  );
  const again = await startPitrail(rig, args, logFile);
  const { code } = await again.exited;
  const text = await readFile(logFile, 'utf8');
  assert.equal(code, 4, text);
  assert.match(text, /not there: X'6d69786564[0-9a-f]*',X'62',\d+/);
});
