import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogEntry, Continuity, SourceRef } from '../../src/domain/catalog-entry.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { readServerFacts } from '../../src/mysql/facts.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import type { archiveSource } from '../../workflows/archiveSource.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import type { TestMysql } from '../support/mysql.ts';
import { startTestReplica, type TestReplica } from '../support/mysql-replica.ts';
import { type ArchiveWorld, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;
let replica: TestReplica;
let worker: RunningProcess;
let primaryRef: SourceRef;
let replicaRef: SourceRef;

before(async () => {
  world = await startArchiveWorld();
  replica = await startTestReplica(world.mysql);
  await replica.catchUp();
  primaryRef = await refOf('shop-1', world.mysql);
  replicaRef = await refOf('shop-2', replica);
  worker = await world.startWorker();
  // Only the primary is archived: nobody archives the replica before it is handed over.
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await replica.stop();
  await world.stop();
});

async function refOf(source: string, server: TestMysql): Promise<SourceRef> {
  const { serverUuid } = await readServerFacts(server.root);
  return { source, serverUuid };
}

/** Writes the boundary as a handoff does. @returns its sequence */
async function handOff(from: SourceRef, to: SourceRef, continuity: Continuity): Promise<number> {
  const catalog = openCatalog(world.store);
  const { epoch } = await catalog.read();
  const route = { kind: 'source', from, to, continuity } as const;
  const entry = await catalog.append(
    { kind: 'handoff', route, reason: 'operator', detail: 'asked for by the test' },
    { writer: 'test/1/handoff', epoch: epoch + 1, at: '2026-11-20T10:00:00.000000Z' },
  );
  return entry.sequence;
}

/** Entries of the store as they lie there, in order, read without the catalog's own reader. */
async function rawEntries(): Promise<CatalogEntry[]> {
  const folder = join(world.storeDir, 'catalog');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as CatalogEntry),
  );
}

async function writtenBehind(sequence: number): Promise<CatalogEntry[]> {
  return (await rawEntries()).filter((entry) => entry.sequence > sequence);
}

function serverOf({ body }: CatalogEntry): string | null {
  return body.kind === 'segment-archived' ? body.segment.serverUuid : null;
}

function statusOf(source: string): Promise<ArchiveStatus> {
  return world.client.workflow.getHandle(`archive/shop/${source}`).query<ArchiveStatus>('status');
}

/** How often the server says that a commit of this source was refused for its epoch. */
async function fencedCommits(source: string): Promise<number> {
  const handle = world.client.workflow.getHandle<typeof archiveSource>(`archive/shop/${source}`);
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter(
    ({ activityTaskFailedEventAttributes: failed }) =>
      failed?.failure?.applicationFailureInfo?.type === 'StaleEpoch',
  ).length;
}

async function restartWith(sources: (known: readonly unknown[]) => readonly unknown[]): Promise<void> {
  await worker.stop();
  const config = parse(await readFile(world.config, 'utf8'));
  config.clusters.shop.sources = sources(config.clusters.shop.sources);
  await writeFile(world.config, stringify(config));
}

