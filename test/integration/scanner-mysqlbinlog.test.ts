import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventName, isRowsEvent } from '../../src/binlog/event-types.ts';
import type { ScanReport, ScanVisitor } from '../../src/binlog/facts.ts';
import { readFileChunks } from '../../src/binlog/file-chunks.ts';
import { locate } from '../../src/binlog/locate.ts';
import { RowCounter } from '../../src/binlog/rows.ts';
import { scanFile } from '../../src/binlog/scan.ts';
import { decodeTableMap, type TableMap } from '../../src/binlog/table-map.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { type ListedEvent, listed, logOf, type Printed, printed } from './scanner-support.ts';

const TYPES = `create table s.types (
  id bigint unsigned primary key auto_increment, a tinyint, b smallint unsigned, c mediumint, d int, e bool,
  f float, g double, h decimal(65,30), i decimal(9,0), j decimal(10,9), bit1 bit(1), bit9 bit(9), bit64 bit(64),
  y year, dt date, t0 time, t3 time(3), t6 time(6), d0 datetime, d5 datetime(5), ts0 timestamp null, ts6 timestamp(6) null,
  c1 char(3), c255 char(255) character set utf8mb4, bin binary(20), v1 varchar(10), v2 varchar(3000), vb varbinary(300),
  en enum('a','b'), st set('x','y','z'), tb tinyblob, bl blob, mb mediumblob, lb longblob, tt tinytext, tx longtext,
  js json, ge geometry, po point, ve vector(3), gen int generated always as (d + 1) virtual, gs int generated always as (d + 2) stored,
  tags json, key multi ((cast(tags->'$' as unsigned array))), key fn ((lower(v1))))`;
const TYPE_ROW = `insert into s.types (a,b,c,d,e,f,g,h,i,j,bit1,bit9,bit64,y,dt,t0,t3,t6,d0,d5,ts0,ts6,c1,c255,bin,v1,v2,vb,en,st,tb,bl,mb,lb,tt,tx,js,ge,po,ve,tags) values
  (-1,2,-3,4,true,1.5,2.5,123456789.123456789,987654321,1.123456789,1,300,18446744073709551615,2026,'2026-11-20','10:11:12','10:11:12.123','-1:02:03.123456',
   '2026-11-20 01:02:03','2026-11-20 01:02:03.12345','2026-11-20 01:02:03','2026-11-20 01:02:03.123456','abc',repeat('é',200),'bin','v',repeat('w',2500),repeat(x'00',300),
   'b','x,z','tiny',repeat('b',300),repeat('m',70000),repeat('l',100),'tt',repeat('t',66000),'{"k":[1,2,{"z":null}]}',st_geomfromtext('linestring(0 0,1 1,2 2)'),point(1,2),
   to_vector('[1,2,3]'),'[1,2,3]')`;

