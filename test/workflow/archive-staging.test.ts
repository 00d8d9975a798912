import assert from 'node:assert/strict';
import { open as openFile, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { type ArchiveWorld, filesUnder, startArchiveWorld, until } from './archive-world.ts';

/** As many as a worker runs of transfers, and more. */
const SLOW_TRANSFERS = 12;
/** Slots of one queue of a worker. */
const SLOTS = 8;

let world: ArchiveWorld;
let s3: TestS3;
let proxy: TcpProxy;
let worker: RunningProcess;

/** Beside the world's own cluster, one more on the same server whose only store is behind a slow line. */
before(async () => {
  s3 = await startS3('staging');
  proxy = await tcpProxy({ host: s3.host, port: s3.port });
  process.env['TEST_S3_ACCESS'] = s3.credentials.accessKeyId;
  process.env['TEST_S3_SECRET'] = s3.credentials.secretAccessKey;
  world = await startArchiveWorld();
  const config = parse(await readFile(world.config, 'utf8'));
  const { shop } = config.clusters;
  config.clusters.slow = {
    ...shop,
    sources: [{ ...shop.sources[0], id: 'slow-1' }],
    stores: [{ id: 's3', s3: slowStore() }],
    archive: { ...shop.archive, parallelTransfers: SLOW_TRANSFERS },
  };
  await writeFile(world.config, stringify(config));
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await world.stop();
  await proxy.stop();
  await s3.stop();
});

function slowStore() {
  return {
    bucket: s3.bucket,
    region: s3.region,
    endpoint: `http://${proxy.host}:${proxy.port}`,
    prefix: 'slow',
    pathStyle: true,
    accessKeyId: { env: 'TEST_S3_ACCESS' },
    secretAccessKey: { env: 'TEST_S3_SECRET' },
  };
}

async function slowCatalog(): Promise<CatalogState> {
  const { accessKeyId, secretAccessKey, ...place } = slowStore();
  const credentials = { accessKeyId, secretAccessKey };
  const store = await openStore({ kind: 's3', id: 's3', caFile: null, ...place, credentials });
  try {
    return await openCatalog(store).read();
  } finally {
    await store.close();
  }
}

/** Writes a log that does not shrink when it is compressed. */
async function randomLog(): Promise<string> {
  await world.mysql.run(
    'INSERT INTO d.t (v) SELECT HEX(RANDOM_BYTES(1024)) FROM information_schema.COLUMNS LIMIT 200',
    'FLUSH BINARY LOGS',
  );
  return String((await world.closed()).at(-1));
}

/** Writes a log whose beginning cannot be read: it is damaged before anything is in it. */
async function unreadableLog(): Promise<string> {
  await world.mysql.run('FLUSH BINARY LOGS');
  const [open] = await world.mysql.query<{ File: string }>('SHOW BINARY LOG STATUS');
  const binlog = String(open?.File);
  const file = await openFile(join(world.mysql.binlogDir, binlog), 'r+');
  await file.write('damaged', 30);
  await file.close();
  return (await randomLog()) === binlog ? binlog : assert.fail('another log was open');
}

/** Purges every closed log but the last, which is empty. */
async function purgeAll(): Promise<void> {
  await world.mysql.run('FLUSH BINARY LOGS');
  await world.mysql.run(`PURGE BINARY LOGS TO '${(await world.closed()).at(-1)}'`);
}

async function runningUploads(): Promise<number> {
  const { raw } = await slow().describe();
  return (raw.pendingActivities ?? []).filter(
    ({ activityType, state }) => activityType?.name === 'uploadSegment' && Number(state) === STARTED,
  ).length;
}

/** temporal.api.enums.v1.PendingActivityState */
const STARTED = 2;

function slow() {
  return world.client.workflow.getHandle('archive/slow/slow-1');
}

async function isStaged(cluster: string, source: string, binlog: string): Promise<boolean> {
  const names = await filesUnder(join(world.dir, 'staging', cluster, source));
  return names.some((name) => name.startsWith(`${binlog}.`) && name.endsWith('.log'));
}

test('while every transfer hangs, servers are looked at and logs are staged, so that a purge loses nothing', async () => {
  await slow().signal('pause', {});
  await until('it is paused', async () => (await slow().query<ArchiveStatus>('status')).phase === 'paused');
  for (let i = 0; i < SLOW_TRANSFERS; i += 1) await randomLog();
  proxy.setWeather({ kind: 'throttle', bytesPerSecond: 1_000 });
  await slow().signal('resume', {});
  await until('all slots for transfers are taken', async () => (await runningUploads()) === SLOTS);

  const later = await randomLog();
  await until('the other cluster sees it and is safe', () => isStaged('shop', 'shop-1', later));
  assert.ok((await world.status()).backlog.logs > 0);
  await until('the round that lasts is safe', () => isStaged('slow', 'slow-1', later), 120_000);
  assert.ok((await runningUploads()) > 0, 'the very same round goes on');
  await purgeAll();
  assert.ok(!(await world.closed()).includes(later));

  proxy.setWeather({ kind: 'clear' });
  const once = await world.pitrail('archive', '--once', '--cluster', 'slow');
  assert.equal(once.code, 0, once.stderr);
  const state = await slowCatalog();
  assert.ok(state.allSegments().some(({ segment }) => segment.binlog === later));
  assert.deepEqual([state.acceptedGaps(), state.deadLetters()], [[], []]);
  assert.equal((await world.pitrail('archive', '--once', '--cluster', 'shop')).code, 0);
  assert.ok((await world.archived()).includes(later));
});

async function probes(): Promise<number> {
  const { events } = await slow().fetchHistory();
  return (events ?? []).filter(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'reachStore',
  ).length;
}

test('whoever asks has the store tried at once, all together, and is told what that try found', async () => {
  proxy.setWeather({ kind: 'hold' });
  proxy.reset();
  await randomLog();
  await until(
    'it is given up',
    async () => (await slow().query<ArchiveStatus>('status')).stores[0]?.circuit.kind !== 'closed',
    200_000,
  );
  const before = await probes();
  const callers = Array.from({ length: 8 }, () => slow().executeUpdate('archiveNow'));
  const answers = await Promise.allSettled(callers);
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['rejected']);
  const tries = (await probes()) - before;
  // Those who came while one was under way share the next one.
  assert.ok(tries >= 1 && tries <= 3, `${tries} tries for ${callers.length} who asked`);
  const { stores } = await slow().query<ArchiveStatus>('status');
  assert.ok(stores[0]?.circuit.kind !== 'closed' && stores[0]?.backlog.logs === 1);

  proxy.setWeather({ kind: 'clear' });
  proxy.reset();
  const began = performance.now();
  const once = await world.pitrail('archive', '--once', '--cluster', 'slow', '--json');
  assert.equal(once.code, 0, once.stderr);
  const { sources } = JSON.parse(once.stdout) as { sources: { backlog: { logs: number } }[] };
  assert.equal(sources[0]?.backlog.logs, 0, `after ${Math.round(performance.now() - began)} ms`);
});

