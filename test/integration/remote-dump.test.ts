import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HEADER_BYTES } from '../../src/binlog/event-header.ts';
import { scanFile } from '../../src/binlog/scan.ts';
import { AppError } from '../../src/domain/errors.ts';
import { parseBinlogName } from '../../src/domain/identity.ts';
import { type DumpAccount, type DumpRange, dumpBinlog } from '../../src/mysql/dump/dump.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import type { MysqlEndpoint } from '../../src/mysql/session.ts';
import { makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import { createUser, type TestUser } from '../support/mysql-users.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { rawRemotely } from './remote-support.ts';
import { logOf } from './scanner-support.ts';

let server: TestMysql;
let reader: TestUser;
let folder: TestFolder;
const cleanups: (() => Promise<void>)[] = [];

before(async () => {
  folder = await testFolder('pt-dump');
  const authority = makeAuthority('pitrail test CA');
  const { cert, key } = authority.issue(['localhost', '127.0.0.1']);
  const path = (name: string) => join(folder.path, name);
  await writeFile(path('ca.pem'), authority.cert);
  await writeFile(path('cert.pem'), cert);
  await writeFile(path('key.pem'), key, { mode: 0o600 });
  const tls = [
    `--ssl-ca=${path('ca.pem')}`,
    `--ssl-cert=${path('cert.pem')}`,
    `--ssl-key=${path('key.pem')}`,
  ];
  const options = ['--max-allowed-packet=1G', '--local-infile=1', ...tls];
  server = await startTestMysql({ options });
  await server.run('CREATE DATABASE s', 'CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  reader = await createUser(server, 'reader', ['REPLICATION SLAVE']);
  await server.run('FLUSH BINARY LOGS');
});
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  await server.stop();
  await folder.remove();
});

function account(endpoint: MysqlEndpoint = server.endpoint): DumpAccount {
  return { endpoint, ...reader, serverId: 4_000_000_001 };
}

async function dumped(
  range: Partial<DumpRange> & { readonly name: string },
  from: DumpAccount = account(),
): Promise<Buffer> {
  const { name, ...more } = range;
  const wanted = { from: 0, signal: new AbortController().signal, ...more, binlog: parseBinlogName(name) };
  const chunks: Uint8Array[] = [];
  for await (const chunk of dumpBinlog(from, wanted)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function proxied(): Promise<TcpProxy> {
  const proxy = await tcpProxy({ host: '127.0.0.1', port: server.port });
  cleanups.push(() => proxy.stop());
  return proxy;
}

/** Through the proxy, in the clear, so that bytes can be counted. */
function through({ host, port }: TcpProxy): DumpAccount {
  return account({ host, port, tls: 'off' });
}

function fails(code: string, kind: AppError['kind'], words = /./) {
  return (error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    assert.deepEqual({ code: error.code, kind: error.kind }, { code, kind });
    assert.match(error.message, words);
    return true;
  };
}

/** The file, what the dump gives, and what mysqlbinlog gets from the server. */
async function assertSame(path: string): Promise<void> {
  const file = await readFile(path);
  const name = basename(path);
  assert.ok((await dumped({ name })).equals(file), `${name}: the dump is the file`);
  assert.ok((await rawRemotely(server, name)).equals(file), `${name}: mysqlbinlog gets the same`);
}

const SCENARIOS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'DDL and rows',
    sql: `create table s.b select * from s.t; create view s.v as select * from s.b; drop view s.v; alter table s.b add w int;
      insert into s.t (v) values ('a'),('b'); update s.t set v = concat(v, id); delete from s.t where id = 1; drop table s.b;
      insert into s.t (v) select repeat('r', 100) from information_schema.columns limit 3000;`,
  },
  {
    name: 'compressed transactions',
    sql: "set binlog_transaction_compression=on; insert into s.t (v) values (repeat('c', 5000000)); insert into s.t (v) values ('d');",
  },
  {
    name: 'events above 16 MiB, at and beside the border of a packet',
    sql: `insert into s.t (v) values (repeat('h', 40000000)); delete from s.t where length(v) = 40000000;
      ${[-3, -2, -1, 0, 1, 2, 3].map((by) => `insert into s.t (v) values (repeat('p', ${0xffffff - 1 - 45 + by}));`).join(' ')}`,
  },
  {
    name: 'tagged GTIDs',
    sql: "set gtid_next='automatic:night'; insert into s.t (v) values ('t'); set gtid_next='automatic'; insert into s.t (v) values ('u');",
  },
  {
    name: 'no checksums',
    sql: "set global binlog_checksum=none; insert into s.t (v) values ('n'); insert into s.t (v) values (repeat('n', 17000000)); flush binary logs; insert into s.t (v) values ('m');",
  },
  { name: 'checksums again', sql: "set global binlog_checksum=crc32; insert into s.t (v) values ('o');" },
  {
    name: 'statements with their context, and XA',
    sql: `set binlog_format=statement; set @x = 'y'; insert into s.t (v) values (@x); insert into s.t (v) values (uuid()), (rand());
      set binlog_format=row; xa start 'x'; insert into s.t (v) values ('xa'); xa end 'x'; xa prepare 'x'; xa commit 'x';`,
  },
  { name: 'nothing', sql: 'select 1;' },
];

