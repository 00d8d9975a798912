import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { commitSegment } from '../../src/archiving/commit.ts';
import type { Discovery } from '../../src/archiving/discovery.ts';
import type { LogAccess } from '../../src/archiving/log-access.ts';
import { releaseLog } from '../../src/archiving/release.ts';
import { sharedRepositoryId, signAs, wallClock } from '../../src/archiving/repositories.ts';
import { ArchiveResources } from '../../src/archiving/resources.ts';
import { sealSegment } from '../../src/archiving/seal-segment.ts';
import { type LogRef, stagedFiles } from '../../src/archiving/staging.ts';
import { uploadSegment } from '../../src/archiving/upload.ts';
import { scanFile } from '../../src/binlog/scan.ts';
import { loadConfig } from '../../src/config/load.ts';
import { AppError } from '../../src/domain/errors.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { PLAIN_UPLOAD } from '../support/store-rules.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { type OpenSource, openRemoteSource, UNWATCHED } from './archive-source.ts';

const MB = 1_000_000;
const never = new AbortController().signal;

let mysql: TestMysql;
let proxy: TcpProxy;
let source: OpenSource;

before(async () => {
  mysql = await startTestMysql({ options: ['--max-allowed-packet=1G'] });
  await mysql.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  proxy = await tcpProxy({ host: '127.0.0.1', port: mysql.port });
});
after(async () => {
  await source.close();
  await proxy.stop();
  await mysql.stop();
});

/** Each test has a store and a staging folder of its own, and a server whose logs begin anew. */
beforeEach(async () => {
  if (source !== undefined) await source.close();
  await mysql.run('RESET BINARY LOGS AND GTIDS');
  source = await openRemoteSource(mysql, { host: '127.0.0.1', port: proxy.port, tls: 'off' });
});

/** Closes a log with so many transactions of so many bytes. */
async function closeLog(transactions: number, bytes: number): Promise<void> {
  for (let each = 0; each < transactions; each += 1) {
    await mysql.run(`INSERT INTO d.t (v) VALUES (REPEAT(CHAR(65 + ${each % 26}), ${bytes}))`);
  }
  await mysql.run('FLUSH BINARY LOGS');
}

function stage(logs: readonly LogRef[]): Promise<number> {
  return source.context.access.stage(logs, UNWATCHED);
}

function filesOf(log: LogRef) {
  return stagedFiles(source.context.source.stagingDir, log);
}

function onServer({ binlog }: LogRef): string {
  return join(mysql.binlogDir, binlog);
}

async function assertWhole(log: LogRef): Promise<void> {
  const staged = await readFile(filesOf(log).log);
  assert.ok(staged.equals(await readFile(onServer(log))), `${log.binlog} is staged byte for byte`);
}

function only<T>(items: readonly T[]): T {
  const [item] = items;
  assert.ok(item !== undefined);
  return item;
}

function code(wanted: string) {
  return (error: unknown) =>
    error instanceof AppError && error.code === wanted && error.kind === 'unavailable';
}

/** Stages a log of about 120 MB up to a cut after 100 MB. */
async function cutLog(): Promise<LogRef> {
  await closeLog(12, 10 * MB);
  const log = only((await source.look()).stage);
  proxy.resetAfter('to-client', 100 * MB);
  await assert.rejects(stage([log]), code('DumpCut'));
  return log;
}

async function archiveWhole({ archive }: Discovery): Promise<void> {
  const { repositories, access, source: config } = source.context;
  const { store, catalog } = only(repositories.all);
  for (const { log, successor } of archive) {
    const common = {
      stagingDir: config.stagingDir,
      log,
      repositoryId: await sharedRepositoryId(repositories),
      key: repositories.key,
      signal: never,
      onProgress: () => undefined,
    };
    const nextPreviousGtids = await access.successorGtids(successor);
    const { segment } = await sealSegment({ ...common, nextPreviousGtids, level: 1 });
    const object = await uploadSegment({ ...common, ...PLAIN_UPLOAD, store });
    await commitSegment(catalog, segment, object, signAs({ role: 'test', source: 's', epoch: 1 }, wallClock));
    await releaseLog(config.stagingDir, log);
  }
}

