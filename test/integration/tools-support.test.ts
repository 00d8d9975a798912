import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { connectMysql } from '../../src/mysql/session.ts';
import { isAlive } from '../../src/process/pid.ts';
import { assertNoCanary, assertNoCanaryInArguments, canarySecret } from '../support/canary.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import { startS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { startTemporalServer } from '../support/temporal.ts';
import {
  createShop,
  placeOrders,
  placeTaggedOrders,
  runDdlMix,
  runXa,
  startWorkload,
  tableChecksums,
} from '../support/workload.ts';

let server: TestMysql;
before(async () => {
  server = await startTestMysql();
});
after(() => server.stop());

test('a replica of the whole workload holds the same rows, and stops just before a transaction', async () => {
  await createShop(server);
  const load = await startWorkload(server, { connections: 3 });
  await runDdlMix(server);
  await placeTaggedOrders(server, 'night', 3);
  await runXa(server, 'kept', 'commit');
  await runXa(server, 'dropped', 'rollback');
  await placeOrders(server, 5);
  assert.ok((await load.stop()) > 0);
  const truth = await tableChecksums(server);
  const executed = await server.gtidExecuted();
  await server.run('DROP TABLE shop.orders');
  const accident = await lastGtid(server);
  const replica = await startTestReplica(server, { until: { before: accident } });
  try {
    await replica.waitForStop();
    assert.equal(await replica.gtidExecuted(), executed);
    assert.deepEqual(await tableChecksums(replica), truth);
    assert.ok(executed.includes(':night:1-3'));
    await assertNoCanaryInArguments();
  } finally {
    await replica.stop();
  }
});

async function lastGtid(from: TestMysql): Promise<string> {
  const [log] = await from.query<{ File: string }>('SHOW BINARY LOG STATUS');
  const events = await from.query<{ Event_type: string; Info: string }>(
    `SHOW BINLOG EVENTS IN '${log?.File}'`,
  );
  const gtids = events.filter((event) => event.Event_type === 'Gtid' || event.Event_type === 'Gtid_tagged');
  return /'([^']+)'/.exec(gtids.at(-1)?.Info ?? '')?.[1] ?? '';
}

test('a killed server starts again with what it had, on the same port and with the same identity', async () => {
  const { pid, serverUuid, port } = server;
  await server.run('CREATE DATABASE survives');
  const before = await server.gtidExecuted();
  await server.kill();
  assert.equal(await isAlive(pid), false);
  await server.start();
  assert.notEqual(server.pid, pid);
  assert.deepEqual([server.serverUuid, server.port], [serverUuid, port]);
  assert.equal(await server.gtidExecuted(), before);
});

test('two servers from one template have identities of their own, and stop removes all of it', async () => {
  const other = await startTestMysql();
  const { pid, dir } = other;
  assert.notEqual(other.serverUuid, server.serverUuid);
  await other.stop();
  assert.equal(await isAlive(pid), false);
  assert.equal(existsSync(dir), false);
});

test('a restarted Temporal server answers again at once', async () => {
  const temporal = await startTemporalServer();
  const { pid } = temporal;
  await temporal.restart();
  assert.notEqual(temporal.pid, pid);
  await temporal.stop();
});

test('an S3 server keeps its objects over a kill, and its secret shows nowhere', async () => {
  const { PutObjectCommand, GetObjectCommand } = await import('@aws-sdk/client-s3');
  const s3 = await startS3('shop');
  const client = s3.client();
  await client.send(new PutObjectCommand({ Bucket: s3.bucket, Key: 'a/b', Body: 'kept' }));
  await s3.kill();
  await s3.start();
  const got = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: 'a/b' }));
  assert.equal(await got.Body?.transformToString(), 'kept');
  await assertNoCanaryInArguments();
  client.destroy();
  await s3.stop();
});

test('the canary check finds a secret in plain text and inside base64 at any alignment', () => {
  const secret = canarySecret();
  for (const lead of ['', 'a', 'ab', 'abc']) {
    const hidden = Buffer.from(`${lead}${secret}tail`).toString('base64');
    assert.throws(() => assertNoCanary('a log', `x ${hidden} y`), /a log holds a secret/);
  }
  assert.throws(() => assertNoCanary('a log', `password=${secret}`), /holds a secret/);
  assert.doesNotThrow(() => assertNoCanary('a log', 'nothing here'));
});

describe('the TCP proxy', () => {
  let proxy: TcpProxy;
  before(async () => {
    proxy = await tcpProxy(server);
    await server.run("CREATE USER 'far'@'%' IDENTIFIED BY 'away'");
  });
  after(() => proxy.stop());
  const connect = () =>
    connectMysql({ host: proxy.host, port: proxy.port, tls: 'off' }, 'far', 'away', {
      connectTimeoutMs: 1500,
    });

  test('passes everything in clear weather', async () => {
    const session = await connect();
    assert.deepEqual(await session.query('SELECT REPEAT("x", 100000) = REPEAT("x", 100000) AS same'), [
      { same: '1' },
    ]);
    assert.ok(proxy.passed('to-client') > 0);
    await session.close();
  });

  test('a cut or reset connection is reported as unavailable, with the server named', async () => {
    for (const fault of ['cut', 'reset'] as const) {
      const session = await connect();
      proxy[fault]();
      await assert.rejects(session.query('SELECT 1'), { kind: 'unavailable' });
      await session.close();
    }
    proxy.setWeather({ kind: 'refuse' });
    await assert.rejects(connect(), (error: Error) => error.message.includes(`127.0.0.1:${proxy.port}`));
    proxy.setWeather({ kind: 'clear' });
  });

  test('holds an answer back until released', async () => {
    const session = await connect();
    proxy.setWeather({ kind: 'hold' });
    const answer = session.query('SELECT 1 AS one');
    const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 300, 'held'))]);
    assert.equal(first, 'held');
    proxy.setWeather({ kind: 'clear' });
    assert.deepEqual(await answer, [{ one: '1' }]);
    await session.close();
  });

  test('flips one bit at the wanted byte, and resets after the wanted number of bytes', async () => {
    const session = await connect();
    // The answer's row comes last: its text is far behind the first 30 bytes.
    proxy.flipByteAfter('to-client', 60);
    const [row] = await session.query<{ t: string }>("SELECT REPEAT('a', 200) AS t");
    assert.equal(row?.t.replaceAll('a', ''), '`');
    proxy.resetAfter('to-client', 100);
    await assert.rejects(session.query("SELECT REPEAT('a', 200000) AS t"), { kind: 'unavailable' });
    await session.close();
  });
});