describe('what is dumped is the file, byte for byte', () => {
  for (const { name, sql } of SCENARIOS) {
    test(name, async () => {
      await logOf(server, sql);
      const logs = await readBinaryLogs(server.root);
      for (const log of logs.slice(-4, -1)) await assertSame(join(server.binlogDir, log.name));
    });
  }

  test('a log whose server was killed, after its recovery', async () => {
    await server.run('FLUSH BINARY LOGS', "INSERT INTO s.t (v) VALUES ('before the crash')");
    const torn = (await readBinaryLogs(server.root)).at(-1);
    await server.kill();
    await server.start();
    await assertSame(join(server.binlogDir, String(torn?.name)));
    assert.equal((await scanFile(join(server.binlogDir, String(torn?.name)))).closedBy, null);
  });

  test('the open log, up to its last transaction; its mark of being open does not come', async () => {
    await server.run("INSERT INTO s.t (v) VALUES ('open')");
    const { name } = (await readBinaryLogs(server.root)).at(-1) ?? assert.fail();
    const file = await readFile(join(server.binlogDir, name));
    assert.equal(file[4 + 17], 1, 'in use');
    file[4 + 17] = 0;
    assert.ok((await dumped({ name })).equals(file));
  });

  test('from every border of an event on', async () => {
    const path = await logOf(server, 'create table s.z (i int); insert into s.z values (1); drop table s.z;');
    const borders: number[] = [];
    await scanFile(path, { visitor: { event: ({ frame }) => void borders.push(frame.endOffset) } });
    const file = await readFile(path);
    for (const from of borders) {
      assert.ok((await dumped({ name: basename(path), from })).equals(file.subarray(from)), `${from}`);
    }
  });
});