describe('a cut connection', () => {
  test('resumes inside the log: what came is not read again', async () => {
    const log = await cutLog();
    const kept = (await stat(filesOf(log).fetched)).size;
    assert.ok(kept > 80 * MB, `${kept} bytes kept`);
    const before = proxy.passed('to-client');
    assert.equal(await stage([log]), 1);
    const again = proxy.passed('to-client') - before;
    assert.ok(
      again < log.lengthBytes - kept + 20 * MB,
      `${again} bytes for a rest of ${log.lengthBytes - kept}`,
    );
    await assertWhole(log);
  });

  test('resumes in another process, too, whatever the end of the part looks like', async () => {
    await closeLog(10, 3 * MB);
    const log = only((await source.look()).stage);
    const part = filesOf(log).fetched;
    const whole = await readFile(onServer(log));
    const borders: number[] = [];
    await scanFile(onServer(log), { visitor: { event: ({ frame }) => void borders.push(frame.endOffset) } });
    const border = borders.findLast((offset) => offset < 20 * MB) ?? assert.fail();
    const kept = whole.subarray(0, border);
    const flipped = (at: number) => kept.map((byte, index) => (index === at ? byte ^ 0x10 : byte));
    const parts: readonly [string, Uint8Array, 'goes on' | 'begins anew'][] = [
      ['ends with an event', kept, 'goes on'],
      ['ends inside a header', whole.subarray(0, border + 7), 'goes on'],
      ['ends inside an event', whole.subarray(0, border + MB), 'goes on'],
      ['ends in zeros', Buffer.concat([kept, Buffer.alloc(5 * MB)]), 'goes on'],
      ['ends in noise', Buffer.concat([kept, randomBytes(MB)]), 'goes on'],
      ['is damaged near its end', flipped(border - 50), 'goes on'],
      ['is longer than the log', Buffer.concat([whole, Buffer.alloc(100)]), 'goes on'],
      ['is damaged in its first event', flipped(60), 'begins anew'],
      ['lies about a length', flipped(4 + 9), 'begins anew'],
      ['has no whole event', whole.subarray(0, 50), 'begins anew'],
      ['is empty', Buffer.alloc(0), 'begins anew'],
      [
        'is something else',
        Buffer.from('something else, and longer than a header of an event'),
        'begins anew',
      ],
    ];
    for (const [name, bytes, how] of parts) {
      await writeFile(part, bytes);
      const resources = new ArchiveResources(await loadConfig(source.configFile));
      const before = proxy.passed('to-client');
      assert.equal(await (await resources.source('c', 's')).access.stage([log], UNWATCHED), 1, name);
      const came = proxy.passed('to-client') - before;
      assert.equal(came > 29 * MB ? 'begins anew' : 'goes on', how, `${name}: ${came} bytes came`);
      await assertWhole(log);
      await rm(filesOf(log).log);
      await resources.close();
    }
  });

  test('resumes a log without checksums only where this process wrote the part itself', async () => {
    await mysql.run('SET GLOBAL binlog_checksum=NONE', 'RESET BINARY LOGS AND GTIDS');
    try {
      await closeLog(10, 3 * MB);
      const log = only((await source.look()).stage);
      const again = async (access: LogAccess): Promise<'goes on' | 'begins anew'> => {
        const before = proxy.passed('to-client');
        assert.equal(await access.stage([log], UNWATCHED), 1);
        await assertWhole(log);
        await rm(filesOf(log).log);
        return proxy.passed('to-client') - before > log.lengthBytes ? 'begins anew' : 'goes on';
      };
      proxy.resetAfter('to-client', 20 * MB);
      await assert.rejects(stage([log]), code('DumpCut'));
      assert.equal(await again(source.context.access), 'goes on');
      proxy.resetAfter('to-client', 20 * MB);
      await assert.rejects(stage([log]), code('DumpCut'));
      // What a power loss leaves: a hole in the middle of what was written, and no process that wrote it.
      const part = await open(filesOf(log).fetched, 'r+');
      await part.write(Buffer.alloc(MB), 0, MB, 5 * MB);
      await part.close();
      const resources = new ArchiveResources(await loadConfig(source.configFile));
      assert.equal(await again((await resources.source('c', 's')).access), 'begins anew');
      await resources.close();
    } finally {
      await mysql.run('SET GLOBAL binlog_checksum=CRC32');
    }
  });

  test('leaves nothing behind once the server has purged the log, and what is lost is named', async () => {
    await closeLog(1, 100);
    const first = await source.look();
    await stage(first.stage);
    await archiveWhole(first);
    const before = await mysql.gtidExecuted();
    const lost = await cutLog();
    const [row] = await mysql.query<{ lost: string }>(
      `SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '${before}') AS lost`,
    );
    await closeLog(1, 100);
    await mysql.run(`PURGE BINARY LOGS TO '${(await readBinaryLogs(mysql.root)).at(-2)?.name}'`);
    assert.equal(await stage([lost]), 0);
    const { problems, archive } = await source.look();
    assert.deepEqual(archive, []);
    assert.equal(only(problems).code, 'ArchiveGap');
    assert.ok(only(problems).message.includes(String(row?.lost)), `${only(problems).message} ${row?.lost}`);
    const names = await readdir(join(source.context.source.stagingDir, lost.serverUuid));
    assert.deepEqual(names, []);
  });

  test('does not join a log with another that took its name', async () => {
    const log = await cutLog();
    await mysql.run('RESET BINARY LOGS AND GTIDS');
    await closeLog(13, 10 * MB);
    assert.equal((await readBinaryLogs(mysql.root))[0]?.name, log.binlog);
    assert.equal(await stage([log]), 0);
    const next = only((await source.look()).stage);
    assert.equal(next.binlog, log.binlog);
    assert.notEqual(next.firstCommit, log.firstCommit);
    assert.equal(await stage([next]), 1);
    await assertWhole(next);
  });
});

