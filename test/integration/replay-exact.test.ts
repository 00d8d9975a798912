import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AppError } from '../../src/domain/errors.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import { leaveRunning } from '../../src/replay/applier.ts';
import type { SourceSegment } from '../../src/replay/dump-plan.ts';
import { handOver } from '../../src/replay/hand-over.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import {
  createShop,
  placeOrders,
  placeTaggedOrders,
  runXa,
  startWorkload,
  tableChecksums,
} from '../support/workload.ts';
import { type Base, cutAt, gtidOrder, segmentsOf, sourceOf, startRig, takeBase } from './replay-rig.ts';

let folder: TestFolder;
let origin: TestMysql;
let base: Base;

before(async () => {
  folder = await testFolder('pt-re');
  origin = await startTestMysql({
    options: ['--max-allowed-packet=1G', '--innodb-redo-log-capacity=512M', '--innodb-buffer-pool-size=256M'],
  });
  await createShop(origin);
  base = await takeBase(origin, join(folder.path, 'base'));
});

after(async () => {
  await origin?.stop();
  await folder?.remove();
});

describe('a replay stops exactly', () => {
  let segments: SourceSegment[];
  let order: string[];

  before(async () => {
    for (let round = 0; round < 3; round += 1) {
      const traffic = await startWorkload(origin, { connections: 3, pauseMs: 0, seed: round });
      await Promise.all([placeTaggedOrders(origin, 'night', 25), placeTaggedOrders(origin, 'day', 25)]);
      await traffic.stop();
      await origin.run('FLUSH BINARY LOGS');
    }
    segments = await segmentsOf(origin, base.gtids);
    order = await gtidOrder(origin, segments);
  });

  test('before and after a tagged GTID, forty times, and equal to a replica that stopped there', async () => {
    const tagged = order.flatMap((gtid, index) => (gtid.split(':').length === 3 && index > 0 ? [index] : []));
    const chosen = Array.from(
      { length: 20 },
      (_, i) => tagged[Math.floor((i * tagged.length) / 20)] as number,
    );
    const rig = await startRig(base, []);
    try {
      for (const index of chosen) {
        for (const count of [index, index + 1]) {
          const { segments: cut, sent } = cutAt(segments, order, count);
          const source = await sourceOf(cut);
          const expected = base.gtids.union(sent);
          await rig.replay(expected, { source });
          await rig.verify(expected);
          await source.close();
        }
      }
      const last = (chosen.at(-1) as number) + 1;
      const truth = await startTestReplica(origin, { until: { before: order[last] as string } });
      await truth.waitForStop();
      assert.equal(GtidSet.parse(await truth.gtidExecuted()).count(), base.gtids.count() + BigInt(last));
      assert.deepEqual(await tableChecksums(rig), await tableChecksums(truth));
      await truth.stop();
    } finally {
      await rig.stop();
    }
  });

  test('a GTID that is skipped is left out whole, and nothing else', async () => {
    const skipped = GtidSet.parse(order.slice(-40, -38).join(','));
    const without = segments.map((segment) => ({ ...segment, send: segment.send.subtract(skipped) }));
    const rig = await startRig(base, without);
    try {
      const expected = base.gtids.union(GtidSet.parse(order.join(','))).subtract(skipped);
      await rig.replay(expected);
      const { gtidExecuted } = await rig.verify(expected);
      assert.equal(GtidSet.parse(gtidExecuted).intersect(skipped).count(), 0n);
      const [orders] = await rig.query<{ n: string }>('SELECT COUNT(*) AS n FROM shop.orders');
      const [all] = await origin.query<{ n: string }>('SELECT COUNT(*) AS n FROM shop.orders');
      assert.equal(Number(orders?.n), Number(all?.n) - 2);
    } finally {
      await rig.stop();
    }
  });

  test('the default channel serves as well', async () => {
    const rig = await startRig(base, segments);
    try {
      const expected = base.gtids.union(GtidSet.parse(order.join(',')));
      await rig.replay(expected, { channel: '' });
      const [row] = await rig.query<{ Channel_Name: string }>('SHOW REPLICA STATUS');
      assert.equal(row?.Channel_Name, '');
    } finally {
      await rig.stop();
    }
  });
});

