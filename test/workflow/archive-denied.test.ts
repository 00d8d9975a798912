/**
 * Promise: a required store that denies, whose bucket is gone or whose certificate proves nothing has failed like one
 * that is away: another one counts for it, status names what is missing, and when that is back the store is filled and
 * counts again. One that was never set up rightly is told as that. No gap is accepted that a store may still fill.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { viewOf } from '../../src/catalog/view.ts';
import type { ServerUuid } from '../../src/domain/identity.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import type { RunningProcess } from '../../src/process/start.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import { canarySecret } from '../support/canary.ts';
import { makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { s3Policy } from '../support/iam.ts';
import { startTestMysql } from '../support/mysql.ts';
import { allowRotation, createRoleUser } from '../support/mysql-users.ts';
import { type S3Account, startS3, type TestS3 } from '../support/s3.ts';
import { type ArchiveWorld, hostSource, startArchiveWorld } from './archive-world.ts';
import { soon } from './far-store.ts';

const BUCKET = 'archive';
const PREFIX = 'prod';
const account: S3Account = { accessKeyId: 'pitrail-archiver', secretAccessKey: canarySecret() };
const ours = makeAuthority('pitrail test');
const theirs = makeAuthority('somebody else');

let world: ArchiveWorld;
let worker: RunningProcess;
let s3: TestS3;
let bucket: ObjectStore;
let tls: TestFolder;

before(async () => {
  tls = await testFolder('pt-tls');
  await writeFile(caFile(), ours.cert);
  const certificate = ours.issue(['127.0.0.1']);
  s3 = await startS3(BUCKET, { users: [account], tls: { certificate, caPem: ours.cert } });
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
    caFile: caFile(),
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
  await tls.remove();
});

function caFile(): string {
  return join(tls.path, 'ca.pem');
}

function entryOf(id: string, name: string): unknown {
  const { region, endpoint } = s3;
  const keys = { accessKeyId: { env: 'TEST_S3_ACCESS' }, secretAccessKey: { env: 'TEST_S3_SECRET' } };
  const where = { bucket: name, region, prefix: PREFIX, endpoint, pathStyle: true, caFile: caFile() };
  return { id, s3: { ...where, ...keys } };
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
  meanwhile: () => Promise<void> = async () => undefined,
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
  assert.match(open?.hint ?? '', /permission|bucket|certificate/);
  await meanwhile();
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

/** Every command that needs the store says which one it is, why it is not believed, and what to do. */
async function assertTold(commands: readonly string[][], reason: RegExp, remedy: RegExp): Promise<void> {
  for (const command of commands) {
    const run = await world.pitrail(...command);
    const said = run.stdout + run.stderr;
    assert.equal(run.code, 3, `${command}: ${said}`);
    assert.match(said, new RegExp(`${BUCKET}/${PREFIX} at 127[^]*did not prove[^]*${reason.source}`), said);
    assert.match(said, remedy);
  }
}

test('a store whose certificate has expired, bears another name or comes from elsewhere does not stop the source', async () => {
  await survives(
    () => s3.present(ours.issue(['127.0.0.1'], 'expired')),
    () => s3.present(ours.issue(['127.0.0.1'])),
    /CERT_HAS_EXPIRED/,
    'refused',
    async () => {
      const all = [['check'], ['apply'], ['verify'], ['sync', '--from', 'main', '--to', 'far']];
      await assertTold(all, /CERT_HAS_EXPIRED/, /Renew the certificate of the store/);
      await s3.present(ours.issue(['elsewhere.example']));
      await assertTold([['check']], /ERR_TLS_CERT_ALTNAME_INVALID/, /Correct the name in the endpoint/);
      await s3.present(theirs.issue(['127.0.0.1']));
      await assertTold(
        [['check']],
        /UNABLE_TO_|SELF_SIGNED/,
        /authority that signed its certificate \(caFile\)/,
      );
    },
  );
});

