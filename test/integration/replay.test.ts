import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { SourceSegment } from '../../src/replay/dump-plan.ts';
import { handOver } from '../../src/replay/hand-over.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import {
  createShop,
  placeOrders,
  placeTaggedOrders,
  runDdlMix,
  runXa,
  startWorkload,
  tableChecksums,
} from '../support/workload.ts';
import { type Base, type Rig, segmentsOf, startRig, takeBase } from './replay-rig.ts';
import { runScript } from './scanner-support.ts';

/** Every kind of transaction, over several files. */
async function writeEverything(origin: TestMysql): Promise<void> {
  await placeOrders(origin, 40);
  await runDdlMix(origin);
  await origin.run('FLUSH BINARY LOGS');
  await placeTaggedOrders(origin, 'night', 20);
  await runXa(origin, 'one', 'commit');
  await runXa(origin, 'two', 'rollback');
  const traffic = await startWorkload(origin, { connections: 4, pauseMs: 0 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await traffic.stop();
  await origin.run('FLUSH BINARY LOGS');
  await runScript(
    origin,
    `USE shop; SET SESSION binlog_transaction_compression = ON;
     INSERT INTO orders (customer_id, placed_at, note) SELECT 7, NOW(6), REPEAT('z', 200) FROM customers;
     CREATE EVENT compressed ON SCHEDULE EVERY 1 DAY DO SELECT 1;
     SET SESSION binlog_transaction_compression = OFF;
     SET SESSION binlog_format = STATEMENT;
     SET @who = 'by statement';
     INSERT INTO orders (customer_id, placed_at, note) VALUES (3, NOW(6), CONCAT(@who, RAND()));
     UPDATE customers SET balance = balance * 1.1 WHERE id < 10;
     CREATE TEMPORARY TABLE t_tmp (a INT); INSERT INTO t_tmp VALUES (1), (2);
     INSERT INTO customers (name, city) SELECT CONCAT('tmp', a), 'x' FROM t_tmp;
     DROP TEMPORARY TABLE t_tmp;
     SET SESSION binlog_format = MIXED;
     INSERT INTO orders (customer_id, placed_at, note) VALUES (3, NOW(6), UUID());
     SET SESSION binlog_format = ROW;
     CREATE USER reader@'%' IDENTIFIED BY 'Secret-1'; GRANT SELECT ON shop.* TO reader@'%';
     SET GLOBAL local_infile = ON;`,
  );
  await runScript(
    origin,
    `SET SESSION binlog_format = STATEMENT; CREATE TABLE shop.loaded (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(20)) CHARACTER SET latin1;
     INSERT INTO shop.loaded (t) VALUES ('a'), ('b'), ('c'); DELETE FROM shop.loaded WHERE id = 2;
     LOAD DATA LOCAL INFILE '/proc/self/status' INTO TABLE shop.loaded (@line) SET t = LEFT(@line, 20);`,
    'latin1',
  );
}

describe('a replay from the archive source gives exactly the origin', () => {
  let folder: TestFolder;
  let origin: TestMysql;
  let base: Base;
  let segments: SourceSegment[];
  let expected: GtidSet;
  let rig: Rig;

  before(async () => {
    folder = await testFolder('pt-rb');
    origin = await startTestMysql();
    await createShop(origin);
    await placeOrders(origin, 10);
    base = await takeBase(origin, join(folder.path, 'base'));
    await writeEverything(origin);
    segments = await segmentsOf(origin, base.gtids);
    expected = GtidSet.parse(await origin.gtidExecuted());
    rig = await startRig(base, segments);
  });

  after(async () => {
    await rig?.stop();
    await origin?.stop();
    await folder?.remove();
  });

  test('DDL, DML, LOAD DATA, XA, compressed, STATEMENT, MIXED and tagged transactions over several files', async () => {
    assert.ok(segments.length >= 3, `${segments.length} files`);
    const { progress } = await rig.replay(expected);
    const applied = await rig.verify(expected);
    assert.equal(applied.gtidExecuted, expected.toString());
    assert.deepEqual(applied.preparedXa, []);
    assert.equal(progress.appliedTransactions, progress.plannedTransactions);
    assert.deepEqual(await tableChecksums(rig), await tableChecksums(origin));
    // The first statement that is no row ends the fast way, and the rest comes a second time.
    assert.equal(rig.source.progress().dumps, 2);
  });

  test('replaying again sends nothing and opens no segment', async () => {
    const { bytesSent } = rig.source.progress();
    await rig.replay(expected);
    await rig.verify(expected);
    assert.equal(rig.source.progress().bytesSent, bytesSent);
  });

  test('after hand-over the folder starts as an ordinary server, with no trace of the replay', async () => {
    const { dataDir } = rig.applier().options;
    const done = await handOver(rig.applier(), 'stopped');
    assert.equal(done.kind, 'stopped');
    const server = await startTestMysql({ dataDir });
    try {
      assert.equal(await server.gtidExecuted(), expected.toString().replaceAll(/\s/g, ''));
      assert.deepEqual(await server.query('SHOW REPLICA STATUS'), []);
      assert.deepEqual(await server.query('SELECT * FROM performance_schema.persisted_variables'), []);
      const accounts = await server.query<{ user: string }>('SELECT user FROM mysql.user ORDER BY user');
      const truth = await origin.query<{ user: string }>('SELECT user FROM mysql.user ORDER BY user');
      assert.deepEqual(accounts, truth);
      assert.deepEqual(await tableChecksums(server), await tableChecksums(origin));
    } finally {
      await server.stop();
    }
  });
});
