/** Promise: a restore gives exactly the state at its target, compared with MySQL's own servers. */
import assert from 'node:assert/strict';
import { access, readdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { AppError } from '../../src/domain/errors.ts';
import { formatInstant, parseInstant } from '../../src/domain/time.ts';
import { openArchive } from '../../src/restoring/archive.ts';
import { makeRestorePlan } from '../../src/restoring/make-plan.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import type { TestMysql } from '../support/mysql.ts';
import { startTestReplica, type TestReplica } from '../support/mysql-replica.ts';
import {
  createShop,
  placeOrders,
  placeTaggedOrders,
  runDdlMix,
  runXa,
  tableChecksums,
} from '../support/workload.ts';
import { type RestoreRig, startRestored, startRestoreRig } from './restore-rig.ts';

/** What two servers at the same point must agree in. */
interface State {
  readonly checksums: Record<string, string>;
  readonly objects: readonly unknown[];
}

let rig: RestoreRig;
/** GTID numbers of the source, in the order of commit: the workload has one writer at a time. */
const at: Record<'firstBase' | 'orders' | 'dml' | 'skipped' | 'late', number> = {
  firstBase: 0,
  orders: 0,
  dml: 0,
  skipped: 0,
  late: 0,
};
const truth = new Map<number, State>();
let finalEvents: readonly unknown[] = [];
let finalGtids = '';

before(async () => {
  rig = await startRestoreRig({ mysql: ['--event-scheduler=OFF'] });
  const { source } = rig;
  await createShop(source);
  await source.run(
    'CREATE TABLE shop.marks (id INT PRIMARY KEY, note VARCHAR(40))',
    'CREATE TABLE shop.guesses (id INT PRIMARY KEY AUTO_INCREMENT, value DOUBLE, name VARCHAR(40))',
    'CREATE EVENT shop.from_base ON SCHEDULE EVERY 1 DAY DO SET @a = 1',
    'CREATE EVENT shop.off_in_base ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 1',
  );
  await placeOrders(source, 20);
  await rig.archive();
  await rig.backup();
  at.firstBase = await executed();
  await placeOrders(source, 60, 2);
  at.orders = await executed();
  await runDdlMix(source);
  await rig.archive();
  await statementAndCompressed(source);
  at.dml = await executed();
  await source.run("INSERT INTO shop.marks VALUES (1, 'by mistake')");
  at.skipped = await executed();
  await runXa(source, 'gone', 'rollback');
  await runXa(source, 'kept', 'commit');
  await placeTaggedOrders(source, 'batch', 5);
  await placeOrders(source, 40, 3);
  await rig.archive();
  at.late = await executed();
  await eventChanges(source);
  await runXa(source, 'open', 'left-prepared');
  await placeOrders(source, 10, 4);
  await rig.archive();
  finalEvents = await events(source);
  finalGtids = await source.gtidExecuted();
  await learnTruth();
});
after(() => rig.stop());

/** The highest number without a tag. */
async function executed(): Promise<number> {
  const set = await rig.source.gtidExecuted();
  return Number(/:1-(\d+)/.exec(set)?.[1] ?? 0);
}

const gtid = (number: number): string => `${rig.source.serverUuid}:${number}`;

async function statementAndCompressed(source: TestMysql): Promise<void> {
  const session = await source.connect();
  await session.run("SET SESSION binlog_format = 'STATEMENT'");
  await session.run("SET @name = 'Łódź ß', @n = 3");
  await session.run('INSERT INTO shop.guesses (value, name) VALUES (RAND(), @name), (RAND(), @n)');
  await session.run('INSERT INTO shop.guesses (value) SELECT LAST_INSERT_ID() + RAND()');
  await session.run("SET SESSION binlog_format = 'ROW', binlog_transaction_compression = ON");
  await session.run(`INSERT INTO shop.guesses (name) SELECT REPEAT('z', 30) FROM shop.products`);
  await session.run('UPDATE shop.guesses SET value = id');
  await session.close();
}

async function eventChanges(source: TestMysql): Promise<void> {
  const session = await source.connect();
  await session.run("CREATE USER 'someone'@'%'");
  await session.run(
    "SET sql_mode = 'ANSI_QUOTES', character_set_client = 'latin1', collation_connection = 'latin1_german1_ci'",
  );
  await session.run(
    "CREATE DEFINER = 'someone'@'%' EVENT shop.strange ON SCHEDULE EVERY 2 HOUR ON COMPLETION PRESERVE COMMENT 'c' DO SET @a = 1",
  );
  await session.run('ALTER EVENT shop.mix_on DISABLE');
  await session.run('ALTER EVENT shop.mix_off RENAME TO shop.renamed');
  await session.run('ALTER EVENT shop.renamed ENABLE');
  await session.run('ALTER EVENT shop.off_in_base COMMENT "still off"'.replaceAll('"', "'"));
  await session.run('CREATE EVENT IF NOT EXISTS shop.off_in_base ON SCHEDULE EVERY 1 DAY DO SET @a = 2');
  await session.run('CREATE DATABASE gone');
  await session.run('CREATE EVENT gone.again ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 1');
  await session.run('DROP DATABASE gone');
  await session.run('CREATE DATABASE gone');
  await session.run('CREATE EVENT gone.again ON SCHEDULE EVERY 1 DAY DO SET @a = 1');
  await session.close();
}

/** One replica that MySQL itself stops before each of the places. */
async function learnTruth(): Promise<void> {
  const places = [at.firstBase + 1, at.orders, at.dml + 1, at.skipped + 1, at.late + 1];
  const replica = await startTestReplica(rig.source, { until: { before: gtid(places[0] ?? 0) } });
  try {
    for (const [index, place] of places.entries()) {
      if (index > 0) await replica.run(`START REPLICA UNTIL SQL_BEFORE_GTIDS = '${gtid(place)}'`);
      await settled(replica);
      truth.set(place, await stateOf(replica));
    }
  } finally {
    await replica.stop();
  }
}

async function settled(replica: TestReplica): Promise<void> {
  await replica.waitForStop();
}

async function stateOf(server: TestMysql): Promise<State> {
  const objects = await server.query(
    `SELECT ROUTINE_NAME AS name, ROUTINE_DEFINITION AS text FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop'
     UNION ALL SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'shop'
     UNION ALL SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'
     UNION ALL SELECT CONCAT(User, '@', Host), '' FROM mysql.user WHERE User NOT LIKE 'mysql.%' AND User NOT LIKE 'replica%' ORDER BY 1, 2`,
  );
  return { checksums: await tableChecksums(server), objects };
}

/** All columns but LAST_EXECUTED, which is not logged, and ORIGINATOR, which is a server's id. */
function events(server: TestMysql): Promise<unknown[]> {
  return server.query(
    `SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, TIME_ZONE, EVENT_DEFINITION, INTERVAL_VALUE, SQL_MODE, STARTS, STATUS, ON_COMPLETION,
       CREATED, LAST_ALTERED, EVENT_COMMENT, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION
     FROM information_schema.EVENTS ORDER BY 1, 2`,
  );
}

async function withRestored(
  outcome: RestoreOutcome,
  look: (server: TestMysql) => Promise<void>,
): Promise<void> {
  assert.deepEqual(outcome.server, { kind: 'stopped' });
  const server = await startRestored(outcome.dataDir);
  try {
    assert.equal(await server.gtidExecuted(), outcome.gtidExecuted);
    assert.deepEqual(await server.query('SHOW REPLICA STATUS'), []);
    await look(server);
  } finally {
    await server.stop();
  }
}

async function assertNothingLeft(targetDir: string): Promise<void> {
  for (const path of [targetDir, `${targetDir}.pitrail`]) {
    await assert.rejects(access(path), { code: 'ENOENT' }, `${path} is left`);
  }
}

async function assertRefused(
  target: string,
  expected: { code: string; message: RegExp },
  skipGtids = '',
): Promise<void> {
  const targetDir = rig.newTarget();
  await assert.rejects(rig.restore(target, { targetDir, skipGtids }), (error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.kind, 'refused');
    assert.equal(error.code, expected.code);
    assert.match(error.message, expected.message);
    return true;
  });
  await assertNothingLeft(targetDir);
}