describe('bytes that change', () => {
  async function flipOnTheWay(...after: readonly number[]): Promise<void> {
    const log = only((await source.look()).stage);
    for (const bytes of after) proxy.flipByteAfter('to-client', bytes);
    for (let attempt = 0; ; attempt += 1) {
      try {
        assert.equal(await stage([log]), 1);
        break;
      } catch (error) {
        assert.ok(attempt < 30 && error instanceof AppError && error.kind === 'unavailable', String(error));
      }
    }
    await assertWhole(log);
  }

  test('on the way are read again', async () => {
    await closeLog(12, 2 * MB);
    await flipOnTheWay(5 * MB, 17 * MB);
  });

  test('on the way are read again where lengths of packets and events are among them', async () => {
    await closeLog(1000, 10);
    await flipOnTheWay(...Array.from({ length: 40 }, (_, turn) => 30_000 + turn * 4_001));
  });

  test("in the server's own file are staged as they are, and sealing names the place", async () => {
    await closeLog(5, 2 * MB);
    const before = await source.look();
    const log = only(before.stage);
    await flip(onServer(log), 5 * MB);
    assert.equal(await stage([log]), 1);
    await assertWhole(log);
    const { offset } = only((await scanFile(onServer(log))).problems);
    await assert.rejects(archiveWhole(before), (error: unknown) => {
      assert.ok(error instanceof AppError && error.code === 'BinlogCorrupt');
      assert.equal(error.facts['offset'], offset);
      return true;
    });
  });
});