test('a step that fails before the look at the server keeps nothing from being staged', async () => {
  const damaged = await unreadableLog();
  await until('it is a dead letter', async () => (await world.status()).deadLetters.length > 0);
  // Paused, so that the next step of all is to carry out the decision.
  await world.entity().signal('pause', {});
  await until('it is paused', async () => (await world.status()).phase === 'paused');
  await rename(world.storeDir, `${world.storeDir}.away`);
  await writeFile(world.storeDir, '');
  await world.entity().signal('acceptGap', { binlog: damaged, reason: 'damaged on purpose' });
  await world.entity().signal('resume', {});
  const binlog = await randomLog();
  await until(
    'the decision cannot be carried out',
    async () => (await world.status()).lastFailure !== null,
    200_000,
  );
  await until('the log is staged', () => isStaged('shop', 'shop-1', binlog));
  assert.equal((await world.status()).decisions.length, 1);
  await unlink(world.storeDir);
  await rename(`${world.storeDir}.away`, world.storeDir);
  await until('it is archived', async () => (await world.archived()).includes(binlog));
  const gaps = (await world.catalog()).acceptedGaps();
  assert.deepEqual(
    gaps.map(({ missingGtids }) => GtidSet.parse(missingGtids).count()),
    [1n],
    'what was damaged, and nothing else',
  );
});

test('without a worker that writes refusals down, what is closed is staged', async () => {
  await worker.stop();
  worker = await world.startWorker({}, ['--roles', 'control,host:local']);
  await unreadableLog();
  const binlog = await randomLog();
  await until('the log is staged', () => isStaged('shop', 'shop-1', binlog));
  await worker.stop();
  worker = await world.startWorker();
  await until(
    'the damaged one is told',
    async () => (await world.catalog()).deadLetters().length > 0,
    200_000,
  );
  const [letter] = (await world.status()).deadLetters;
  await world.entity().signal('acceptGap', { binlog: letter?.binlog, reason: 'damaged on purpose' });
  await until('the other is archived', async () => (await world.archived()).includes(binlog));
});

test('while the key cannot be read nothing is archived, and what is closed is staged all the same', async () => {
  const key = join(world.dir, 'key');
  // One that has the key already would go on with it.
  await worker.stop();
  await rename(key, `${key}.away`);
  await world.startWorker();
  const binlog = await randomLog();
  await until('it says so', async () => (await world.status()).lastFailure?.code === 'KeyFileMissing');
  await until('the log is staged', () => isStaged('shop', 'shop-1', binlog));
  const gaps = (await world.catalog()).acceptedGaps();
  await purgeAll();
  await rename(`${key}.away`, key);
  await until('it is archived', async () => (await world.archived()).includes(binlog));
  assert.deepEqual((await world.catalog()).acceptedGaps(), gaps);
});
