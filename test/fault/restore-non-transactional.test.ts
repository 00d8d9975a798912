/** Promise: rows of tables that cannot be rolled back are applied once, whatever dies in between. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RestoreRig, startPitrail, startRestored, startRestoreRig } from '../integration/restore-rig.ts';
import { createShop, runXa, tableChecksums } from '../support/workload.ts';
import { createSteps, restoreWithKills } from './restore-cut-rig.ts';

let rig: RestoreRig;
/** As the rows are logged, and after statements came in the middle of them. */
let truth: Record<string, string>;
let truthWithStatements: Record<string, string>;
/** The transactions before the first statement. */
let rows: string;

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await createShop(source);
  await createSteps(source);
  await rig.archive();
  await rig.backup();
  // No key that could refuse a row which is applied twice.
  await source.run(
    'CREATE TABLE shop.journal (n INT, pad VARCHAR(200)) ENGINE=MyISAM',
    'CREATE TABLE shop.lines_csv (n INT NOT NULL, pad VARCHAR(200) NOT NULL) ENGINE=CSV',
    `CREATE PROCEDURE shop.note(steps INT) BEGIN
       WHILE steps > 0 DO
         INSERT INTO shop.journal VALUES (steps, REPEAT('j', 100)), (steps, REPEAT('k', 100)), (steps, REPEAT('l', 100));
         INSERT INTO shop.steps (pad) VALUES (REPEAT(SHA2(steps, 256), 3));
         IF steps % 10 = 0 THEN INSERT INTO shop.lines_csv VALUES (steps, 'c'); END IF;
         IF steps % 50 = 0 THEN UPDATE shop.journal SET n = n + 1 WHERE n = steps; END IF;
         SET steps = steps - 1;
       END WHILE;
     END`,
    'CALL shop.note(4000)',
  );
  await rig.archive();
  // Dropped and converted ones, too: at a cut behind this nothing may tell of them any more.
  await source.run(
    'CREATE TABLE shop.gone (n INT) ENGINE=MyISAM',
    'INSERT INTO shop.gone VALUES (1), (2)',
    'CREATE TABLE shop.kept AS SELECT * FROM shop.gone',
    'DROP TABLE shop.gone',
    'CALL shop.note(500)',
  );
  await rig.archive();
  // It holds locks for ever, and nothing may wait for them.
  await runXa(source, 'beside', 'left-prepared');
  truth = await tableChecksums(source);
  rows = `after:${source.serverUuid}:${/:1-(\d+)/.exec(await source.gtidExecuted())?.[1]}`;
  const session = await source.connect();
  await session.run('CALL shop.note(1000)');
  await session.run("SET SESSION binlog_format = 'STATEMENT'");
  await session.run('INSERT INTO shop.journal SELECT n + 1, pad FROM shop.journal WHERE n % 100 = 0');
  await session.run('CALL shop.note(200)');
  await session.close();
  await rig.archive();
  truthWithStatements = await tableChecksums(source);
});
after(() => rig.stop());

async function assertExact(targetDir: string, wanted = truth): Promise<void> {
  const server = await startRestored(targetDir);
  try {
    assert.deepEqual(await tableChecksums(server), wanted);
    assert.equal((await server.query('XA RECOVER')).length, 1);
    for (const table of ['shop.journal', 'shop.lines_csv']) {
      const [row] = await server.query<{ Msg_text: string }>(`CHECK TABLE ${table}`);
      assert.equal(row?.Msg_text, 'OK', `${table} was closed cleanly`);
    }
  } finally {
    await server.stop();
  }
}

test('without a kill the restored tables are those of the origin', { timeout: 120_000 }, async () => {
  const outcome = await rig.restore(rows);
  await assertExact(outcome.dataDir);
});

test('each kill of the server in the middle makes the replay begin anew from the base', {
  timeout: 240_000,
}, async () => {
  const { outcome, retries } = await restoreWithKills(rig, rows, [0.2, 0.5, 0.8]);
  assert.deepEqual(retries, ['ReplayCutShort', 'ReplayCutShort', 'ReplayCutShort']);
  await assertExact(outcome.dataDir);
});

test('a kill of pitrail alone, which may come inside of a transaction, makes the replay begin anew, too', {
  timeout: 120_000,
}, async () => {
  const targetDir = rig.newTarget();
  const logFile = join(rig.folder.path, 'direct.log');
  const args = ['restore', '--to', rows, '--target-dir', targetDir, '--direct', '--json'];
  const doomed = await startPitrail(rig, args, logFile, { PITRAIL_FAULT: 'restore.mid-replay' });
  assert.equal((await doomed.exited).signal, 'SIGKILL', await readFile(logFile, 'utf8'));
  const again = await startPitrail(rig, args, logFile);
  assert.equal((await again.exited).code, 0, await readFile(logFile, 'utf8'));
  assert.match(await readFile(logFile, 'utf8'), /begins anew/);
  await assertExact(targetDir);
});

test('a server that ends again and again ends the restore, and says what for', {
  timeout: 300_000,
}, async () => {
  const targetDir = rig.newTarget();
  await assert.rejects(restoreWithKills(rig, rows, [0.2, 0.2, 0.2, 0.2, 0.2], { targetDir }), {
    code: 'ReplayKeepsBeingCut',
    kind: 'refused',
    message: /shop\.journal \(MyISAM\)/,
  });
});

test('an applier that stands still at the first statement has cut the replay, too', {
  timeout: 120_000,
}, async () => {
  const { outcome, retries } = await restoreWithKills(rig, 'latest', []);
  assert.deepEqual(retries, ['ReplayCutShort']);
  assert.equal(outcome.restarts, 0);
  await assertExact(outcome.dataDir, truthWithStatements);
});