test('events of 16 MiB and more, and files without checksums, arrive whole', async () => {
  await origin.run('CREATE TABLE shop.blobs (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)');
  const session = await origin.connect();
  await session.run('INSERT INTO shop.blobs (b) VALUES (REPEAT(0xff, 60 * 1024 * 1024))');
  await session.run('SET GLOBAL binlog_checksum = NONE');
  for (const bytes of [1_048_576, 16_777_215]) {
    for (const shift of [-1, 0, 1])
      await session.run(`INSERT INTO shop.blobs (b) VALUES (REPEAT('x', ${bytes - 100 + shift}))`);
  }
  await session.run('SET GLOBAL binlog_checksum = CRC32');
  await session.run("INSERT INTO shop.blobs (b) VALUES (REPEAT('y', 16777215 * 2 - 58))");
  await session.close();
  const segments = await segmentsOf(origin, base.gtids);
  const rig = await startRig(base, segments);
  try {
    const expected = GtidSet.parse(await origin.gtidExecuted());
    await rig.replay(expected);
    await rig.verify(expected);
    assert.deepEqual(await tableChecksums(rig), await tableChecksums(origin));
  } finally {
    await rig.stop();
  }
});

test('a failover: the logs of a server and of the replica that took its place, as one history', async () => {
  const first = await startTestMysql();
  const own = await testFolder('pt-ro');
  try {
    await createShop(first);
    const start = await takeBase(first, join(own.path, 'base'));
    const second = await startTestReplica(first);
    await placeOrders(first, 60);
    await placeTaggedOrders(first, 'night', 5);
    await second.catchUp();
    await second.run('STOP REPLICA', 'RESET REPLICA ALL');
    await placeOrders(second, 60, 2);
    await placeTaggedOrders(second, 'night', 5);
    const expected = GtidSet.parse(await second.gtidExecuted());
    const segments = [...(await segmentsOf(first, start.gtids)), ...(await segmentsOf(second, start.gtids))];
    const rig = await startRig(start, segments);
    try {
      await rig.replay(expected);
      await rig.verify(expected);
      assert.deepEqual(await tableChecksums(rig), await tableChecksums(second));
    } finally {
      await rig.stop();
      await second.stop();
    }
  } finally {
    await first.stop();
    await own.remove();
  }
});

test('a base that was taken from a replica brings a channel of its own, which is removed', async () => {
  const first = await startTestMysql();
  const own = await testFolder('pt-rc');
  try {
    await createShop(first);
    const replica = await startTestReplica(first);
    await replica.catchUp();
    const start = await takeBase(replica, join(own.path, 'base'));
    await replica.stop();
    await placeOrders(first, 10);
    const rig = await startRig(start, await segmentsOf(first, start.gtids));
    try {
      const expected = GtidSet.parse(await first.gtidExecuted());
      await rig.replay(expected);
      await rig.verify(expected);
      const channels = await rig.query<{ Channel_Name: string }>('SHOW REPLICA STATUS');
      assert.deepEqual(
        channels.map((row) => row.Channel_Name),
        ['pitrail'],
      );
      await handOver(rig.applier(), 'stopped');
    } finally {
      await rig.stop();
    }
  } finally {
    await first.stop();
    await own.remove();
  }
});