/** What ran, and which events it must have left; each is a log of its own. */
const SCENARIOS: readonly {
  readonly name: string;
  readonly sql: string | Uint8Array;
  readonly has: readonly string[];
  readonly charset?: string;
}[] = [
  {
    name: 'DDL of every kind',
    sql: `drop database if exists s; create database s; create table s.a (id int primary key auto_increment, v varchar(100)) engine=InnoDB;
      create table s.b select * from s.a; alter table s.a add w int; alter table s.a drop column w; create view s.v as select 1; drop view s.v;
      create event s.e on schedule every 1 day do select 1; alter event s.e disable; alter event s.e rename to s.e2; drop event s.e2;
      create user u1@localhost identified by 'x'; grant select on s.* to u1@localhost; drop user u1@localhost;
      truncate table s.a; rename table s.b to s.c; drop table s.c; analyze table s.a; create procedure s.p() select 1; drop procedure s.p;
      create table s.m (id int auto_increment primary key, v varchar(100)) engine=MyISAM; insert into s.m(v) values ('my'),('isam'); ${TYPES}`,
    has: ['QUERY'],
  },
  {
    name: 'rows of every type, null and not, with all images and partial ones',
    sql: `use s; ${TYPE_ROW}; insert into s.types(d) values (null); ${TYPE_ROW}; update s.types set v2='x', js=json_set(js,'$.k',7) where id=1;
      set binlog_row_image=minimal; update s.types set d=9 where id=2; delete from s.types where id=2; set binlog_row_image=noblob; update s.types set a=3;
      set binlog_row_image=full, binlog_row_value_options=PARTIAL_JSON; update s.types set js=json_set(js,'$.k[0]',7), tags='[4]'; update s.types set js=json_replace(js,'$.k',1);
      set binlog_row_value_options=''; delete from s.types; insert into s.a(v) select 'many' from information_schema.columns limit 2000; update s.a set v=concat(v,id); delete from s.a where id > 500;
      update s.a x join s.a y on x.id=y.id+1 set x.v='j', y.v='k'; delete x, y from s.a x join s.a y on x.id=y.id+1;
      set binlog_rows_query_log_events=1; insert into s.a(v) values ('with text'); delete from s.a;`,
    has: [
      'TABLE_MAP',
      'WRITE_ROWS',
      'UPDATE_ROWS',
      'DELETE_ROWS',
      'PARTIAL_UPDATE_ROWS',
      'ROWS_QUERY',
      'XID',
    ],
  },
  {
    name: 'STATEMENT with its context, MIXED, savepoints, temporary tables',
    sql: `use s; set binlog_format=STATEMENT; set @a='val', @\`odd name\`=5, @Big=1; insert into a(v) values (@a); insert into a(v) values (rand()), (@\`odd name\`), (@big);
      insert into a(v) values (if(1,2,@never)); insert into a(v) select @assigned := 5; update a set v=@a where id=@cc; delete from a where v=@a or v='it''s @not \\' @one';
      insert into a(v) values (last_insert_id()); insert into m(v) values (@a); replace into a(id,v) values (1,@@version);
      begin; insert into a(v) values (1); savepoint s1; insert into a(v) values (2); rollback to s1; insert into a(v) values (3); commit;
      create temporary table tt(a int); insert into tt values (1); drop temporary table tt; set @v := 1; insert into a(v) values (concat(@v, @v := @v + 1)); insert into a(v) values ('a' /* @x */) -- @y
      ; prepare p from 'insert into s.a(v) values (concat(?, @a))'; set @q='q'; execute p using @q; set binlog_format=MIXED; insert into a(v) values (uuid()); insert into a(v) values ('mixed'); update a set v=@a limit 1;`,
    has: ['INTVAR', 'RAND', 'USER_VAR', 'QUERY', 'WRITE_ROWS'],
  },
  {
    name: 'XA: two phases, one phase, rolled back',
    sql: `use s; xa start 'g1','bq',7; insert into a(v) values ('xa'); xa end 'g1','bq',7; xa prepare 'g1','bq',7; xa commit 'g1','bq',7;
      xa start 'o1'; insert into a(v) values ('xo'); xa end 'o1'; xa commit 'o1' one phase; xa start 'r1'; insert into a(v) values ('xr'); xa end 'r1'; xa prepare 'r1'; xa rollback 'r1';
      set binlog_format=STATEMENT; set @x=1; xa start 's1'; insert into a(v) values (@x); xa end 's1'; xa prepare 's1'; xa commit 's1'; set binlog_format=ROW;
      xa start x'00ff','',3; insert into a(v) values ('open'); xa end x'00ff','',3; xa prepare x'00ff','',3;`,
    has: ['XA_PREPARE'],
  },
  {
    name: 'compressed transactions, XA among them',
    sql: `use s; set binlog_transaction_compression=ON; xa commit x'00ff','',3; insert into a(v) values ('z'); update a set v=concat(v,'!'); delete from a where id % 2; begin; ${TYPE_ROW}; ${TYPE_ROW}; delete from types; commit;
      xa start 'c1'; insert into a(v) values ('xc'); xa end 'c1'; xa prepare 'c1'; xa commit 'c1'; create table s.zc select * from s.a; drop table s.zc;
      insert into s.types(lb) values (repeat('A',3000000)); delete from s.types; set binlog_format=STATEMENT; insert into a(v) values ('plain');`,
    has: ['TRANSACTION_PAYLOAD'],
  },
  {
    name: 'tagged GTIDs, holes and late numbers',
    sql: `use s; set gtid_next='AUTOMATIC:tagged_one'; insert into a(v) values ('t'); create table s.tagged(i int); set gtid_next='automatic:b'; insert into a(v) values ('t');
      set gtid_next='11111111-2222-3333-4444-555555555555:7'; insert into a(v) values ('hole'); set gtid_next='11111111-2222-3333-4444-555555555555:3'; insert into a(v) values ('late');
      set gtid_next='11111111-2222-3333-4444-555555555555:tag:9223372036854775805'; insert into a(v) values ('huge'); set gtid_next='ffeeddcc-2222-3333-4444-555555555555:2'; begin; commit; set gtid_next='AUTOMATIC'; insert into a(v) values ('n');`,
    has: ['GTID_TAGGED', 'GTID'],
  },
  {
    name: 'text that is no UTF-8',
    sql: Buffer.concat([
      Buffer.from(
        "use s; set names latin1; set binlog_format=STATEMENT; insert into a(v) values ('caf\xe9 \xfe'); set @x='\xe9'; insert into a(v) values (@x); create table s.`t\xe9`(i int); drop table s.`t\xe9`; set names binary; create table s.b8(v varbinary(200)); insert into b8(v) values ('",
        'latin1',
      ),
      Buffer.from([0x01, 0xff, 0xfe, 0x62, 0x69, 0x6e]),
      Buffer.from("');"),
    ]),
    has: ['QUERY', 'USER_VAR'],
  },
  {
    name: 'text whose characters end in a backslash (gbk)',
    charset: 'gbk',
    sql: Buffer.concat([
      Buffer.from("use s; set binlog_format=STATEMENT; insert into b8(v) values ('"),
      Buffer.from([0xb3, 0x5c]),
      Buffer.from("'), ('drop table s.a'); update b8 set v='"),
      Buffer.from([0xb3, 0x5c]),
      Buffer.from("' where v='x';"),
    ]),
    has: ['QUERY'],
  },
  {
    name: 'very large events: a row of 40 MB, one of 20 MB compressed, a statement of 5 MB',
    sql: `use s; set global max_allowed_packet=1073741824; insert into types(lb) values (repeat('x',40*1000*1000)); update types set d=1; delete from types;
      set binlog_transaction_compression=ON; insert into types(lb) values (random_bytes(1000)); insert into types(lb) values (concat(repeat(random_bytes(1000),2000),repeat('y',20*1000*1000))); delete from types;
      set binlog_transaction_compression=OFF, binlog_format=STATEMENT; insert into a(v) values (left('${'q'.repeat(5_000_000)}', 9));`,
    has: ['WRITE_ROWS', 'TRANSACTION_PAYLOAD'],
  },
];