test('a source that is handed away while it archives ends standing by, and nothing of it stands behind the boundary', async () => {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('before')", 'FLUSH BINARY LOGS');
  await until('it archives', async () => (await world.archived()).length > 0);
  assert.deepEqual((await statusOf('shop-1')).hold, { kind: 'held', epoch: 1 });
  let boundary = 0;
  const load = async () => {
    for (let n = 0; n < 12; n += 1) {
      await world.mysql.run(`INSERT INTO d.t (v) VALUES ('race ${n}')`, 'FLUSH BINARY LOGS');
      if (n !== 6) continue;
      const continuity = { kind: 'continues', timeline: 1, baselineGtids: '' } as const;
      boundary = await handOff(primaryRef, replicaRef, continuity);
    }
  };
  await load();
  await until('it stands by', async () => (await statusOf('shop-1')).phase === 'standing-by');
  const { lastFailure, hold } = await statusOf('shop-1');
  assert.deepEqual(hold, { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  assert.equal(lastFailure?.code, 'HandedAway');
  assert.match(lastFailure?.message ?? '', /shop-1 was handed to shop-2 in epoch 2/);
  assert.deepEqual(await writtenBehind(boundary), []);
  assert.equal(await fencedCommits('shop-1'), 1, 'fenced once, and not tried again');
  const before = (await rawEntries()).filter((entry) => entry.body.kind === 'segment-archived');
  assert.ok(before.length > 0);
  assert.ok(before.every(({ writer, epoch }) => writer.endsWith('/host/shop-1') && epoch === 1));
});

test('one that stands by says so to who asks for archiving, and to status', async () => {
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(once.code, 3, once.stdout);
  assert.equal(JSON.parse(once.stdout).error.code, 'HandedAway');
  assert.match(
    (await world.pitrail('status')).stdout,
    /source shop-1 stands by: shop-1 was handed to shop-2/,
  );
  // What is asked of it is kept, and does not make it try without a pause.
  assert.equal((await world.pitrail('archive', '--rotate')).code, 0);
  const since = (await claims()).length;
  await until('it has asked again, twice', async () => (await claims()).length >= since + 2);
  const [first = 0, second = 0] = (await claims()).slice(since);
  assert.ok(second - first >= 5, `it asked again after ${second - first} s`);
});

/** When the entity asked whether it may write; seconds since 1970, in order. */
async function claims(): Promise<number[]> {
  const { events } = await world.entity().fetchHistory();
  return (events ?? [])
    .filter((it) => it.activityTaskScheduledEventAttributes?.activityType?.name === 'claimHold')
    .map(({ eventTime }) => Number(eventTime?.seconds));
}

test('the heir archives behind the boundary, in its epoch and its name, all that the old one had not', async () => {
  const boundary = (await world.catalog()).handoffs().at(-1)?.sequence ?? 0;
  const heir = {
    id: 'shop-2',
    socket: replica.socket,
    user: 'pitrail',
    password: { file: 'password' },
    binlogDir: replica.binlogDir,
  };
  await restartWith((known) => [...known, heir]);
  worker = await world.startWorker();
  assert.equal((await world.pitrail('apply')).code, 0);
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');
  const executed = GtidSet.parse(await replica.gtidExecuted());
  await until('the heir has archived everything', async () => {
    const segments = (await world.catalog()).segmentsOf(replicaRef.serverUuid);
    const gtids = GtidSet.unionAll(segments.map(({ segment }) => GtidSet.parse(segment.gtids)));
    return executed.isSubsetOf(gtids);
  });
  const behind = await writtenBehind(boundary);
  assert.ok(behind.length > 0);
  assert.ok(behind.every(({ writer, epoch }) => writer.endsWith('/host/shop-2') && epoch === 2));
  assert.ok(behind.every((entry) => serverOf(entry) !== primaryRef.serverUuid));
  assert.equal((await statusOf('shop-1')).phase, 'standing-by');
});

test('a handoff back while no worker ran fences the heir and lets the first source go on', async () => {
  await restartWith((known) => known);
  const { sequence } = (await world.catalog()).head;
  const boundary = await handOff(replicaRef, primaryRef, {
    kind: 'continues',
    timeline: 1,
    baselineGtids: '',
  });
  assert.equal(boundary, sequence + 1);
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('back')", 'FLUSH BINARY LOGS');
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');
  worker = await world.startWorker();
  await until('the heir stands by', async () => (await statusOf('shop-2')).phase === 'standing-by');
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  await until('the first source has caught up', async () =>
    executed.isSubsetOf((await world.catalog()).archivedThrough(1)),
  );
  const behind = await writtenBehind(boundary);
  assert.ok(behind.length > 0);
  assert.ok(behind.every(({ writer, epoch }) => writer.endsWith('/host/shop-1') && epoch === 3));
  assert.equal(await fencedCommits('shop-2'), 1);
  assert.deepEqual((await statusOf('shop-1')).hold, { kind: 'held', epoch: 3 });
});
