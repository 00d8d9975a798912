/**
 * Promise: a required store that denies, or whose bucket is gone, has failed like one that is away: another
 * one counts for it, status names what is missing, and when that is back the store is filled and counts again.
 * One that was never set up rightly is told as that.
 */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { canarySecret } from '../support/canary.ts';
import { s3Policy } from '../support/iam.ts';
import { type S3Account, startS3, type TestS3 } from '../support/s3.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { soon } from './far-store.ts';

const BUCKET = 'archive';
const PREFIX = 'prod';
const account: S3Account = { accessKeyId: 'pitrail-archiver', secretAccessKey: canarySecret() };

let world: ArchiveWorld;
let worker: RunningProcess;
let s3: TestS3;
let bucket: ObjectStore;

before(async () => {
  s3 = await startS3(BUCKET, { users: [account] });
  await allow();
  process.env['TEST_S3_ACCESS'] = account.accessKeyId;
  process.env['TEST_S3_SECRET'] = account.secretAccessKey;
  bucket = openS3Store({
    id: 'far',
    bucket: BUCKET,
    region: s3.region,
    endpoint: s3.endpoint,
    prefix: PREFIX,
    forcePathStyle: true,
    credentials: async () => s3.credentials,
  });
  world = await startArchiveWorld({ stores: [entryOf('far', BUCKET)], main: { policy: 'catch-up' } });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await world.stop();
  await bucket.close();
  await s3.stop();
});

function entryOf(id: string, name: string): unknown {
  const { region, endpoint } = s3;
  const keys = { accessKeyId: { env: 'TEST_S3_ACCESS' }, secretAccessKey: { env: 'TEST_S3_SECRET' } };
  return { id, s3: { bucket: name, region, prefix: PREFIX, endpoint, pathStyle: true, ...keys } };
}

/** Puts the archiver's policy in force, less the actions that are denied. */
async function allow(denied: readonly string[] = []): Promise<void> {
  const Principal = { AWS: [account.accessKeyId] };
  const { Statement } = await s3Policy('archiver', BUCKET, PREFIX);
  const Resource = [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`];
  const deny = denied.map((Action) => ({
    Effect: 'Deny',
    Principal,
    Action,
    Resource: Action === 's3:*' ? Resource : Resource.slice(1),
  }));
  const allowed = Statement.map((it) => ({ ...it, Principal }));
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [...allowed, ...deny] });
  const root = s3.client();
  await root.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
  root.destroy();
}

const inBucket = (): Promise<CatalogState> => openCatalog(bucket).read();

async function closeLog(): Promise<string> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
  return (await world.closed()).at(-1) ?? assert.fail('nothing is closed');
}

async function circuitOf(store: string) {
  const { stores } = await world.status();
  return stores.find((record) => record.store === store)?.circuit ?? assert.fail(`no record of ${store}`);
}

async function problems(): Promise<{ code: string; kind: string; message: string; hint: string }[]> {
  return JSON.parse((await world.pitrail('status', '--json')).stdout).clusters[0].problems;
}

async function assertBackAndEqual(): Promise<void> {
  await soon('it counts again', async () => (await world.status()).standIns.length === 0);
  const [main, far] = [await world.catalog(), await inBucket()];
  const { verdict, differences } = compareCatalogs(viewOf('main', main), viewOf('far', far));
  assert.equal(verdict, 'equal', JSON.stringify(differences));
}

/** Takes something from the store that counts, and proves what becomes of it until it is given back. */
async function survives(
  take: () => Promise<void>,
  giveBack: () => Promise<void>,
  names: RegExp,
  kind: string,
) {
  const handoffs = (await world.catalog()).handoffs().length;
  await take();
  await closeLog();
  await soon('the folder counts', async () => (await world.status()).standIns.length === 1);
  const behind = await closeLog();
  await soon('a log counts without it', async () => (await world.archived()).includes(behind));
  await soon('nothing waits', async () => (await world.status()).backlog.logs === 0);
  await soon('it was tried again, in vain', async () => {
    const circuit = await circuitOf('far');
    return circuit.kind === 'open' && circuit.failedProbes >= 2;
  });
  const open = (await problems()).find(({ code }) => code === 'StoreCircuitOpen');
  assert.match(open?.message ?? '', names);
  assert.equal(open?.kind, kind);
  assert.match(open?.hint ?? '', /permission|bucket/);
  assert.deepEqual((await world.status()).standIns, [{ from: 'far', to: 'main' }], 'it stays so');
  await giveBack();
  await assertBackAndEqual();
  assert.equal((await inBucket()).handoffs().length, handoffs + 2, 'there and back, once');
  const newest = await closeLog();
  await soon('archiving goes on there', async () =>
    (await inBucket()).allSegments().some(({ segment }) => segment.binlog === newest),
  );
}

test('a store that may not be written to any more is stood in for, though it can still be read', async () => {
  const first = await closeLog();
  await soon('both have the first log', async () =>
    [await world.catalog(), await inBucket()].every((state) =>
      state.allSegments().some(({ segment }) => segment.binlog === first),
    ),
  );
  await survives(
    () => allow(['s3:PutObject']),
    () => allow(),
    /denies s3:PutObject/,
    'refused',
  );
});

test('a store that denies everything does not stop the source', async () => {
  await survives(
    () => allow(['s3:*']),
    () => allow(),
    /denies s3:GetObject/,
    'refused',
  );
});

test('a store whose bucket is gone does not stop the source', async () => {
  const folder = join(s3.folder, BUCKET);
  await survives(
    () => rename(folder, `${s3.folder}-away`),
    () => rename(`${s3.folder}-away`, folder),
    /bucket of .* does not exist/,
    'config',
  );
});

test('a decision of an operator is carried out, though the store that counts takes no entry', async () => {
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  await worker.stop();
  await allow(['s3:PutObject']);
  await closeLog();
  const binlog = await closeLog();
  await world.mysql.run(`PURGE BINARY LOGS TO '${binlog}'`);
  worker = await world.startWorker();
  await soon('the gap is listed', async () => (await world.status()).deadLetters.length > 0);
  const decided = await world.pitrail('archive', '--accept-gap', binlog, '--reason', 'purged', '--json');
  assert.equal(decided.code, 0, decided.stdout);
  await soon('the folder goes on', async () => (await world.archived()).includes(binlog));
  assert.deepEqual((await world.status()).standIns, [{ from: 'far', to: 'main' }]);
  await allow();
  await assertBackAndEqual();
});

test('a required store that was never set up rightly is told as the error of configuration that it is', async () => {
  await worker.stop();
  const config = parse(await readFile(world.config, 'utf8'));
  config.clusters.shop.stores.push(entryOf('new', 'no-such-bucket'));
  await writeFile(world.config, stringify(config));
  for (const command of ['check', 'apply']) {
    const run = await world.pitrail(command, '--json');
    assert.equal(run.code, 78, `${command}: ${run.stdout}`);
    assert.match(run.stdout, /BucketMissing/);
  }
  worker = await world.startWorker();
  const binlog = await closeLog();
  await soon('the others have the log', async () =>
    [await world.catalog(), await inBucket()].every((state) =>
      state.allSegments().some(({ segment }) => segment.binlog === binlog),
    ),
  );
  await soon('it is given up', async () => (await circuitOf('new')).kind !== 'closed');
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(once.code, 78, once.stdout);
  const { error } = JSON.parse(once.stdout);
  assert.deepEqual([error.code, error.kind], ['BucketMissing', 'config']);
  assert.deepEqual((await world.status()).standIns, [], 'nothing is known of what it must hold');
});