describe('staging a remote log', () => {
  test('keeps within its bound, oldest first, and archives all in some rounds', async () => {
    await source.close();
    const where = { host: '127.0.0.1', port: proxy.port, tls: 'off' };
    source = await openRemoteSource(mysql, where, { stageAhead: '5MiB' });
    for (let log = 0; log < 6; log += 1) await closeLog(1, 2 * MB);
    const archived: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const found = await source.look();
      assert.equal(found.stage.length, 2);
      assert.deepEqual(
        found.archive.map(({ log }) => log),
        found.stage,
      );
      assert.equal(found.backlog.logs, 6 - archived.length);
      assert.equal(await stage(found.stage), 2);
      await archiveWhole(found);
      archived.push(...found.archive.map(({ log }) => log.binlog));
    }
    const closed = (await readBinaryLogs(mysql.root)).slice(0, -1).map(({ name }) => name);
    assert.deepEqual(archived, closed);
    const { stage: rest, archive, problems } = await source.look();
    assert.deepEqual({ rest, archive, problems }, { rest: [], archive: [], problems: [] });
  });

  test('by two processes at once gives one whole log', async () => {
    await closeLog(6, 10 * MB);
    const log = only((await source.look()).stage);
    const resources = new ArchiveResources(await loadConfig(source.configFile));
    const other = (await resources.source('c', 's')).access;
    const counts = await Promise.all([
      stage([log]),
      other.stage([log], UNWATCHED),
      other.stage([log], UNWATCHED),
    ]);
    assert.deepEqual(counts, [1, 1, 1]);
    await assertWhole(log);
    await resources.close();
  });

  test('of a server that was killed takes what recovery left, and its successor proves the end', async () => {
    await mysql.run("INSERT INTO d.t (v) VALUES ('last words')");
    await mysql.kill();
    await mysql.start();
    const found = await source.look();
    assert.equal(await stage(found.stage), 1);
    await assertWhole(only(found.stage));
    await archiveWhole(found);
    const { segment } = only((await only(source.context.repositories.all).catalog.read()).allSegments());
    assert.equal(segment.closedBy, 'recovery');
  });

  test('that the server purged between the look and the reading ends there', async () => {
    await closeLog(1, 100);
    await closeLog(1, 100);
    const found = await source.look();
    assert.equal(found.stage.length, 2);
    await mysql.run(`PURGE BINARY LOGS TO '${found.stage[1]?.binlog}'`);
    assert.equal(await stage(found.stage), 0);
    assert.deepEqual((await source.look()).stage, [found.stage[1]]);
  });

  test('keeps a purge away from a log while it is read', async () => {
    await closeLog(10, 5 * MB);
    const log = only((await source.look()).stage);
    proxy.setWeather({ kind: 'throttle', bytesPerSecond: 40 * MB });
    const staging = stage([log]);
    while (!((await stat(filesOf(log).fetched).catch(() => null))?.size ?? 0)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await mysql.run(`PURGE BINARY LOGS TO '${(await readBinaryLogs(mysql.root)).at(-1)?.name}'`);
    assert.ok((await readBinaryLogs(mysql.root)).some(({ name }) => name === log.binlog));
    proxy.setWeather({ kind: 'clear' });
    assert.equal(await staging, 1);
    await assertWhole(log);
  });

  test('is stopped by its signal, and what came is kept', async () => {
    await closeLog(10, 5 * MB);
    const log = only((await source.look()).stage);
    const stop = new AbortController();
    const reason = new Error('the worker ends');
    const run = {
      signal: stop.signal,
      onProgress: (done: number, total: number) => {
        assert.equal(total, log.lengthBytes);
        if (done > 20 * MB) stop.abort(reason);
      },
    };
    await assert.rejects(source.context.access.stage([log], run), (error) => error === reason);
    assert.ok((await stat(filesOf(log).fetched)).size > 15 * MB);
    assert.equal(await stage([log]), 1);
    await assertWhole(log);
  });
});

test('what the server will not send is named, and later logs wait for a decision', async () => {
  const old = await startTestMysql({ options: ['--gtid-mode=OFF', '--enforce-gtid-consistency=ON'] });
  const remote = await openRemoteSource(old);
  try {
    await old.run('CREATE DATABASE d', 'FLUSH BINARY LOGS');
    for (const mode of ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'])
      await old.run(`SET GLOBAL gtid_mode=${mode}`);
    await old.run('CREATE DATABASE e', 'FLUSH BINARY LOGS');
    const { problems, archive, backlog } = await remote.look();
    assert.equal(problems[0]?.binlog, 'binlog.000001');
    assert.equal(problems[0]?.code, 'BinlogNotServed');
    assert.match(problems[0]?.message ?? '', /before gtid_mode=ON/);
    assert.deepEqual(archive, []);
    assert.ok(backlog.logs >= 2);
    const connections = async () => {
      const [row] = await old.query<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Connections'");
      return Number(row?.Value);
    };
    const before = await connections();
    assert.deepEqual((await remote.look()).problems, problems);
    assert.ok((await connections()) - before <= 2, 'a session, and the open log: the rest is remembered');
  } finally {
    await remote.close();
    await old.stop();
  }
});

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await file.write(byte, 0, 1, at);
  await file.close();
}
