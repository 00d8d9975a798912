import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { BinlogProblem } from '../../src/binlog/problem.ts';
import { problemOf } from '../../src/binlog/problem.ts';
import { BinlogScanner } from '../../src/binlog/scanner.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { logOf, type RawEvent, rawEvents } from './scanner-support.ts';

const SQL = `drop database if exists m; create database m; use m; create table t (id int primary key auto_increment, v varchar(50));
  insert into t(v) values ('a'),('b'); begin; update t set v='c' where id=1; delete from t where id=2; commit;
  set gtid_next='AUTOMATIC:tag'; insert into t(v) values ('tagged'); set gtid_next=AUTOMATIC;
  xa start 'x'; insert into t(v) values ('xa'); xa end 'x'; xa prepare 'x'; xa commit 'x';
  set binlog_transaction_compression=ON; insert into t(v) values (repeat('z',50)); set binlog_transaction_compression=OFF;
  set binlog_format=STATEMENT; set @a='u'; insert into t(v) values (@a), (rand()); drop table t;`;

interface Outcome {
  readonly problem: BinlogProblem | null;
  readonly closed: boolean;
}

/** Scans bytes to the first problem. */
function scan(bytes: Uint8Array): Outcome {
  const scanner = new BinlogScanner({ file: 'mutant' });
  try {
    scanner.push(bytes);
  } catch (error) {
    const problem = problemOf(error);
    if (problem === null) throw error;
    return { problem, closed: false };
  }
  const report = scanner.end();
  return { problem: report.problems[0] ?? null, closed: report.closed };
}

function assertNamed(problem: BinlogProblem | null, what: string): void {
  assert.ok(problem, `${what} is found`);
  assert.equal(problem.file, 'mutant');
  assert.ok(problem.reason.length > 10 && Number.isSafeInteger(problem.offset), what);
}

describe('no wrong byte passes the scanner', () => {
  let server: TestMysql;
  let path: string;
  let log: Buffer;
  let events: RawEvent[];
  let starts: Map<number, number>;

  before(async () => {
    server = await startTestMysql();
    path = await logOf(server, SQL);
    log = await readFile(path);
    events = await rawEvents(path);
    starts = new Map();
    let at = 4;
    for (const [index, { bytes }] of events.entries()) {
      starts.set(at, index);
      at += bytes.length;
    }
  });
  after(() => server.stop());

  it('the log itself is sound, and of the size that these tests are made for', () => {
    assert.deepEqual(scan(log), { problem: null, closed: true });
    assert.ok(log.length > 2000 && log.length < 10_000, `${log.length} bytes`);
  });

  it('every single flipped bit is found, and reported at the event it is in', () => {
    const mutant = Uint8Array.from(log);
    for (let at = 0; at < log.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        mutant[at] = (log[at] as number) ^ (1 << bit);
        const { problem } = scan(mutant);
        assertNamed(problem, `bit ${bit} of byte ${at}`);
        const event = eventAt(at);
        assert.equal(problem?.offset, event, `bit ${bit} of byte ${at} is reported at its event`);
      }
      mutant[at] = log[at] as number;
    }
  });

  function eventAt(at: number): number {
    let start = 0;
    for (const border of starts.keys()) if (border <= at) start = border;
    return start;
  }

  it('every cut is found: inside an event, inside a transaction, or as a log that is not closed', () => {
    for (let length = 0; length < log.length; length++) {
      const { problem, closed } = scan(log.subarray(0, length));
      assert.equal(closed, false, `a cut to ${length} bytes is not closed`);
      if (!starts.has(length)) assertNamed(problem, `a cut to ${length} bytes`);
    }
  });

  it('a cut between transactions has no problem, one inside of a transaction has', () => {
    const borders = [...starts].map(([at, index]) => ({ at, type: events[index]?.type ?? '' }));
    for (const { at, type } of borders.slice(2)) {
      const { problem } = scan(log.subarray(0, at));
      const between = /^(GTID|GTID_TAGGED|ROTATE)$/.test(type);
      assert.equal(
        problem?.code,
        between ? undefined : 'cut-inside-transaction',
        `a cut before ${type} at ${at}`,
      );
    }
  });

  function joined(list: readonly RawEvent[]): Uint8Array {
    return Buffer.concat([log.subarray(0, 4), ...list.map(({ bytes }) => bytes)]);
  }

  it('every two neighbours that changed places are found', () => {
    for (let i = 0; i + 1 < events.length; i++) {
      const swapped = [...events];
      [swapped[i], swapped[i + 1]] = [events[i + 1] as RawEvent, events[i] as RawEvent];
      assertNamed(
        scan(joined(swapped)).problem,
        `${events[i]?.type} and ${events[i + 1]?.type} swapped at ${i}`,
      );
    }
  });

  it('every doubled and every missing event is found', () => {
    for (let i = 0; i < events.length; i++) {
      const doubled = [...events.slice(0, i + 1), ...events.slice(i)];
      assertNamed(scan(joined(doubled)).problem, `${events[i]?.type} doubled at ${i}`);
      if (i + 1 === events.length) continue;
      const without = [...events.slice(0, i), ...events.slice(i + 1)];
      assertNamed(scan(joined(without)).problem, `${events[i]?.type} missing at ${i}`);
    }
  });

  it('bytes after the end are found', () => {
    for (const more of [1, 19, 200]) {
      assertNamed(scan(Buffer.concat([log, Buffer.alloc(more)])).problem, `${more} zeros at the end`);
      assertNamed(scan(Buffer.concat([log, log.subarray(0, more)])).problem, `${more} more bytes`);
    }
  });
});
