import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { AppError } from '../../src/domain/errors.ts';
import {
  readBinaryLogs,
  readForeignEngineTables,
  readGrants,
  readGtidExecuted,
  readPreparedXa,
  readServerFacts,
} from '../../src/mysql/facts.ts';
import { judgeGrants } from '../../src/mysql/grants.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import { assertNoCanary, canarySecret } from '../support/canary.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { allowRotation, createRoleUser, createUser } from '../support/mysql-users.ts';

let server: TestMysql;
before(async () => {
  server = await startTestMysql();
});
after(() => server.stop());

const failure = (promise: Promise<unknown>): Promise<AppError> =>
  promise.then(
    () => assert.fail('it succeeded'),
    (error: AppError) => error,
  );

describe('values', () => {
  test('no integer loses a digit and no time a zone: all are strings as the server prints them', async () => {
    const [row] = await server.query(
      "SELECT 18446744073709551615 AS big, CAST(1 AS SIGNED) AS small, 1.10 AS exact, TIMESTAMP'2026-01-02 03:04:05.000006' AS at, NULL AS none",
    );
    assert.deepEqual(row, {
      big: '18446744073709551615',
      small: '1',
      exact: '1.10',
      at: '2026-01-02 03:04:05.000006',
      none: null,
    });
  });

  test('parameters carry text, bytes, bigints and nulls unchanged', async () => {
    const bytes = new Uint8Array([0, 255, 39, 92]);
    const params = ["O'Brien \\ 東京", 2n ** 63n, bytes, null] as const;
    const [row] = await server.root.query<Record<string, string>>(
      'SELECT ? AS t, ? AS n, HEX(?) AS b, ? AS x',
      params,
    );
    assert.deepEqual(row, { t: "O'Brien \\ 東京", n: '9223372036854775808', b: '00FF275C', x: null });
  });

  test('a session runs in UTC, and tells who answers', async () => {
    const [row] = await server.query<{ zone: string }>('SELECT @@time_zone AS zone');
    assert.equal(row?.zone, '+00:00');
    assert.match(server.root.serverUuid, /^[0-9a-f]{8}-/);
    assert.match(server.root.serverVersion, /^\d+\.\d+\.\d+/);
  });
});

describe('errors', () => {
  test('a wrong password is refused with the user named, and never shows', async () => {
    const wrong = canarySecret();
    const error = await failure(connectMysql(server.endpoint, 'nobody', wrong));
    assert.equal(error.kind, 'refused');
    assert.match(error.message, /nobody/);
    assertNoCanary('the error', inspect(error, { depth: 9, showHidden: true }));
  });

  test('a missing privilege is refused with the privilege named', async () => {
    const { user, password } = await createUser(server, 'bare', []);
    const session = await connectMysql(server.endpoint, user, password);
    const error = await failure(session.query('SHOW BINARY LOGS'));
    assert.equal(error.kind, 'refused');
    assert.match(error.message, /REPLICATION CLIENT/);
    await session.close();
  });

  test('a server that is not there is unavailable, with its address', async () => {
    const gone = await failure(connectMysql({ socket: '/nowhere/s' }, 'root', ''));
    assert.deepEqual([gone.kind, gone.facts['server']], ['unavailable', '/nowhere/s']);
    const refused = await failure(connectMysql({ host: '127.0.0.1', port: 1, tls: 'off' }, 'root', ''));
    assert.deepEqual([refused.kind, refused.facts['server']], ['unavailable', '127.0.0.1:1']);
  });

  test('a session that the server ended is unavailable on its next query, and closes quietly', async () => {
    const session = await server.connect();
    await server.run(`KILL ${session.threadId}`);
    assert.equal((await failure(session.query('SELECT 1'))).kind, 'unavailable');
    await session.close();
    await session.close();
  });

  test('wrong SQL is a bug, a refused statement is refused, and no error carries the statement', async () => {
    const secret = canarySecret();
    assert.equal((await failure(server.root.run('SELEC 1'))).kind, 'bug');
    const error = await failure(server.root.run(`SET @x = '${secret}', GLOBAL no_such_variable = 1`));
    assert.equal(error.kind, 'refused');
    assertNoCanary('the error', inspect(error, { depth: 9, showHidden: true }));
  });
});

describe('facts', () => {
  test('settings and GTID state are read in one statement', async () => {
    const facts = await readServerFacts(server.root);
    assert.equal(facts.serverUuid, server.serverUuid);
    assert.deepEqual(
      [facts.gtidMode, facts.binlogFormat, facts.logBin, facts.binlogEncryption, facts.superReadOnly],
      ['ON', 'ROW', true, false, false],
    );
    assert.equal(facts.logBinBasename, `${server.dataDir}/binlog`);
    assert.equal(facts.gtidExecuted, await readGtidExecuted(server.root));
    assert.equal(facts.serverId, server.serverId);
  });

  test('an archiver with least privileges lists and rotates binlogs, and cannot reset history', async () => {
    const account = await createRoleUser(server, 'pitrail', 'archiver');
    const rotate = await allowRotation(server, account);
    const session = await connectMysql(server.endpoint, account.user, account.password);
    const before = await readBinaryLogs(session);
    await session.run(rotate);
    const after = await readBinaryLogs(session);
    assert.equal(after.length, before.length + 1);
    assert.ok(after.every((log) => log.sizeBytes > 100 && !log.encrypted));
    assert.deepEqual(judgeGrants(await readGrants(session), 'archiver'), { missing: [], tooMany: [] });
    assert.equal((await failure(session.run('RESET BINARY LOGS AND GTIDS'))).kind, 'refused');
    await session.close();
  });

  test('tables that a clone would leave empty are named, empty ones and system ones are not', async () => {
    await server.run(
      'CREATE DATABASE other',
      'CREATE TABLE other.`full``y` (id INT) ENGINE = MyISAM',
      'INSERT INTO other.`full``y` VALUES (1)',
      'CREATE TABLE other.hollow (id INT) ENGINE = MyISAM',
      'CREATE TABLE other.usual (id INT PRIMARY KEY)',
      'INSERT INTO other.usual VALUES (1)',
    );
    const tables = await readForeignEngineTables(server.root);
    assert.deepEqual(tables, [{ schema: 'other', table: 'full`y', engine: 'MyISAM' }]);
  });

  test('prepared XA transactions are read with their identity in bytes', async () => {
    const session = await server.connect();
    await session.run("XA START X'00ff27', 'b', 7");
    await session.run('INSERT INTO other.usual VALUES (2)');
    await session.run("XA END X'00ff27', 'b', 7");
    await session.run("XA PREPARE X'00ff27', 'b', 7");
    await session.close();
    assert.deepEqual(await readPreparedXa(server.root), [
      { formatId: 7, gtridLength: 3, bqualLength: 1, dataHex: '00ff2762' },
    ]);
    await server.run("XA ROLLBACK X'00ff27', 'b', 7");
  });
});