async function planOf(target: string) {
  const archive = await openArchive(rig.cluster, null);
  try {
    return await makeRestorePlan(archive, { target, skipGtids: '', timeline: null });
  } finally {
    await archive.close();
  }
}

test('latest is the source itself: rows, objects, accounts, events, prepared transactions', async () => {
  const outcome = await rig.restore('latest');
  assert.equal(outcome.gtidExecuted, finalGtids);
  assert.equal(outcome.firstExcluded, null);
  assert.deepEqual(
    outcome.preparedXa.map(({ dataHex }) => Buffer.from(dataHex, 'hex').toString()),
    ['open'],
  );
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await events(server), finalEvents);
    assert.deepEqual(await stateOf(server), await stateOf(rig.source));
    assert.equal((await server.query('XA RECOVER')).length, 1);
  });
  await assertNothingLeft(`${outcome.dataDir}.pitrail`);
});

test('before: a transaction is what a replica stopped before it holds', async () => {
  const outcome = await rig.restore(`before:${gtid(at.orders)}`);
  assert.equal(outcome.lastApplied?.gtid, gtid(at.orders - 1));
  assert.equal(outcome.firstExcluded?.gtid, gtid(at.orders));
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await stateOf(server), truth.get(at.orders));
    const statuses = await server.query<{ STATUS: string }>(
      'SELECT STATUS FROM information_schema.EVENTS ORDER BY EVENT_NAME',
    );
    assert.deepEqual(
      statuses.map(({ STATUS }) => STATUS),
      ['ENABLED', 'DISABLED'],
      'untouched events stay as in the base',
    );
  });
});

