/**
 * Promise: where the source or its host is gone, a fallback goes on with the archive by itself, and whether a source is
 * read from its files or as a replica reads makes no difference: here the primary is the one, its fallback the other.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { createUser } from '../support/mysql-users.ts';
import { placeOrders, tableChecksums } from '../support/workload.ts';
import { until } from './archive-world.ts';
import { type HandoffWorld, readRemotely, startHandoffWorld } from './handoff-world.ts';

/** From the moment that the source counts as failed to the first log of the next one in the archive. */
const MAX_REROUTE_MS = 10_000;
/** What the catalog and Temporal note may differ by: both round to milliseconds. */
const ROUNDING_MS = 5;

let world: HandoffWorld;

before(async () => {
  // Everything at its default, also how often a source is polled.
  world = await startHandoffWorld({
    pollSeconds: 5,
    rotateSeconds: 60,
    endpoint: (source, server) => (source === 'shop-1' ? { workerHost: 'db-1' } : readRemotely(server)),
  });
  await world.startWorker();
});
after(() => world.stop());

/** When the first log of a server was archived behind the newest boundary, in ms since 1970; null where none is. */
async function reroutedAt(serverUuid: string): Promise<number | null> {
  const entries = await world.rawEntries();
  const boundary =
    entries.findLast(({ body }) => body.kind === 'handoff')?.sequence ?? Number.POSITIVE_INFINITY;
  const first = entries.find(
    ({ sequence, body }) =>
      sequence > boundary && body.kind === 'segment-archived' && body.segment.serverUuid === serverUuid,
  );
  return first === undefined ? null : Date.parse(first.writtenAt);
}

/** How long it took from the detection, which is when Temporal began the handoff, to the first log of the next source. */
async function assertReroutedInTime(epoch: number, serverUuid: string): Promise<void> {
  const { startTime } = await world.client.workflow.getHandle(`handoff/shop/${epoch}`).describe();
  const boundary = (await world.rawEntries()).find(
    ({ body, epoch: of }) => body.kind === 'handoff' && of === epoch,
  );
  const detectedAt = startTime.getTime();
  const boundaryAt = Date.parse(boundary?.writtenAt ?? '');
  const firstAt = (await reroutedAt(serverUuid)) ?? Number.NaN;
  const told = `detected at ${detectedAt}, boundary after ${boundaryAt - detectedAt} ms, first log after ${firstAt - detectedAt} ms`;
  process.stdout.write(`# epoch ${epoch}: ${told}\n`);
  assert.ok(detectedAt <= boundaryAt + ROUNDING_MS && boundaryAt <= firstAt, told);
  assert.ok(firstAt - detectedAt <= MAX_REROUTE_MS, told);
}

async function startHostWorker(): Promise<RunningProcess> {
  return world.startWorker({}, ['--roles', 'host:db-1']);
}

test('a source whose server dies is handed to its fallback within seconds, by itself', async () => {
  const host = await startHostWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await world.mysql.run('FLUSH BINARY LOGS');
  await until('the primary is archived', async () => (await world.archived()).length > 0);
  const backup = await world.pitrail('backup', '--source', 'shop-1');
  assert.equal(backup.code, 0, backup.stderr);
  await world.replica.catchUp();
  // A log of the replica that holds nothing but what is archived, and one that holds more.
  await world.replica.run('FLUSH BINARY LOGS');
  await placeOrders(world.mysql, 5, 1);
  await world.replica.catchUp();
  await until('it is watched', async () => (await world.watching()).phase === 'watching');
  const diedAt = Date.now();
  await world.mysql.kill();
  await until('the replica is archived', async () => (await reroutedAt(world.replica.serverUuid)) !== null);
  const tookMs = ((await reroutedAt(world.replica.serverUuid)) ?? 0) - diedAt;
  // The source counts as failed 5 s after the first look that did not find it.
  assert.ok(tookMs <= 5_000 + MAX_REROUTE_MS, `the first log came ${tookMs} ms after the server had died`);
  const boundary = (await world.rawEntries()).find(({ body }) => body.kind === 'handoff');
  assert.ok(boundary?.body.kind === 'handoff');
  assert.equal(boundary.body.reason, 'source-unreachable');
  assert.ok(Date.parse(boundary.writtenAt) - diedAt >= 5_000, 'not before its time');
  await assertReroutedInTime(2, world.replica.serverUuid);
  await until('it watches the replica', async () => {
    const { source, phase } = await world.watching();
    return source === 'shop-2' && phase === 'watching';
  });
  const [made] = (await world.watching()).lastHandoffs;
  assert.deepEqual([made?.to, made?.outcome, made?.epoch], ['shop-2', 'handed-over', 2]);
  process.stdout.write(`# first rerouted log ${tookMs} ms after the server died\n`);
  await host.stop();
});