describe('the scanner says what mysqlbinlog says', () => {
  let server: TestMysql;
  before(async () => {
    server = await startTestMysql({
      options: ['--local-infile=ON', '--max-allowed-packet=1G', '--innodb-redo-log-capacity=512M'],
    });
    const root = await server.connect();
    await root.close();
  });
  after(() => server.stop());

  for (const { name, sql, has, charset } of SCENARIOS) {
    it(name, async () => {
      const path = await logOf(server, sql, charset);
      await compare(server, path, has);
    });
  }

  it('LOAD DATA under STATEMENT, in several blocks', async () => {
    const data = join(server.dir, 'load.txt');
    await writeFile(data, Array.from({ length: 60_000 }, (_, i) => `line ${i}`).join('\n'));
    const load = `load data local infile '${data}' into table s.a`;
    const empty = join(server.dir, 'empty.txt');
    await writeFile(empty, '');
    const path = await logOf(
      server,
      `set binlog_format=STATEMENT; load data local infile '${empty}' into table s.a(v); ${load}(v); ${load}(@x) set v=concat(@x,'y'); set binlog_format=ROW; ${load}(v);`,
    );
    await compare(server, path, ['BEGIN_LOAD_QUERY', 'APPEND_BLOCK', 'EXECUTE_LOAD_QUERY', 'WRITE_ROWS']);
  });

  it('logs without checksums', async () => {
    await server.run('SET GLOBAL binlog_checksum=NONE');
    const path = await logOf(
      server,
      "use s; insert into a(v) values ('no checksum'); delete from a where id=1;",
    );
    const report = await compare(server, path, ['WRITE_ROWS']);
    await server.run('SET GLOBAL binlog_checksum=CRC32');
    assert.equal(report.checksum, 'none');
  });

  it('anonymous transactions, with GTIDs among them', async () => {
    for (const mode of ['ON_PERMISSIVE', 'OFF_PERMISSIVE']) await server.run(`SET GLOBAL gtid_mode=${mode}`);
    const path = await logOf(
      server,
      "use s; insert into a(v) values ('anonymous'); create table s.anon(i int); set gtid_next='11111111-2222-3333-4444-666666666666:1'; insert into a(v) values ('named'); ",
    );
    const report = await compare(server, path, ['ANONYMOUS_GTID', 'GTID']);
    assert.equal(report.anonymousTransactions, 2);
    assert.equal(report.gtids.toString(), '11111111-2222-3333-4444-666666666666:1');
    await server.run('SET GLOBAL gtid_mode=OFF');
    const off = await compare(server, await logOf(server, "insert into s.a(v) values ('off');"), [
      'ANONYMOUS_GTID',
    ]);
    assert.equal(off.anonymousTransactions, off.transactions);
    for (const mode of ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'])
      await server.run(`SET GLOBAL gtid_mode=${mode}`);
  });

  it('a shut-down server closes its log with STOP', async () => {
    const [status] = await server.query<{ File: string }>('SHOW BINARY LOG STATUS');
    await server.shutdown();
    await server.start();
    const report = await compare(server, join(server.binlogDir, status?.File ?? ''), ['STOP']);
    assert.equal(report.closedBy, 'stop');
  });
});

/** Checks everything that both say of a log. */
async function compare(server: TestMysql, path: string, has: readonly string[]): Promise<ScanReport> {
  const expected = await printed(path);
  const events: ListedEvent[] = [];
  const commitTimes: bigint[] = [];
  const counted = rowVisitor();
  const report = await scanFile(path, {
    visitor: {
      ...counted.visitor,
      event: (fact) => {
        const { offset, endOffset, serverId, type } = fact.frame;
        events.push({ offset, endOffset, serverId, type: eventName(type) });
        counted.visitor.event?.(fact);
      },
      transaction: (fact) => commitTimes.push(fact.committedAtMicros ?? 0n),
    },
  });
  assert.deepEqual(report.problems, []);
  assert.equal(report.closed, true);
  assert.deepEqual(events, await listed(server, path));
  assert.equal(report.events, events.length);
  const ends = new Set(events.map(({ endOffset }) => endOffset));
  assert.deepEqual(
    [...expected.ends].filter((end) => !ends.has(end)),
    [],
  );
  // mysqlbinlog leaves out what only makes sense with its statement.
  const context = /^(INTVAR|RAND|USER_VAR|BEGIN_LOAD_QUERY|APPEND_BLOCK|EXECUTE_LOAD_QUERY|ROWS_QUERY)$/;
  assert.deepEqual(
    events.filter(({ type, endOffset }) => !context.test(type) && !expected.ends.has(endOffset)),
    [],
  );
  for (const type of has)
    assert.ok(
      events.some((event) => event.type === type),
      `${type} is in the log`,
    );
  assert.equal(report.gtids.toString(), GtidSet.parse(expected.gtids.join(',')).toString());
  assert.equal(report.transactions, expected.gtids.length + report.anonymousTransactions);
  assert.deepEqual(commitTimes, expected.commitTimes);
  await compareRows(path, report, expected, counted.rows);
  return report;
}

async function compareRows(
  path: string,
  report: ScanReport,
  expected: Printed,
  inserted: { insert: number },
): Promise<void> {
  const destroyed = { delete: 0, update: 0 };
  for await (const { op, rows, tables } of locate(readFileChunks(path), { binlog: 'log' })) {
    if (op === 'delete' || op === 'update') {
      destroyed[op] += rows ?? 0;
      assert.ok(tables.length > 0);
    }
  }
  assert.deepEqual(destroyed, { delete: expected.rows.delete, update: expected.rows.update });
  if (report.payloads === 0) assert.equal(inserted.insert, expected.rows.insert);
}

/** Counts inserted rows outside of payloads; `locate` counts the others. */
function rowVisitor(): { visitor: ScanVisitor; rows: { insert: number } } {
  const rows = { insert: 0 };
  const tables = new Map<number, TableMap>();
  let counter: RowCounter | null = null;
  const visitor: ScanVisitor = {
    piece: ({ frame }, bytes, start, end) => {
      if (!isRowsEvent(frame.type)) return;
      counter ??= new RowCounter({ place: frame, bodyBytes: frame.bodyBytes, tables });
      counter.push(bytes, start, end);
    },
    event: ({ frame }) => {
      if (eventName(frame.type) === 'TABLE_MAP') {
        const map = decodeTableMap(frame);
        tables.set(map.tableId, map);
      }
      if (!isRowsEvent(frame.type)) return;
      const own = counter ?? new RowCounter({ place: frame, bodyBytes: frame.bodyBytes, tables });
      if (frame.extent === 'whole') own.push(frame.bytes, frame.bodyStart, frame.bodyEnd);
      counter = null;
      const count = own.finish();
      if (eventName(frame.type) === 'WRITE_ROWS') rows.insert += count.rows;
    },
  };
  return { visitor, rows };
}