test('after: a transaction holds it, over DDL, statements and compression', async () => {
  const outcome = await rig.restore(`after:${gtid(at.dml)}`);
  assert.equal(outcome.lastApplied?.gtid, gtid(at.dml));
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await stateOf(server), truth.get(at.dml + 1));
  });
});

test('a time is exact to the microsecond: the transaction of that very time is in, one before it is not', async () => {
  const { lastIncluded } = await planOf(`after:${gtid(at.skipped)}`);
  const time = lastIncluded?.committedAt ?? '';
  const earlier = formatInstant((parseInstant(time) - 1n) as ReturnType<typeof parseInstant>);
  assert.equal((await planOf(earlier)).lastIncluded?.gtid, gtid(at.dml));
  const outcome = await rig.restore(time);
  assert.equal(outcome.lastApplied?.gtid, gtid(at.skipped));
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await stateOf(server), truth.get(at.skipped + 1));
  });
});

test('file: a position at the end of a transaction; tagged transactions among those before it', async () => {
  const { lastIncluded, firstExcluded } = await planOf(`after:${gtid(at.late)}`);
  assert.ok(lastIncluded !== null && firstExcluded !== null);
  const end = (await planOf(`after:${gtid(at.late)}`)).segments.at(-1)?.lengthBytes ?? 0;
  const outcome = await rig.restore(`file:${lastIncluded.binlog}:${end}`);
  assert.match(outcome.gtidExecuted, /:batch:1-5/);
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await stateOf(server), truth.get(at.late + 1));
  });
});

test('the state of the base itself needs no replay', async () => {
  const outcome = await rig.restore(`before:${gtid(at.firstBase + 1)}`);
  assert.equal(outcome.transactions, 0);
  await withRestored(outcome, async (server) => {
    assert.deepEqual(await stateOf(server), truth.get(at.firstBase + 1));
  });
});

test('--skip-gtid leaves out that transaction and no other', async () => {
  const outcome = await rig.restore(`after:${gtid(at.late)}`, { skipGtids: gtid(at.skipped) });
  assert.ok(!outcome.gtidExecuted.includes(`1-${at.late}`));
  assert.equal(outcome.skippedGtids, gtid(at.skipped));
  await withRestored(outcome, async (server) => {
    const { checksums } = await stateOf(server);
    const { 'shop.marks': _here, ...others } = checksums;
    const { 'shop.marks': _there, ...wanted } = truth.get(at.late + 1)?.checksums ?? {};
    assert.deepEqual(others, wanted);
    assert.deepEqual(await server.query('SELECT * FROM shop.marks'), []);
  });
});

test('leaving out what a later transaction needs ends by its name, and leaves nothing', async () => {
  const created = gtid(at.orders + 1);
  await assertRefused(
    `after:${gtid(at.dml)}`,
    { code: 'ApplierFailed', message: new RegExp(`${gtid(at.orders + 2)} could not be applied`) },
    created,
  );
});

test('a tagged transaction is a target', async () => {
  const tagged = `${rig.source.serverUuid}:batch:3`;
  const outcome = await rig.restore(`after:${tagged}`);
  assert.equal(outcome.lastApplied?.gtid, tagged);
  assert.match(outcome.gtidExecuted, /:batch:1-3$/);
});

test('inside a transaction is refused with the nearest target', async () => {
  const { lastIncluded } = await planOf(`after:${gtid(at.orders)}`);
  assert.ok(lastIncluded !== null);
  const target = `file:${lastIncluded.binlog}:${lastIncluded.position + 30}`;
  await assertRefused(target, {
    code: 'PlanRefused',
    message: new RegExp(`nearest target is before:${gtid(at.orders)}`),
  });
});

test('before and after all that exists is refused', async () => {
  await assertRefused('2020-01-01T00:00:00Z', { code: 'PlanRefused', message: /oldest/ });
  await assertRefused('2099-01-01T00:00:00Z', {
    code: 'PlanRefused',
    message: /behind the end of the archive/,
  });
  await assertRefused(`after:${gtid(99_999)}`, { code: 'PlanRefused', message: /No archived binlog/ });
  await assertRefused('file:binlog.999999:4', { code: 'PlanRefused', message: /not archived/ });
  await assertRefused('latest', { code: 'PlanRefused', message: /cannot be left out/ }, gtid(1));
});

test('a folder that is not empty is refused, and left as it is', async () => {
  const targetDir = rig.folder.path;
  const before = await readdir(targetDir);
  await assert.rejects(rig.restore('latest', { targetDir }), { code: 'TargetNotEmpty', kind: 'refused' });
  assert.deepEqual(await readdir(targetDir), before);
  await assertNothingLeft(`${targetDir}.pitrail`);
});
