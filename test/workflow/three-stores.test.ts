/** Promise: directory, S3 and GCS hold the same archive together, and one of them alone is enough to restore. */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { StoreConfig } from '../../src/config/types.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { gather, sha256 } from '../contract/store-bodies.ts';
import { documentOf, pitrail, type WatchedCli, watchPitrail } from '../integration/cli-run.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { addNoise, createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type ArchiveWorld, AS_INSTALLED, startArchiveWorld, until } from './archive-world.ts';

let world: ArchiveWorld;
let s3: TestS3;
let gcs: TestGcs;
let worker: { readonly pid: number };
let opened: ObjectStore[] = [];
let watch: WatchedCli | undefined;

before(async () => {
  [s3, gcs] = await Promise.all([startS3('archive'), startGcs('archive')]);
  process.env['TEST_S3_ACCESS'] = s3.credentials.accessKeyId;
  process.env['TEST_S3_SECRET'] = s3.credentials.secretAccessKey;
  world = await startArchiveWorld({ stores: [writtenS3(), writtenGcs()] });
  // With metrics and health: they take memory, too.
  worker = await world.startWorker(AS_INSTALLED, ['--listen', '0']);
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  opened = await Promise.all([...settledStores().map((store) => openStore(store))]);
});
after(async () => {
  await watch?.interrupt();
  await Promise.all(opened.map((store) => store.close()));
  await world.stop();
  await Promise.all([s3.stop(), gcs.stop()]);
});

function writtenS3(): unknown {
  const { bucket, region, endpoint } = s3;
  const keys = { accessKeyId: { env: 'TEST_S3_ACCESS' }, secretAccessKey: { env: 'TEST_S3_SECRET' } };
  return { id: 's3', s3: { bucket, region, endpoint, pathStyle: true, prefix: 'prod', ...keys } };
}

function writtenGcs(): unknown {
  const { bucket, endpoint } = gcs;
  return { id: 'gcs', gcs: { bucket, endpoint, prefix: 'prod', credentials: 'anonymous' } };
}

function settledStores(): StoreConfig[] {
  const prefix = 'prod';
  return [
    { kind: 'directory', id: 'main', directory: world.storeDir },
    {
      kind: 's3',
      id: 's3',
      bucket: s3.bucket,
      region: s3.region,
      prefix,
      endpoint: s3.endpoint,
      caFile: null,
      pathStyle: true,
      credentials: { accessKeyId: { env: 'TEST_S3_ACCESS' }, secretAccessKey: { env: 'TEST_S3_SECRET' } },
    },
    {
      kind: 'gcs',
      id: 'gcs',
      bucket: gcs.bucket,
      prefix,
      endpoint: gcs.endpoint,
      caFile: null,
      billedProject: null,
      credentials: 'anonymous',
      protection: { retention: null, hold: null },
    },
  ];
}

/** Digest of every segment and backup that a store's catalog names, by key. */
async function contents(store: ObjectStore): Promise<Readonly<Record<string, string>>> {
  const state = await openCatalog(store).read();
  const objects = [...state.allSegments(), ...state.backups()].map(({ object }) => object);
  const found: Record<string, string> = {};
  for (const { key, sha256: expected } of objects) {
    const digest = sha256(await gather(store.read(key)));
    assert.equal(digest, expected, `${store.location} ${key}`);
    found[key] = digest;
  }
  return found;
}

/** What `status --watch` told last, in whole. */
function lastLook(): string {
  const looks = watch?.stdout().split(/\n\n(?=\d{4}-\d\d-\d\dT|$)/) ?? [];
  return `\n${looks.findLast((look) => look !== '')}\n`;
}

/** Names of the binlogs that a store's catalog holds. */
async function segmentsIn(store: ObjectStore): Promise<string[]> {
  return (await openCatalog(store).read()).allSegments().map(({ segment }) => segment.binlog);
}

async function archiveAll(): Promise<void> {
  assert.equal((await world.pitrail('archive', '--rotate')).code, 0);
  await until('all is archived', async () => (await world.pitrail('archive', '--once')).code === 0);
}

test('segments and a base backup lie in all three, the same bytes, and each says what it has', async () => {
  await createShop(world.mysql);
  await addNoise(world.mysql, 160);
  await archiveAll();
  const backup = await world.pitrail('backup', '--json');
  assert.equal(backup.code, 0, backup.stderr + backup.stdout);
  await placeOrders(world.mysql, 200);
  await archiveAll();
  const [main, ...others] = await Promise.all(opened.map(contents));
  assert.ok(Object.keys(main ?? {}).length >= 3);
  for (const other of others) assert.deepEqual(other, main);
});

test('a worker that archives and takes a base backup to three stores stays within 300 MB', async (t) => {
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8');
  const peakBytes = 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
  t.diagnostic(`peak memory of the worker: ${(peakBytes / 1e6).toFixed(0)} MB`);
  assert.ok(peakBytes <= 300_000_000, `${peakBytes} bytes`);
});