test('a host whose worker is gone is handed over, too, and one that comes back stands by', async () => {
  const host = await startHostWorker();
  await world.mysql.start();
  const back = await world.handoff('--to', 'shop-1');
  assert.equal(back.code, 0, back.stderr);
  await until('the primary is watched', async () => {
    const { source, phase } = await world.watching();
    return source === 'shop-1' && phase === 'watching';
  });
  await placeOrders(world.mysql, 5, 2);
  await world.replica.run('START REPLICA');
  await world.replica.catchUp();
  host.kill('SIGKILL');
  await host.exited;
  const goneAt = Date.now();
  await until('the archive is handed over', async () => (await world.catalog()).epoch === 4);
  await until('the replica is archived', async () => (await reroutedAt(world.replica.serverUuid)) !== null);
  const tookMs = ((await reroutedAt(world.replica.serverUuid)) ?? 0) - goneAt;
  process.stdout.write(`# first rerouted log ${tookMs} ms after the worker died\n`);
  await assertReroutedInTime(4, world.replica.serverUuid);
  const boundary = (await world.rawEntries()).findLast(({ body }) => body.kind === 'handoff');
  assert.ok(boundary?.body.kind === 'handoff');
  assert.ok(['source-unreachable', 'queue-silent'].includes(boundary.body.reason), boundary.body.reason);
  await startHostWorker();
  await until('it stands by', async () => (await world.statusOf('shop-1')).phase === 'standing-by');
});

test('no handoff happens by itself to a source that lacks what is archived, and the watch says why', async () => {
  const back = await world.handoff('--to', 'shop-1');
  assert.equal(back.code, 0, back.stderr);
  await world.replica.run('STOP REPLICA');
  await placeOrders(world.mysql, 3, 3);
  const once = await world.pitrail('archive', '--rotate', '--source', 'shop-1');
  assert.equal(once.code, 0, once.stderr);
  const archived = await world.mysql.gtidExecuted();
  await until('it is archived', async () => {
    const [row] = await world.replica.query<{ lacks: number }>(
      `SELECT GTID_SUBSET('${archived}', '${(await world.catalog()).archivedThrough(1)}') AS lacks`,
    );
    return Number(row?.lacks) === 1;
  });
  const [lost] = await world.replica.query<{ gtids: string }>(
    `SELECT GTID_SUBTRACT('${archived}', @@GLOBAL.gtid_executed) AS gtids`,
  );
  await until('the primary is watched', async () => (await world.watching()).source === 'shop-1');
  await world.mysql.kill();
  await until(
    'the handoff is refused',
    async () => (await world.watching()).lastHandoffs.at(-1)?.outcome === 'failed',
  );
  assert.ok((await world.watching()).lastHandoffs.at(-1)?.detail.includes(String(lost?.gtids)));
  assert.equal((await world.catalog()).epoch, 5);
});

