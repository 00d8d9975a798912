/** Promise: statements with temporary tables are replayed in one go, or again from the base. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import { type RestoreRig, startPitrail, startRestored, startRestoreRig } from '../integration/restore-rig.ts';
import { createShop, tableChecksums } from '../support/workload.ts';

let rig: RestoreRig;

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await createShop(source);
  // The real table has the name of the temporary one: a replay that lost that one would read it silently.
  await source.run(
    'CREATE TABLE shop.factor (n INT PRIMARY KEY)',
    'INSERT INTO shop.factor VALUES (1)',
    'CREATE TABLE shop.sums (id INT PRIMARY KEY AUTO_INCREMENT, n INT, pad VARCHAR(200))',
  );
  await rig.archive();
  await rig.backup();
  // A base that may have been taken while such a table was open is refused; this one was not.
  await rig.archive();
  const session = await source.connect();
  await session.run("SET SESSION binlog_format = 'STATEMENT'");
  await session.run('CREATE TEMPORARY TABLE shop.factor (n INT PRIMARY KEY)');
  await session.run('INSERT INTO shop.factor VALUES (7)');
  for (let i = 0; i < 1500; i += 1) {
    await session.run(`INSERT INTO shop.sums (n, pad) SELECT n * ${i}, REPEAT('x', 150) FROM shop.factor`);
  }
  await session.run('DROP TEMPORARY TABLE shop.factor');
  await session.close();
  await rig.archive();
});
after(() => rig.stop());

async function assertExact(targetDir: string): Promise<void> {
  const server = await startRestored(targetDir);
  assert.deepEqual(await tableChecksums(server), await tableChecksums(rig.source));
  await server.stop();
}

test('a process that is killed in the middle begins anew from the base', { timeout: 120_000 }, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'direct.log');
  const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--direct', '--json'];
  const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: 'restore.mid-replay' });
  assert.equal((await doomed.exited).signal, 'SIGKILL', await readFile(logFile, 'utf8'));
  const again = await startPitrail(rig, args, logFile);
  assert.equal((await again.exited).code, 0, await readFile(logFile, 'utf8'));
  await assertExact(targetDir);
});

test('a server that is killed in the middle begins anew from the base', { timeout: 120_000 }, async () => {
  const targetDir = rig.newTarget();
  let share = 0;
  const context = await rig.context({
    onProgress: ({ doneBytes, totalBytes }) => {
      share = doneBytes / totalBytes;
    },
  });
  const retries: string[] = [];
  let step = '';
  const restoring = restoreDirectly(context, rig.job('latest', { targetDir }), {
    onStep: (now) => {
      step = now;
      share = 0;
    },
    onPlanned: () => undefined,
    onRetry: ({ error }) => retries.push(error.code),
  });
  while (step !== 'replay' || share < 0.1) await Promise.race([sleep(10), restoring]);
  const pid = await readFile(join(`${targetDir}.pitrail`, 'applier', 'mysqld.pid'), 'utf8');
  process.kill(Number(pid), 'SIGKILL');
  const outcome = await restoring;
  assert.deepEqual(retries, ['ReplayCutShort']);
  assert.equal(outcome.gtidExecuted, await rig.source.gtidExecuted());
  await assertExact(targetDir);
});