/** Removes all that lies staged of a log. */
async function unstage(binlog: string): Promise<void> {
  const folder = join(world.stagingDir, world.mysql.serverUuid);
  const names = (await readdir(folder)).filter((name) => name.startsWith(binlog));
  await Promise.all(names.map((name) => rm(join(folder, name))));
}

const gapsIn = (state: CatalogState) => state.acceptedGaps().map(({ missingGtids }) => missingGtids);

test('no gap is accepted while the store that is stood in for may have what is missing; it fills the other one', async () => {
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  await worker.stop();
  // The store that counts gets a log, and nobody hears of it: the other one is away, and the worker dies.
  await rename(world.storeDir, `${world.storeDir}-away`);
  worker = await world.startWorker({ PITRAIL_FAULT: 'archive.committed' });
  const only = await closeLog();
  await worker.exited;
  assert.ok((await inBucket()).allSegments().some(({ segment }) => segment.binlog === only));
  await allow(['s3:*']);
  await rm(world.storeDir, { recursive: true, force: true });
  await rename(`${world.storeDir}-away`, world.storeDir);
  const behind = await closeLog();
  await unstage(only);
  await world.mysql.run(`PURGE BINARY LOGS TO '${behind}'`);
  worker = await world.startWorker();
  await soon('the gap is listed', async () => (await world.status()).deadLetters.length > 0);
  assert.deepEqual((await world.status()).standIns, [{ from: 'far', to: 'main' }]);
  await world.entity().signal('acceptGap', { binlog: behind, reason: 'purged' });
  await soon(
    'it is not carried out',
    async () => (await world.status()).lastFailure?.code === 'StoreUnknown',
  );
  const { lastFailure, decisions } = await world.status();
  assert.match(lastFailure?.message ?? '', /far cannot be asked now.*may lie there/);
  assert.equal(decisions.length, 1);
  const before = gapsIn(await world.catalog());
  await allow();
  // Has the store tried at once, and not at its next probe.
  await world.pitrail('archive', '--once', '--source', 'shop-1');
  await assertBackAndEqual();
  await soon('both have both', async () =>
    [await world.catalog(), await inBucket()].every((state) =>
      [only, behind].every((name) => state.allSegments().some(({ segment }) => segment.binlog === name)),
    ),
  );
  assert.deepEqual(gapsIn(await world.catalog()), before, 'nothing was given up');
  assert.deepEqual([(await world.status()).deadLetters, (await world.status()).decisions], [[], []]);
});

/** Purges what no worker has seen, starts one, and gives up what is missing before the log that it returns. */
async function purgedAndGivenUp(): Promise<string> {
  const binlog = await closeLog();
  await world.mysql.run(`PURGE BINARY LOGS TO '${binlog}'`);
  worker = await world.startWorker();
  await soon('the gap is listed', async () => (await world.status()).deadLetters.length > 0);
  const decided = await world.pitrail('archive', '--accept-gap', binlog, '--reason', 'purged', '--json');
  assert.equal(decided.code, 0, decided.stdout);
  return binlog;
}

test('a decision of an operator is carried out, though the store that counts takes no entry', async () => {
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  await worker.stop();
  await allow(['s3:PutObject']);
  await closeLog();
  const binlog = await purgedAndGivenUp();
  await soon('the folder goes on', async () => (await world.archived()).includes(binlog));
  assert.deepEqual((await world.status()).standIns, [{ from: 'far', to: 'main' }]);
  await allow();
  await assertBackAndEqual();
});

test('a gap that is accepted after the stand-in has gone back is the same in both stores, and no more than what is lost', async () => {
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  await worker.stop();
  const known = await world.mysql.gtidExecuted();
  await closeLog();
  const now = await world.mysql.gtidExecuted();
  const [lost] = await world.mysql.query<{ gtids: string }>(
    `SELECT GTID_SUBTRACT('${now}', '${known}') AS gtids`,
  );
  const binlog = await purgedAndGivenUp();
  await soon('both go on', async () =>
    [await world.catalog(), await inBucket()].every((state) =>
      state.allSegments().some(({ segment }) => segment.binlog === binlog),
    ),
  );
  for (const state of [await world.catalog(), await inBucket()])
    assert.equal(gapsIn(state).at(-1), lost?.gtids);
  await assertBackAndEqual();
});

