import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { QueryFact } from '../../src/binlog/facts.ts';
import { readFileChunks } from '../../src/binlog/file-chunks.ts';
import { readHead } from '../../src/binlog/head.ts';
import { locate } from '../../src/binlog/locate.ts';
import { scanFile } from '../../src/binlog/scan.ts';
import { toSegmentFacts } from '../../src/binlog/segment-facts.ts';
import { formatGtid } from '../../src/domain/gtid.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseBinlogName, parseServerUuid } from '../../src/domain/identity.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { startTestReplica } from '../support/mysql-replica.ts';
import { logOf, runScript } from './scanner-support.ts';

async function currentLog(server: TestMysql): Promise<string> {
  const [status] = await server.query<{ File: string }>('SHOW BINARY LOG STATUS');
  return join(server.binlogDir, status?.File ?? '');
}

describe('logs of a real server, as files', () => {
  let server: TestMysql;
  before(async () => {
    server = await startTestMysql();
    await server.run(
      'CREATE DATABASE f',
      'CREATE TABLE f.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))',
    );
  });
  after(() => server.stop());

  it('a chain of logs: each head equals what was executed before', async () => {
    const first = await logOf(
      server,
      "insert into f.t(v) values ('a'); set gtid_next='AUTOMATIC:x'; insert into f.t(v) values ('b');",
    );
    const report = await scanFile(first);
    const next = await readHead(join(server.binlogDir, report.nextBinlog ?? ''));
    const previous = report.previousGtids ?? GtidSet.EMPTY;
    assert.equal(next.previousGtids.toString(), previous.union(report.gtids).toString());
    assert.equal(next.previousGtids.toString().replaceAll(/\s/g, ''), await server.gtidExecuted());
    assert.equal(next.inUse, true);
    assert.equal((await readHead(first)).inUse, false);
  });

  it('becomes segment facts, with the digest of the bytes', async () => {
    const path = await logOf(
      server,
      "create event f.e on schedule every 1 day do select 1; create temporary table f.x(i int); insert into f.t(v) values ('c');",
    );
    const report = await scanFile(path);
    const identity = {
      serverUuid: parseServerUuid(server.serverUuid),
      binlog: parseBinlogName(basename(path)),
      closedBy: 'rotate',
    } as const;
    const facts = toSegmentFacts(report, identity);
    const bytes = await readFile(path);
    assert.equal(facts.sha256, createHash('sha256').update(bytes).digest('hex'));
    assert.equal(facts.lengthBytes, bytes.length);
    assert.equal(facts.eventDdl, 1);
    assert.match(facts.firstCommit ?? '', /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.ok((facts.firstCommit ?? '') <= (facts.lastCommit ?? ''));
    assert.equal(JSON.parse(JSON.stringify(facts)).gtids, report.gtids.toString());
    assert.throws(() => toSegmentFacts(report, { ...identity, closedBy: 'stop' }), { kind: 'bug' });
  });

  it('a log that is being written is open and sound', async () => {
    await runScript(server, "insert into f.t(v) values ('open');");
    const report = await scanFile(await currentLog(server));
    assert.deepEqual(
      [report.closed, report.closedBy, report.inUse, report.problems],
      [false, null, true, []],
    );
  });

  it('a crash leaves a log without its end; recovery clears the flag, and what was torn is found before', async (t) => {
    const server = await startTestMysql();
    t.after(() => server.stop());
    await runScript(
      server,
      "create table mysql.crash(v varchar(50)); insert into mysql.crash values ('before the crash');",
    );
    const path = await currentLog(server);
    await server.kill();
    const killed = await readFile(path);
    const torn = join(server.dir, 'torn.000001');
    await writeFile(torn, killed.subarray(0, killed.length - 10));
    const tornReport = await scanFile(torn);
    assert.deepEqual(
      tornReport.problems.map(({ code }) => code),
      ['cut-inside-event', 'cut-inside-transaction'],
    );
    assert.equal(tornReport.inUse, true);
    // The server itself now meets a torn tail.
    await writeFile(path, killed.subarray(0, killed.length - 10));
    await server.start();
    const recovered = await scanFile(path);
    assert.deepEqual(
      [recovered.closed, recovered.closedBy, recovered.inUse, recovered.problems],
      [false, null, false, []],
    );
    const successor = await readHead(await currentLog(server));
    const whole = (recovered.previousGtids ?? GtidSet.EMPTY).union(recovered.gtids);
    assert.equal(successor.previousGtids.toString(), whole.toString());
    const identity = {
      serverUuid: parseServerUuid(server.serverUuid),
      binlog: parseBinlogName(basename(path)),
    };
    assert.equal(toSegmentFacts(recovered, { ...identity, closedBy: 'recovery' }).closedBy, 'recovery');
  });

  it("a replica's relay log is refused, its binlog holds the events of its source", async () => {
    const replica = await startTestReplica(server);
    try {
      await runScript(server, "insert into f.t(v) values ('to the replica');");
      await replica.catchUp();
      const files = await readdir(replica.dataDir);
      const relay = files.filter((name) => /^relay.*\.\d{6}$/.test(name)).sort();
      assert.ok(relay.length > 0);
      for (const name of relay) {
        const { problems, sha256 } = await scanFile(join(replica.dataDir, name));
        assert.equal(problems[0]?.code, 'relay-log', name);
        assert.match(sha256 ?? '', /^[0-9a-f]{64}$/);
      }
      const serverIds = new Set<number>();
      const report = await scanFile(await currentLog(replica), {
        visitor: { transaction: (fact) => serverIds.add(fact.serverId) },
      });
      assert.deepEqual(report.problems, []);
      assert.deepEqual([...serverIds], [server.serverId]);
      assert.notEqual(report.serverId, server.serverId);
    } finally {
      await replica.stop();
    }
  });

  it('a dropped table is located, with the transaction that a restore stops before', async () => {
    const path = await logOf(
      server,
      "insert into f.t(v) values ('last'); drop table f.t; create table f.t (id int primary key auto_increment, v varchar(9));",
    );
    const found = [];
    for await (const located of locate(readFileChunks(path), { binlog: basename(path) })) found.push(located);
    assert.deepEqual(
      found.map(({ op, tables }) => [op, tables]),
      [['drop', [{ schema: 'f', name: 't', rows: null }]]],
    );
    const [only] = found;
    const executed = GtidSet.parse(await server.gtidExecuted());
    assert.ok(only?.gtid && executed.contains(only.gtid), only?.gtid ? formatGtid(only.gtid) : 'none');
  });

  it('event DDL is handed to a visitor with its status', async () => {
    const path = await logOf(
      server,
      'use f; create event e1 on schedule every 1 day disable do select 1; alter event e1 enable; alter event e1 rename to e2; drop event e2;',
    );
    const seen: QueryFact['statement'][] = [];
    const report = await scanFile(path, { visitor: { query: ({ statement }) => seen.push(statement) } });
    const name = (text: string) => ({ schema: 'f', name: text });
    assert.deepEqual(seen, [
      { kind: 'create-event', event: name('e1'), status: 'disabled' },
      { kind: 'alter-event', event: name('e1'), status: 'enabled', renameTo: null },
      { kind: 'alter-event', event: name('e1'), status: 'unspecified', renameTo: name('e2') },
      { kind: 'drop-event', event: name('e2') },
    ]);
    assert.equal(report.eventDdl, 4);
  });

  it('prepared XA transactions are counted until they are finished', async () => {
    const xa = (id: string) =>
      `xa start '${id}'; insert into f.t(v) values ('x'); xa end '${id}'; xa prepare '${id}';`;
    const path = await logOf(server, `${xa('a')} xa commit 'a'; ${xa('b')} xa rollback 'b'; ${xa('c')}`);
    assert.equal((await scanFile(path)).xaPrepares, 1);
    const next = await logOf(server, "xa commit 'c';");
    assert.equal((await scanFile(next)).xaPrepares, 0);
  });

  it('a file that is not there is refused', async () => {
    await assert.rejects(scanFile(join(server.dir, 'binlog.999999')), {
      code: 'BinlogMissing',
      kind: 'refused',
    });
    await assert.rejects(readHead(server.dir), { code: 'BinlogMissing', kind: 'refused' });
    const empty = join(server.dir, 'empty.000001');
    await writeFile(empty, '');
    await assert.rejects(readHead(empty), { code: 'BinlogCorrupt', kind: 'corrupt' });
    assert.equal((await scanFile(empty)).problems[0]?.code, 'empty');
  });
});