test('check finds the GCS store able and whole, and status shows it in step', async () => {
  const checked = await world.pitrail('check', '--json');
  const { findings } = JSON.parse(checked.stdout) as {
    findings: { part: string; status: string; message: string }[];
  };
  const ofGcs = findings.filter(({ part }) => part === 'store shop/gcs');
  assert.ok(ofGcs.length > 0);
  assert.deepEqual([...new Set(ofGcs.map(({ status }) => status))], ['ok'], JSON.stringify(ofGcs));
  assert.match(
    ofGcs[0]?.message ?? '',
    /^gs:\/\/archive\/prod at 127\.0\.0\.1:\d+ creates objects only where/,
  );
  const status = await world.pitrail('status');
  assert.equal(status.code, 0, status.stdout + status.stderr);
  assert.match(status.stdout, /gcs/);
});

test('while the GCS store is down nothing counts as archived, and the backlog drains when it is back', async () => {
  const before = await world.status();
  watch = watchPitrail(['--config', world.config, 'status', '--watch', '--every', '1']);
  await until('the watch sees that all is well', async () => lastLook().includes('\nshop: all is well\n'));
  await gcs.kill();
  await placeOrders(world.mysql, 20, 2);
  await world.mysql.run('FLUSH BINARY LOGS');
  const closed = await world.closed();
  const [binlog = assert.fail()] = closed.slice(-1);
  await until('the failure shows', async () => (await world.status()).lastFailure !== null, 200_000);
  // It lies in every other store by then: only the one that is down keeps it from counting.
  const others = opened.slice(0, 2);
  await until('the others have the log', async () => {
    const held = await Promise.all(others.map(segmentsIn));
    return held.every((names) => names.includes(binlog));
  });
  const { lastFailure, segmentsArchived, archivedThrough, backlog, standIns } = await world.status();
  assert.equal(lastFailure?.kind, 'unavailable');
  assert.equal(segmentsArchived, before.segmentsArchived, 'nothing more counts');
  assert.deepEqual(archivedThrough, before.archivedThrough);
  assert.equal(backlog.logs, 1);
  assert.deepEqual(standIns, []);
  await until('the watch sees it, too', async () => lastLook().includes('\n  PROBLEM gcs: '), 120_000);
  await gcs.start();
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, `the first one who asks finds it back: ${once.stderr}`);
  const after = await world.status();
  assert.equal(after.segmentsArchived, before.segmentsArchived + 1);
  assert.equal(after.archivedThrough?.binlog, binlog);
  const held = await Promise.all(opened.map(contents));
  for (const other of held) assert.deepEqual(other, held[0]);
  assert.deepEqual(await segmentsIn(opened[2] ?? assert.fail()), closed);
});

test('status --watch in a pipe is plain text, and Ctrl-C ends it with what the last look found', async () => {
  await until('it sees that all is well again', async () => lastLook().includes('\nshop: all is well\n'));
  const { code, stdout, stderr } = (await watch?.interrupt()) ?? assert.fail();
  watch = undefined;
  assert.deepEqual([code, stderr], [0, '']);
  assert.doesNotMatch(stdout.replaceAll('\n', ''), /\p{Cc}/u, 'no control characters but line feeds');
  assert.ok(stdout.endsWith('\n\n'), 'no look is cut off');
  await world.entity().signal('pause', {});
  const lines = watchPitrail(['--config', world.config, '--json', 'status', '--watch', '--every', '1']);
  await until('two looks are told', async () => lines.stdout().split('\n').length > 2, 120_000);
  const paused = await lines.interrupt();
  await world.entity().signal('resume', {});
  assert.deepEqual([paused.code, paused.stderr], [75, '']);
  for (const line of paused.stdout.trimEnd().split('\n')) {
    const { clusters } = JSON.parse(line) as { clusters: { problems: { code: string }[] }[] };
    assert.deepEqual(
      clusters[0]?.problems.map((problem) => problem.code),
      ['Paused'],
    );
  }
});

test('the bucket at GCS and the key are enough to restore: no source, no other store, no Temporal', async () => {
  await archiveAll();
  const truth = await tableChecksums(world.mysql);
  const executed = await world.mysql.gtidExecuted();
  await world.entity().terminate('the end of the world');
  await world.mysql.kill();
  await s3.kill();
  await rename(world.storeDir, `${world.storeDir}-lost`);
  const config = join(world.dir, 'rescue.yaml');
  const shop = { stores: [writtenGcs()], encryption: { keyFile: 'key' }, restore: { scratchDir: 'rescue' } };
  await writeFile(config, stringify({ clusters: { shop } }));
  const targetDir = join(world.dir, 'restored');
  const args = ['--config', config, 'restore', '--direct', '--to', 'latest', '--target-dir', targetDir];
  const run = await pitrail([...args, '--json']);
  assert.equal(run.code, 0, run.stderr + run.stdout);
  const { gtidExecuted, dataDir } = documentOf<{ gtidExecuted: string; dataDir: string }>(run);
  assert.equal(gtidExecuted, executed);
  const restored = await startRestored(dataDir);
  assert.deepEqual(await tableChecksums(restored), truth);
  await restored.stop();
});
