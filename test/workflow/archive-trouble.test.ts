import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { createShop, startWorkload } from '../support/workload.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;

before(async () => {
  world = await startArchiveWorld();
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(() => world.stop());

/** Writes logs while archiving is paused, so that it finds them all at once. */
async function whilePaused(write: () => Promise<void>): Promise<void> {
  assert.equal((await world.pitrail('archive', '--pause')).code, 0);
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  await write();
  assert.equal((await world.pitrail('archive', '--resume')).code, 0);
}

async function insertAndRotate(value = 'v'): Promise<void> {
  await world.mysql.run(`INSERT INTO d.t (v) VALUES ('${value}')`, 'FLUSH BINARY LOGS');
}

async function flip(binlog: string, offset: number): Promise<void> {
  const file = await open(join(world.mysql.binlogDir, binlog), 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0x10;
    await file.write(byte, 0, 1, offset);
  } finally {
    await file.close();
  }
}

async function lastClosed(): Promise<string> {
  const name = (await world.closed()).at(-1);
  assert.ok(name);
  return name;
}

test('pause stops archiving, and asking for it then is refused; resume goes on', async () => {
  await whilePaused(async () => {
    await insertAndRotate();
    const refused = await world.pitrail('archive', '--once', '--json');
    assert.equal(refused.code, 3, refused.stdout);
    assert.equal(JSON.parse(refused.stdout).error.code, 'ArchivePaused');
    assert.ok(!(await world.archived()).includes(await lastClosed()));
  });
  await until('the log is archived', async () => (await world.archived()).includes(await lastClosed()));
});

test('rotateNow archives what the open log holds', async () => {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('open')");
  const before = await world.closed();
  assert.equal((await world.pitrail('archive', '--rotate')).code, 0);
  await until('the open log is archived', async () => (await world.archived()).length > before.length);
});

test('dry-run says under which key each log would go, and archives nothing', async () => {
  let predicted = '';
  await whilePaused(async () => {
    await insertAndRotate();
    const { code, stdout, stderr } = await world.pitrail('archive', '--dry-run', '--json');
    assert.equal(code, 0, stderr);
    const [source] = JSON.parse(stdout).sources;
    assert.deepEqual(source.missingPermissions, []);
    assert.equal(source.archive.length, 1);
    assert.equal(source.archive[0].binlog, await lastClosed());
    assert.ok(!(await world.archived()).includes(await lastClosed()));
    predicted = source.archive[0].key;
    const people = await world.pitrail('archive', '--dry-run');
    assert.equal(people.code, 0, people.stderr);
    const [head, columns, row] = people.stdout.split('\n');
    assert.match(head ?? '', /^shop\/shop-1: 1 closed binlog to archive now/);
    assert.match(columns ?? '', /^ +binlog +size +GTIDs +to +key$/);
    const unchecked = `whether ${world.storeDir} may be written, for this writes nothing: see pitrail check`;
    assert.deepEqual(source.unchecked, [unchecked]);
    assert.ok(people.stdout.includes(`\n  not checked: ${unchecked}`), people.stdout);
    assert.ok(row?.includes(`${source.archive[0].binlog} `) && row.endsWith(` main  ${predicted}`), row);
  });
  await until('it is archived', async () => (await world.archived()).includes(await lastClosed()));
  assert.equal((await world.catalog()).allSegments().at(-1)?.object.key, predicted);
});

test('a corrupt log is named with its offset, blocks what is behind it, and is archived once mended', async () => {
  let corrupt = '';
  await whilePaused(async () => {
    await insertAndRotate('will be corrupt');
    corrupt = await lastClosed();
    await insertAndRotate('behind it');
    await flip(corrupt, 400);
  });
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(once.code, 4, once.stdout);
  const [letter] = JSON.parse(once.stdout).sources[0].deadLetters;
  assert.equal(letter.binlog, corrupt);
  assert.equal(letter.code, 'BinlogCorrupt');
  assert.match(letter.message, /offset \d+/);
  assert.ok(!(await world.archived()).includes(await lastClosed()));
  assert.deepEqual(
    (await world.catalog())
      .deadLetters()
      .map(({ binlog }) => binlog)
      .slice(0, 1),
    [corrupt],
  );
  await flip(corrupt, 400);
  const retried = await world.pitrail('archive', '--retry', corrupt, '--reason', 'mended', '--json');
  assert.equal(retried.code, 0, retried.stdout);
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  assert.deepEqual(await world.archived(), await world.closed());
  assert.deepEqual((await world.status()).deadLetters, []);
});

test('a corrupt log that is given up leaves a gap that is written down, and archiving goes on behind it', async () => {
  let corrupt = '';
  await whilePaused(async () => {
    await insertAndRotate('lost');
    corrupt = await lastClosed();
    await insertAndRotate('behind');
    await flip(corrupt, 400);
  });
  assert.equal((await world.pitrail('archive', '--once')).code, 4);
  const accepted = await world.pitrail('archive', '--accept-gap', corrupt, '--reason', 'disk lost', '--json');
  assert.equal(accepted.code, 0, accepted.stdout);
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const [gap] = (await world.catalog()).acceptedGaps();
  assert.equal(gap?.detail, 'disk lost');
  assert.equal(GtidSet.parse(gap?.missingGtids ?? '').count(), 1n);
  const archived = await world.archived();
  assert.ok(archived.includes(await lastClosed()) && !archived.includes(corrupt));
  await until('nothing is staged', async () => (await world.staged()).length === 0);
});

test('logs purged before they were archived are a gap that names its transactions', async () => {
  await whilePaused(async () => {
    await insertAndRotate('purged');
    await insertAndRotate('kept');
    await world.mysql.run(`PURGE BINARY LOGS TO '${await lastClosed()}'`);
  });
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(once.code, 3, once.stdout);
  const [letter] = JSON.parse(once.stdout).sources[0].deadLetters;
  assert.equal(letter.code, 'ArchiveGap');
  assert.ok(letter.message.includes(world.mysql.serverUuid), letter.message);
  const accepted = await world.pitrail(
    'archive',
    '--accept-gap',
    letter.binlog,
    '--reason',
    'purged',
    '--json',
  );
  assert.equal(accepted.code, 0, accepted.stdout);
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  assert.equal((await world.catalog()).acceptedGaps().length, 2);
});

test('logs that cannot be read side by side are given up together, and the gap names just what was in them', async () => {
  const names: string[] = [];
  let lost = GtidSet.EMPTY;
  await whilePaused(async () => {
    await insertAndRotate('still to come');
    const before = GtidSet.parse(await world.mysql.gtidExecuted());
    for (const value of ['lost', 'lost too']) {
      await insertAndRotate(value);
      names.push(await lastClosed());
    }
    lost = GtidSet.parse(await world.mysql.gtidExecuted()).subtract(before);
    await insertAndRotate('behind them');
    for (const name of names) await flip(name, 30);
  });
  assert.equal((await world.pitrail('archive', '--once')).code, 4);
  const gapsBefore = (await world.catalog()).acceptedGaps().length;
  const [one = '', other = ''] = names;
  const accept = (name: string) =>
    world.pitrail('archive', '--accept-gap', name, '--reason', 'disk lost', '--json');
  const first = await accept(one);
  assert.equal(first.code, 75, first.stdout);
  assert.equal(JSON.parse(first.stdout).error.code, 'DecisionWaits');
  assert.ok(first.stdout.includes(other), 'it names the log that must be decided on, too');
  assert.equal((await world.catalog()).acceptedGaps().length, gapsBefore, 'nothing is given up yet');
  assert.equal((await world.pitrail('archive', '--retry', one, '--reason', 'wait')).code, 0);
  assert.deepEqual((await world.status()).decisions, [], 'the last word counts');
  await until('it is told again', async () =>
    (await world.status()).deadLetters.some(({ binlog }) => binlog === one),
  );
  assert.equal((await accept(other)).code, 75);
  assert.equal((await accept(one)).code, 0);
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const state = await world.catalog();
  assert.equal(state.acceptedGaps().length, gapsBefore + 1);
  assert.equal(state.acceptedGaps().at(-1)?.missingGtids, lost.toString());
  const archived = await world.archived();
  assert.ok(archived.includes(await lastClosed()) && !archived.includes(one) && !archived.includes(other));
});

test('a reset starts a timeline, and logs of the same names collide with nothing', async () => {
  const before = await world.catalog();
  await world.mysql.run('RESET BINARY LOGS AND GTIDS');
  await insertAndRotate('again');
  await insertAndRotate('and again');
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const state = await world.catalog();
  assert.equal(state.timelines().length, before.timelines().length + 1);
  const timeline = state.timelines().at(-1);
  assert.equal(timeline?.reason, 'reset');
  const names = state.segments(timeline?.timeline ?? 0).map(({ segment }) => segment.binlog);
  assert.deepEqual(names, await world.closed());
  assert.equal(new Set(state.allSegments().map(({ object }) => object.key)).size, state.allSegments().length);
});

test('the torn log of a killed server is archived once its successor proves its end', async () => {
  await createShop(world.mysql);
  const workload = await startWorkload(world.mysql, { connections: 3 });
  await until('there is traffic', async () => workload.orders() > 30);
  await world.mysql.kill();
  await workload.stop().catch(() => 0);
  await world.mysql.start();
  assert.equal((await world.pitrail('archive', '--once')).code, 0);
  const state = await world.catalog();
  const closings = state.allSegments().map(({ segment }) => segment.closedBy);
  assert.ok(closings.includes('recovery'), closings.join());
  assert.deepEqual((await world.status()).deadLetters, []);
});
