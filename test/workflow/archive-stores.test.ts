import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { addNoise, createShop, startWorkload } from '../support/workload.ts';
import { type ArchiveWorld, AS_INSTALLED, startArchiveWorld, until } from './archive-world.ts';

/** 300 MB: what a worker with all roles may need, whatever the binlog's size. */
const MAX_RSS_MIB = 300_000_000 / 1024 ** 2;

let world: ArchiveWorld;
let s3: TestS3;
let worker: { readonly pid: number };

before(async () => {
  s3 = await startS3('archive');
  const store = {
    id: 's3',
    s3: {
      bucket: s3.bucket,
      region: s3.region,
      endpoint: s3.endpoint,
      pathStyle: true,
      prefix: 'prod',
      accessKeyId: { env: 'TEST_S3_ACCESS' },
      secretAccessKey: { env: 'TEST_S3_SECRET' },
    },
  };
  process.env['TEST_S3_ACCESS'] = s3.credentials.accessKeyId;
  process.env['TEST_S3_SECRET'] = s3.credentials.secretAccessKey;
  world = await startArchiveWorld({ stores: [store], rotateSeconds: 2 });
  // With metrics and health: they count, too.
  worker = await world.startWorker(AS_INSTALLED, ['--listen', '0']);
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await world.stop();
  await s3.stop();
});

/** What the catalog of the bucket says. */
async function catalogInS3(): Promise<CatalogState> {
  const store = await openStore({
    kind: 's3',
    id: 's3',
    bucket: s3.bucket,
    region: s3.region,
    endpoint: s3.endpoint,
    caFile: null,
    prefix: 'prod',
    pathStyle: true,
    credentials: { accessKeyId: { env: 'TEST_S3_ACCESS' }, secretAccessKey: { env: 'TEST_S3_SECRET' } },
  });
  try {
    return await openCatalog(store).read();
  } finally {
    await store.close();
  }
}

async function archivedInS3(): Promise<string[]> {
  return (await catalogInS3()).allSegments().map(({ segment }) => segment.binlog);
}

function objectsOf(catalog: CatalogState) {
  return catalog.allSegments().map(({ object }) => [object.key, object.lengthBytes, object.sha256]);
}

async function rssMib(what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${worker.pid}/status`, 'utf8');
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
}

test('under traffic the open log is closed in time and every log lies in both stores, the same bytes', async () => {
  await createShop(world.mysql);
  const workload = await startWorkload(world.mysql, { connections: 3 });
  await until('several logs are archived', async () => (await world.archived()).length >= 4);
  await workload.stop();
  // The round that answers may have closed the open log at its end.
  await until('all that is closed is archived', async () => {
    assert.equal((await world.pitrail('archive', '--once')).code, 0);
    return String(await world.archived()) === String(await world.closed());
  });
  assert.deepEqual(objectsOf(await catalogInS3()), objectsOf(await world.catalog()));
  const verified = await world.pitrail('verify', '--deep');
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});

test('while a store is down nothing counts as archived, and the backlog drains when it is back', async () => {
  const { segmentsArchived } = await world.status();
  await s3.kill();
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
  await until('the failure shows', async () => (await world.status()).lastFailure !== null, 200_000);
  const { lastFailure, phase, ...failing } = await world.status();
  assert.equal(phase, 'failing');
  assert.equal(lastFailure?.kind, 'unavailable');
  assert.equal(failing.segmentsArchived, segmentsArchived, 'nothing more counts as archived');
  await s3.start();
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, `the first one who asks finds it back: ${once.stderr}`);
  assert.deepEqual(await world.archived(), await world.closed());
  assert.deepEqual(await archivedInS3(), await world.closed());
});

test('a log of 300 MB is archived within 300 MB of memory', async (t) => {
  const before = await rssMib('VmRSS');
  await addNoise(world.mysql, 300);
  const once = await world.pitrail('archive', '--rotate');
  assert.equal(once.code, 0);
  await until('it is archived', async () => (await world.pitrail('archive', '--once')).code === 0);
  const [now, peak] = [await rssMib('VmRSS'), await rssMib('VmHWM')];
  t.diagnostic(
    `RSS before ${before.toFixed(0)} MiB, after ${now.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB`,
  );
  assert.ok(peak <= MAX_RSS_MIB, `${peak} MiB`);
});