test('a primary that is read as a replica reads dies, and its replica on a host goes on: all that was committed restores', async (t) => {
  // The roles change: the first server comes back without what it lost the archive for.
  const { replica, mysql } = world;
  await mysql.start();
  await replica.run('START REPLICA');
  await replica.catchUp();
  const there = await world.handoff('--to', 'shop-2');
  assert.equal(there.code, 0, there.stderr);
  await replica.run('STOP REPLICA', 'RESET REPLICA ALL');
  const { user, password } = await createUser(replica, 'reverse', ['REPLICATION SLAVE']);
  await mysql.run(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${replica.port}, SOURCE_USER = '${user}',
     SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1`,
    'START REPLICA',
  );
  await placeOrders(replica, 20, 4);
  await replica.run('FLUSH BINARY LOGS');
  await placeOrders(replica, 5, 5);
  // Where the source that is archived gives no base backup, the one before it does, as a replica that stands by.
  const refused = await world.pitrail('backup', '--source', 'shop-2');
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /pitrail backup --source shop-1/);
  const based = await world.pitrail('backup', '--source', 'shop-1', '--json');
  assert.equal(based.code, 0, based.stderr + based.stdout);
  await placeOrders(replica, 5, 7);
  const committed = await replica.gtidExecuted();
  const truth = await tableChecksums(replica);
  await mysql.query(`SELECT WAIT_FOR_EXECUTED_GTID_SET('${committed}', 60)`);
  await until('the remote primary is watched', async () => {
    const { source, phase } = await world.watching();
    return source === 'shop-2' && phase === 'watching';
  });
  const { epoch } = await world.catalog();
  await replica.kill();
  await until('it is handed over', async () => (await world.catalog()).epoch === epoch + 1);
  await until('the first server is archived', async () => (await reroutedAt(mysql.serverUuid)) !== null);
  await assertReroutedInTime(epoch + 1, mysql.serverUuid);
  const all = GtidSet.parse(committed);
  await until('all is archived', async () => {
    await world.pitrail('archive', '--rotate', '--source', 'shop-1');
    return all.isSubsetOf((await world.catalog()).archivedThrough(1));
  });
  const targetDir = join(world.dir, 'restored');
  const restored = await world.pitrail('restore', '--to', 'latest', '--target-dir', targetDir, '--json');
  assert.equal(restored.code, 0, restored.stderr);
  assert.ok(restored.stdout.includes(JSON.parse(based.stdout).backupId), 'from that base');
  const server = await startRestored(targetDir);
  t.after(() => server.stop());
  assert.ok(GtidSet.parse(await server.gtidExecuted()).equals(GtidSet.parse(await mysql.gtidExecuted())));
  assert.deepEqual(await tableChecksums(server), truth);
});

test('of the logs of both servers none stands twice, and none whose transactions all lay in the archive before', async () => {
  const { timeline } = (await world.catalog()).allSegments().at(0) ?? assert.fail('nothing is archived');
  const seen = new Set<string>();
  let before = GtidSet.parse('');
  for (const { body } of await world.rawEntries()) {
    if (body.kind !== 'segment-archived') continue;
    assert.equal(body.timeline, timeline, 'one history');
    const name = `${body.segment.serverUuid}/${body.segment.binlog}`;
    assert.ok(!seen.has(name), `${name} stands twice`);
    seen.add(name);
    const gtids = GtidSet.parse(body.segment.gtids);
    assert.ok(gtids.isEmpty || !gtids.isSubsetOf(before), `${name} brings nothing new`);
    before = before.union(gtids);
  }
});

test('a history of its own on a remote source goes on without a base backup, and the way to one is named', async (t) => {
  const { replica, mysql } = world;
  await replica.start();
  await placeOrders(mysql, 3, 6);
  const once = await world.pitrail('archive', '--rotate', '--source', 'shop-1');
  assert.equal(once.code, 0, once.stderr);
  const { code, document, stderr } = await world.handoff('--to', 'shop-2', '--policy', 'resync');
  assert.equal(code, 75, stderr);
  const { outcome, continuity, backupId, baseMissing, validation, detail } = document;
  assert.deepEqual(
    [outcome, continuity, backupId, validation?.verdict],
    ['handed-over', 'resync', null, 'validated'],
  );
  assert.match(baseMissing ?? '', /shop-2 is a remote source.*pitrail backup --source shop-1/);
  assert.ok(detail.includes(baseMissing ?? ''), detail);
  const again = await world.handoff('--to', 'shop-2');
  assert.deepEqual(
    [again.code, again.document.outcome],
    [75, 'already-done'],
    'it is told until there is one',
  );
  t.diagnostic(detail);
});