describe('a log as only a server can have it', () => {
  /** A closed log in which `sizes` name events whose bodies are zeros: a sparse file that costs no disk. */
  async function forgedLog(
    sizes: readonly number[],
  ): Promise<{ name: string; path: string; ends: number[] }> {
    await server.run('SET GLOBAL binlog_checksum=NONE', 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    const { name } = (await readBinaryLogs(server.root)).at(-2) ?? assert.fail();
    await server.run('SET GLOBAL binlog_checksum=CRC32');
    const path = join(server.binlogDir, name);
    const file = await open(path, 'r+');
    const ends: number[] = [];
    await scanFile(path, { visitor: { event: ({ frame }) => void ends.push(frame.endOffset) } });
    let at = ends[1] ?? assert.fail();
    for (const size of sizes) {
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt8(30, 4);
      header.writeUInt32LE(size, 9);
      header.writeUInt32LE((at + size) % 2 ** 32, 13);
      await file.write(header, 0, HEADER_BYTES, at);
      at += size;
      ends.push(at);
    }
    await file.truncate(at);
    await file.close();
    return { name, path, ends };
  }

  test('goes on behind 4 GiB, where a position has no room in 32 bits', async () => {
    const GIB = 2 ** 30;
    const { name, path, ends } = await forgedLog([GIB, GIB, GIB, GIB, GIB / 2, 500, 600]);
    const [from = 0] = ends.slice(-3);
    assert.ok(from > 2 ** 32);
    const file = await open(path);
    const rest = Buffer.alloc(1100);
    await file.read(rest, 0, 1100, from);
    await file.close();
    assert.ok((await dumped({ name, from })).equals(rest));
  });

  test('is refused by name where an event is larger than a server sends', async () => {
    const { name } = await forgedLog([2 ** 30 + 2 ** 20]);
    await assert.rejects(dumped({ name }), fails('BinlogNotServed', 'refused', /above 1 GiB/));
  });

  test('is refused by name where its file is damaged', async () => {
    const { name } = await forgedLog([5]);
    await assert.rejects(dumped({ name }), fails('BinlogNotServed', 'corrupt', /damaged/));
  });
});

describe('what a server says', () => {
  test('a log that it has not is told from one that it cannot give', async () => {
    await assert.rejects(dumped({ name: 'binlog.999999' }), fails('BinlogNotOnServer', 'unavailable'));
    const { name, sizeBytes } = (await readBinaryLogs(server.root))[0] ?? assert.fail();
    await assert.rejects(
      dumped({ name, from: sizeBytes + 1000 }),
      fails('DumpEndedEarly', 'unavailable', /file size/),
    );
  });

  test('an account without REPLICATION SLAVE is refused with the privilege named', async () => {
    const bare = await createUser(server, 'bare', ['REPLICATION CLIENT']);
    const from = { ...account(), ...bare };
    await assert.rejects(
      dumped({ name: 'binlog.000001' }, from),
      fails('MysqlAccessDenied', 'refused', /REPLICATION SLAVE/),
    );
  });

  test('transactions from before gtid_mode=ON are refused as what they are', async () => {
    const old = await startTestMysql({ options: ['--gtid-mode=OFF', '--enforce-gtid-consistency=ON'] });
    cleanups.push(() => old.stop());
    await old.run('CREATE DATABASE d', 'FLUSH BINARY LOGS');
    for (const mode of ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'])
      await old.run(`SET GLOBAL gtid_mode=${mode}`);
    const from = { endpoint: old.endpoint, user: 'root', password: '', serverId: 1 };
    await assert.rejects(
      dumped({ name: 'binlog.000001' }, from),
      fails('BinlogNotServed', 'refused', /before gtid_mode=ON/),
    );
  });
});

describe('the way', () => {
  const name = 'binlog.000001';
  const tcp = (tls: Extract<MysqlEndpoint, { host: string }>['tls']): DumpAccount =>
    account({ host: 'localhost', port: server.port, tls });

  test('over TLS the server is proven where its CA is given, and any other CA refuses it', async () => {
    const file = await readFile(join(server.binlogDir, name));
    const caPem = await readFile(join(folder.path, 'ca.pem'), 'utf8');
    assert.ok((await dumped({ name }, tcp({ verify: 'identity', caPem }))).equals(file));
    assert.ok((await dumped({ name }, tcp('required'))).equals(file));
    const other = makeAuthority('pitrail test CA').cert;
    await assert.rejects(
      dumped({ name }, tcp({ verify: 'ca', caPem: other })),
      fails('MysqlNotProven', 'refused', /did not prove/),
    );
  });

  test('TLS older than 1.2 is not spoken', async () => {
    const [row] = await server.query<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_version'");
    assert.equal(row?.Value, '', 'the socket of the tests is in the clear');
    const seen: string[] = [];
    const signal = new AbortController().signal;
    const large = await logOf(server, "insert into s.t (v) values (repeat('tls', 2000000));");
    const reading = dumpBinlog(tcp('required'), {
      binlog: parseBinlogName(basename(large)),
      from: 0,
      signal,
    });
    for (let part = 0; part < 3; part += 1) await reading.next();
    const rows = await server.query<{ version: string }>(
      `SELECT VARIABLE_VALUE AS version FROM performance_schema.status_by_thread JOIN performance_schema.threads USING (THREAD_ID)
       WHERE VARIABLE_NAME = 'Ssl_version' AND PROCESSLIST_USER = 'reader'`,
    );
    seen.push(...rows.map(({ version }) => version));
    await reading.return(undefined);
    assert.match(seen.join(), /^TLSv1\.[23]$/);
  });

  test('a connection that is cut in the middle says so, and what came is the log', async () => {
    const path = await logOf(server, "insert into s.t (v) values (repeat('z', 30000000));");
    const proxy = await proxied();
    proxy.resetAfter('to-client', 10_000_000);
    const came: Uint8Array[] = [];
    const signal = new AbortController().signal;
    const reading = dumpBinlog(through(proxy), { binlog: parseBinlogName(basename(path)), from: 0, signal });
    const read = async () => {
      for await (const chunk of reading) came.push(chunk);
    };
    await assert.rejects(read, fails('DumpCut', 'unavailable'));
    const bytes = Buffer.concat(came);
    assert.ok(bytes.length > 5_000_000, `${bytes.length}`);
    assert.ok(bytes.equals((await readFile(path)).subarray(0, bytes.length)));
  });

  test('a server that falls silent is left', async () => {
    const proxy = await proxied();
    const path = await logOf(server, "insert into s.t (v) values (repeat('y', 30000000));");
    const signal = new AbortController().signal;
    const binlog = parseBinlogName(basename(path));
    const reading = dumpBinlog(through(proxy), { binlog, from: 0, signal, idleMs: 1_000 });
    for (let part = 0; part < 3; part += 1) await reading.next();
    proxy.setWeather({ kind: 'hold' });
    const drain = async () => {
      for await (const chunk of reading) assert.ok(chunk.length > 0);
    };
    await assert.rejects(drain, fails('DumpStalled', 'unavailable'));
    proxy.setWeather({ kind: 'clear' });
    while (proxy.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  test('no more is taken from the server than the reader takes', async () => {
    const path = await logOf(server, "insert into s.t (v) values (repeat('w', 80000000));");
    const proxy = await proxied();
    const signal = new AbortController().signal;
    const reading = dumpBinlog(through(proxy), { binlog: parseBinlogName(basename(path)), from: 0, signal });
    for (let part = 0; part < 3; part += 1) await reading.next();
    let last = -1;
    for (let still = 0; still < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const now = proxy.passed('to-client');
      still = now === last ? still + 1 : 0;
      last = now;
    }
    assert.ok(last < 32 * 1024 * 1024, `${last} bytes came to a reader that rests`);
    await reading.return(undefined);
  });

  test('a reader that is stopped closes its connection, with the reason that it was given', async () => {
    const proxy = await proxied();
    const stop = new AbortController();
    const path = await logOf(server, "insert into s.t (v) values (repeat('v', 30000000));");
    const binlog = parseBinlogName(basename(path));
    const reading = dumpBinlog(through(proxy), { binlog, from: 0, signal: stop.signal });
    await reading.next();
    await reading.next();
    const reason = new Error('enough');
    stop.abort(reason);
    const drain = async () => {
      for await (const chunk of reading) assert.ok(chunk.length > 0);
    };
    await assert.rejects(drain, (error) => error === reason);
  });

  test('a password is never shown', async () => {
    const wrong = { ...account(), password: `wrong-${randomBytes(8).toString('hex')}` };
    await assert.rejects(dumped({ name }, wrong), (error: unknown) => {
      assert.ok(error instanceof AppError && error.code === 'MysqlAccessDenied');
      return !JSON.stringify(error).includes(wrong.password) && !String(error.stack).includes(wrong.password);
    });
  });
});

test('a replica with the same server_id goes on undisturbed, and so do other readers', async () => {
  const origin = await startTestMysql();
  cleanups.push(() => origin.stop());
  const replica = await startTestReplica(origin);
  cleanups.push(() => replica.stop());
  const path = await logOf(
    origin,
    "create database s; create table s.t (v longtext); insert into s.t values (repeat('k', 5000000));",
  );
  await replica.catchUp();
  const dumps = () =>
    origin.query<{ id: string }>(
      "SELECT PROCESSLIST_ID AS id FROM performance_schema.threads WHERE PROCESSLIST_COMMAND LIKE 'Binlog Dump%' AND PROCESSLIST_USER LIKE 'replica%'",
    );
  const [before] = await dumps();
  assert.ok(before);
  const same = { endpoint: origin.endpoint, user: 'root', password: '', serverId: replica.serverId };
  const file = await readFile(path);
  const all = await Promise.all([1, 2, 3].map(() => dumped({ name: basename(path) }, same)));
  for (const bytes of all) assert.ok(bytes.equals(file), 'nobody ended the other');
  await origin.run("INSERT INTO s.t VALUES ('later')");
  await replica.catchUp();
  assert.deepEqual(await dumps(), [before], 'the replica has the connection that it had');
});