test('a replay interrupted while a temporary table is open is refused, not continued without it', async () => {
  const first = await startTestMysql();
  const own = await testFolder('pt-rt');
  try {
    await createShop(first);
    const start = await takeBase(first, join(own.path, 'base'));
    await first.run(
      'SET SESSION binlog_format = STATEMENT',
      'CREATE TEMPORARY TABLE shop.kept (a INT)',
      'INSERT INTO shop.kept VALUES (7)',
      "INSERT INTO shop.customers (name, city) SELECT CONCAT('kept', a), 'x' FROM shop.kept",
    );
    const segments = await segmentsOf(first, start.gtids);
    const order = await gtidOrder(first, segments);
    const rig = await startRig(start, segments);
    try {
      const all = start.gtids.union(GtidSet.parse(order.join(',')));
      await rig.replay(all);
      assert.deepEqual(await tableChecksums(rig), await tableChecksums(first));
    } finally {
      await rig.stop();
    }
    const half = await startRig(start, cutAt(segments, order, order.length - 1).segments);
    const source = await sourceOf(segments);
    try {
      await half.replay(start.gtids.union(cutAt(segments, order, order.length - 1).sent));
      const all = start.gtids.union(GtidSet.parse(order.join(',')));
      await assert.rejects(half.replay(all, { source }), { code: 'TemporaryTablesOpen', kind: 'refused' });
    } finally {
      await source.close();
      await half.stop();
    }
  } finally {
    await first.stop();
    await own.remove();
  }
});

describe('prepared XA transactions are part of the state', () => {
  let segments: SourceSegment[];
  let expected: GtidSet;

  before(async () => {
    await runXa(origin, 'left', 'left-prepared');
    await runXa(origin, 'right', 'left-prepared');
    segments = await segmentsOf(origin, base.gtids);
    expected = GtidSet.parse(await origin.gtidExecuted());
  });

  test('they survive the hand-over of a stopped folder', async () => {
    const rig = await startRig(base, segments);
    try {
      await rig.replay(expected);
      const applied = await rig.verify(expected);
      assert.equal(applied.preparedXa.length, 2);
      const done = await handOver(rig.applier(), 'stopped');
      assert.deepEqual(done.preparedXa, applied.preparedXa);
    } finally {
      await rig.stop();
    }
  });

  test('a running server is handed over with ordinary settings, without the account of the replay', async () => {
    const rig = await startRig(base, segments);
    try {
      await rig.replay(expected);
      const done = await handOver(rig.applier(), 'running');
      assert.ok(done.kind === 'running');
      assert.ok(done.settings.kind === 'of-the-replay');
      assert.deepEqual(done.settings.because, ['prepared-xa']);
      await leaveRunning(rig.applier().options);
      const session = await connectMysql({ socket: done.socket }, 'root', '');
      const [row] = await session.query<Record<string, string | number>>(
        `SELECT @@innodb_flush_log_at_trx_commit AS flush, @@innodb_doublewrite AS dblwr, @@event_scheduler AS scheduler`,
      );
      assert.deepEqual(row, { flush: '1', dblwr: 'ON', scheduler: 'OFF' });
      assert.equal((await session.query('XA RECOVER')).length, 2);
      assert.deepEqual(await session.query('SHOW REPLICA STATUS'), []);
      assert.deepEqual(await session.query("SELECT user FROM mysql.user WHERE user LIKE 'pitrail%'"), []);
      await session.close();
    } finally {
      await rig.stop();
    }
  });

  test('those that a restart loses are a failure of the hand-over, by name', async () => {
    for (let i = 0; i < 12; i += 1) await runFormatXa(origin, `mixed${'x'.repeat(12 - i)}`, i * 7919 + 3);
    const more = await segmentsOf(origin, base.gtids);
    const all = GtidSet.parse(await origin.gtidExecuted());
    const rig = await startRig(base, more);
    try {
      await rig.replay(all);
      const { preparedXa } = await rig.verify(all);
      assert.equal(preparedXa.length, 14);
      await assert.rejects(handOver(rig.applier(), 'stopped'), (error: unknown) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, 'PreparedXaLost');
        assert.match(error.hint ?? '', /--keep-running/);
        return true;
      });
    } finally {
      await rig.stop();
    }
  });
});

/** Of two such XIDs each is less than the other by the server's order, which makes it lose them. */
async function runFormatXa(server: TestMysql, name: string, formatId: number): Promise<void> {
  const session = await server.connect();
  const xid = `'${name}', 'b', ${formatId}`;
  await session.run(`XA START ${xid}`);
  await session.run(`INSERT INTO shop.orders (customer_id, placed_at, note) VALUES (1, NOW(6), '${name}')`);
  await session.run(`XA END ${xid}`);
  await session.run(`XA PREPARE ${xid}`);
  await session.close();
}