test('with two archived sources a store that fails is stood in for by both, and both know when it is back, also the idle one', async (t) => {
  const other = await startTestMysql();
  t.after(() => other.stop());
  const user = await createRoleUser(other, 'pitrail', 'archiver', 'clone');
  await allowRotation(other, user);
  await writeFile(join(world.dir, 'password-b'), `${user.password}\n`, { mode: 0o600 });
  const config = parse(await readFile(world.config, 'utf8'));
  const { sources, archive } = config.clusters.shop;
  archive.redundancy = 2;
  sources.push({
    ...sources[0],
    ...hostSource('shop-b', other),
    password: { file: 'password-b' },
  });
  await worker.stop();
  await writeFile(world.config, stringify(config));
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  const b = world.client.workflow.getHandle('archive/shop/shop-b');
  const both = async () => [await world.status(), await b.query<ArchiveStatus>('status')];
  const closeBoth = async () => {
    await closeLog();
    await other.run('CREATE DATABASE IF NOT EXISTS d', 'CREATE TABLE IF NOT EXISTS d.t (v INT)');
    await other.run('INSERT INTO d.t VALUES (1)', 'FLUSH BINARY LOGS');
  };
  const closed = async () => {
    const [own, theirs] = [await readBinaryLogs(world.mysql.root), await readBinaryLogs(other.root)];
    return [own, theirs].map((logs) => logs.slice(0, -1).at(-1)?.name);
  };
  const lastIn = (state: CatalogState) =>
    [world.mysql, other].map(
      (server) => state.segmentsOf(server.serverUuid as ServerUuid).at(-1)?.segment.binlog,
    );
  await closeBoth();
  await soon('the bucket has both', async () => isDeepStrictEqual(lastIn(await inBucket()), await closed()));
  const { epoch } = await inBucket();
  await allow(['s3:*']);
  await closeBoth();
  await soon('the folder counts for both', async () =>
    (await both()).every(({ standIns, hold }) => standIns.length === 1 && hold.kind === 'held'),
  );
  await closeBoth();
  await soon('the folder has both', async () =>
    isDeepStrictEqual(lastIn(await world.catalog()), await closed()),
  );
  await soon('nothing waits', async () => (await both()).every(({ backlog }) => backlog.logs === 0));
  await allow();
  // Neither server writes anything any more, and the idle one learns of the other's switch by itself.
  await world.pitrail('archive', '--once', '--source', 'shop-1');
  await soon('both count it again', async () =>
    (await both()).every(
      ({ standIns, hold }) => standIns.length === 0 && hold.kind === 'held' && hold.epoch === epoch + 2,
    ),
  );
  await assertBackAndEqual();
  assert.deepEqual(lastIn(await inBucket()), await closed());
  assert.equal((await inBucket()).handoffs().at(-1)?.epoch, epoch + 2, 'one switch for both, there and back');
  await soon('nothing is told against it', async () =>
    (await problems()).every(({ code }) => !/Store|Stand/.test(code)),
  );
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
  await soon('it is given up', async () =>
    (await world.status()).stores.some(({ store, circuit }) => store === 'new' && circuit.kind !== 'closed'),
  );
  const once = await world.pitrail('archive', '--once', '--json');
  assert.equal(once.code, 78, once.stdout);
  const { error } = JSON.parse(once.stdout);
  assert.deepEqual([error.code, error.kind], ['BucketMissing', 'config']);
  assert.deepEqual((await world.status()).standIns, [], 'nothing is known of what it must hold');
});
