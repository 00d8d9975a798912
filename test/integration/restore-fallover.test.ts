/**
 * Promise: a restore that loses an object, a byte or a whole store in its middle goes on from another store,
 * gives exactly the state at its target, each transaction once, and says what it did.
 */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { access, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { segmentContext } from '../../src/archiving/seal-context.ts';
import { backupContext } from '../../src/backup/seal-context.ts';
import { open } from '../../src/envelope/open.ts';
import { seal } from '../../src/envelope/seal.ts';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import type { TestMysql } from '../support/mysql.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { documentOf, pitrail } from './cli-run.ts';
import { type RestoreRig, startRestored, startRestoreRig } from './restore-rig.ts';

let rig: RestoreRig;
let s3: TestS3;
let truth: Record<string, string>;
let gtids: string;
/** Keys of what a restore to the end reads: the base, a log of many frames, and the logs around it. */
const keys = { base: '', before: '', big: '', after: '' };

before(async () => {
  s3 = await startS3();
  const folder = join(s3.folder, '..');
  await writeFile(join(folder, 'access'), `${s3.credentials.accessKeyId}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'secret'), `${s3.credentials.secretAccessKey}\n`, { mode: 0o600 });
  const { endpoint, region, bucket } = s3;
  rig = await startRestoreRig({
    stores: [
      {
        id: 's3',
        s3: {
          bucket,
          prefix: 'archive',
          region,
          endpoint,
          pathStyle: true,
          accessKeyId: { file: join(folder, 'access') },
          secretAccessKey: { file: join(folder, 'secret') },
        },
      },
    ],
  });
  const { source } = rig;
  await createShop(source);
  await source.run('CREATE TABLE shop.blobs (id INT PRIMARY KEY AUTO_INCREMENT, body BLOB)');
  await rig.archive();
  await rig.backup();
  await placeOrders(source, 20);
  await rig.archive();
  // Does not compress, so that the stored object has several frames.
  for (let count = 0; count < 16; count += 1) {
    await source.run(
      `INSERT INTO shop.blobs (body) WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 900)
       SELECT RANDOM_BYTES(1024) FROM n`,
    );
  }
  await rig.archive();
  await placeOrders(source, 20, 2);
  await rig.archive();
  truth = await tableChecksums(source);
  gtids = await executed(source);
  const state = await rig.repositories.all[0]?.catalog.read();
  const [, first, big, last] = state?.allSegments().slice(-4) ?? [];
  keys.base = state?.backups().at(0)?.object.key ?? '';
  keys.before = first?.object.key ?? '';
  keys.big = big?.object.key ?? '';
  keys.after = last?.object.key ?? '';
  assert.ok((big?.object.lengthBytes ?? 0) > 12 * 1024 * 1024);
});
after(async () => {
  await rig.stop();
  await s3.stop();
});

async function executed(server: TestMysql): Promise<string> {
  const [row] = await server.query<{ gtids: string }>('SELECT @@GLOBAL.gtid_executed AS gtids');
  return row?.gtids ?? '';
}

const inMain = (key: string) => join(rig.folder.path, 'store', key);

/** Changes one bit of an object, at a share of its length. @returns what puts it back */
async function flipIn(key: string, share: number): Promise<() => Promise<void>> {
  const whole = await readFile(inMain(key));
  const altered = Buffer.from(whole);
  const at = Math.floor(whole.length * share);
  altered[at] = (altered[at] ?? 0) ^ 1;
  await writeFile(inMain(key), altered);
  return () => writeFile(inMain(key), whole);
}

/** @returns what puts it back */
async function removeIn(key: string): Promise<() => Promise<void>> {
  const whole = await readFile(inMain(key));
  await rm(inMain(key));
  return () => writeFile(inMain(key), whole);
}

async function assertTruth(dataDir: string): Promise<void> {
  const restored = await startRestored(dataDir);
  try {
    assert.deepEqual(await tableChecksums(restored), truth);
    assert.equal(await executed(restored), gtids);
  } finally {
    await restored.stop();
  }
}

test('objects that are missing or damaged in the first store come from the second, also from the middle on', async () => {
  const restores = [
    await removeIn(keys.before),
    await flipIn(keys.big, 0.7),
    await flipIn(keys.base, 0.7),
    await flipIn(keys.after, 0.5),
  ];
  const targetDir = rig.newTarget();
  const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--direct', '--json'];
  const run = await pitrail(['--config', rig.configFile, ...args]);
  assert.equal(run.code, 75, run.stderr);
  const outcome = documentOf<RestoreOutcome>(run);
  assert.equal(outcome.status, 'restored');
  const told = outcome.fallovers.map(({ key, from, to }) => [key, from, to]);
  const wanted = [keys.base, keys.before, keys.big, keys.after].map((key) => [key, 'main', 's3']);
  assert.deepEqual(told.toSorted(), wanted.toSorted());
  assert.equal(outcome.falloverCount, 4);
  assert.ok(outcome.fallovers.every(({ reason }) => reason.length > 20));
  await assertTruth(targetDir);

  // From the damaged store alone nothing is restored, and nothing is left behind: each step names what is in its way.
  const [putBackFirst, , putBackBase, putBackLast] = restores;
  const log = /^pitrail: Binlog \S+ of [0-9a-f-]{36} /m;
  await assertRefusedAlone(log, keys.after);
  await putBackLast?.();
  await assertRefusedAlone(/^pitrail: Base backup \S+ /m, keys.base);
  for (const restore of [putBackFirst, putBackBase]) await restore?.();
  await assertRefusedAlone(log, keys.big);
  for (const restore of restores) await restore();
});

/** A restore from `main` alone exits as corrupt, and says which object is damaged, where, and what to do. */
async function assertRefusedAlone(what: RegExp, key: string): Promise<void> {
  const alone = rig.newTarget();
  const args = ['restore', '--to', 'latest', '--target-dir', alone, '--direct', '--store', 'main'];
  const { code, stderr } = await pitrail(['--config', rig.configFile, ...args]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, what);
  assert.ok(
    stderr.includes(
      `(${key}) cannot be read whole, so nothing that needs it can be restored. In store main: `,
    ),
    stderr,
  );
  assert.match(stderr, /hint: .*pitrail verify --deep --store main/);
  await assert.rejects(access(alone));
}

test('a store that goes away before the replay is replaced by the other, and the plan is kept', async () => {
  const aside = join(rig.folder.path, 'aside');
  const job = rig.job('latest');
  const outcome = await restoreDirectly(await rig.context(), job, {
    onStep: (step) => {
      if (step === 'replay') renameSync(inMain(''), aside);
    },
    onPlanned: () => undefined,
    onRetry: () => undefined,
  });
  await rename(aside, inMain(''));
  assert.ok(outcome.fallovers.length > 0);
  assert.ok(outcome.fallovers.every(({ from, to }) => from === 'main' && to === 's3'));
  await assertTruth(job.targetDir);
});

/** Puts another base in the first store: sealed with the same key under the same name, of the same length. */
async function forgeBase(): Promise<() => Promise<void>> {
  const [first] = rig.repositories.all;
  const state = await first?.catalog.read();
  const [registered] = state?.backups() ?? [];
  assert.ok(first && state && registered);
  const { backupId } = registered.backup;
  const { key } = rig.repositories;
  const context = backupContext(backupId, state.repositoryId);
  const forged = async function* (): AsyncGenerator<Uint8Array> {
    let at = 0;
    const tar = open(first.store.read(keys.base), {
      key,
      context,
      plaintextBytes: registered.backup.tarBytes,
    });
    for await (const chunk of tar) {
      const copy = Buffer.from(chunk);
      // In the content of the first large file, behind its header.
      if (at <= 20_000 && at + copy.length > 20_000) copy[20_000 - at] = (copy[20_000 - at] ?? 0) ^ 1;
      at += copy.length;
      yield copy;
    }
  };
  const { output } = seal(forged(), { key, level: 1, signal: new AbortController().signal, context });
  const chunks: Uint8Array[] = [];
  for await (const chunk of output) chunks.push(chunk);
  const whole = await readFile(inMain(keys.base));
  await writeFile(inMain(keys.base), Buffer.concat(chunks));
  return () => writeFile(inMain(keys.base), whole);
}

test('a base that begins otherwise in one store is read anew from the one that the digest of the catalog proves', async () => {
  const putBack = await forgeBase();
  const outcome = await rig.restore('latest');
  await putBack();
  assert.deepEqual(
    outcome.fallovers.map(({ key, from, to }) => [key, from, to]),
    [[keys.base, 'main', 's3']],
  );
  assert.match(outcome.fallovers[0]?.reason ?? '', /SHA-256|digest/i);
  await assertTruth(outcome.dataDir);
});

/**
 * Puts another binlog in the first store, sealed with the same key under the same name: one byte of a row
 * is another, and the checksum of its event is right.
 */
async function forgeLog(): Promise<() => Promise<void>> {
  const [first] = rig.repositories.all;
  const state = await first?.catalog.read();
  const archived = state?.allSegments().find(({ object }) => object.key === keys.big);
  assert.ok(first && state && archived);
  const { segment } = archived;
  const { key } = rig.repositories;
  const context = { ...segmentContext(segment, state.repositoryId), plaintextSha256: null };
  const plain: Uint8Array[] = [];
  const opened = open(first.store.read(keys.big), { key, context, maxPlaintextBytes: segment.lengthBytes });
  for await (const chunk of opened) plain.push(Buffer.from(chunk));
  const bytes = Buffer.concat(plain);
  changeFirstRow(bytes);
  const body = async function* () {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  };
  const { output } = seal(body(), { key, level: 1, signal: new AbortController().signal, context });
  const chunks: Uint8Array[] = [];
  for await (const chunk of output) chunks.push(Buffer.from(chunk));
  const whole = await readFile(inMain(keys.big));
  await writeFile(inMain(keys.big), Buffer.concat(chunks));
  return () => writeFile(inMain(keys.big), whole);
}

/** Changes the last byte of the first large WRITE_ROWS event, and its checksum with it. */
function changeFirstRow(log: Buffer): void {
  const [WRITE_ROWS, HEADER, CHECKSUM] = [30, 19, 4];
  for (let at = 4; at + HEADER <= log.length; at += log.readUInt32LE(at + 9)) {
    const end = at + log.readUInt32LE(at + 9);
    if (log[at + 4] !== WRITE_ROWS || end - at < 1_000) continue;
    const last = end - CHECKSUM - 1;
    log[last] = (log[last] ?? 0) ^ 1;
    log.writeUInt32LE(crc32(log.subarray(at, end - CHECKSUM)), end - CHECKSUM);
    return;
  }
  assert.fail('no row was found');
}

test('a log of which one store gave other bytes, replayed before its digest failed, is replayed anew from the other', async () => {
  const putBack = await forgeLog();
  const targetDir = rig.newTarget();
  const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--direct', '--json'];
  const run = await pitrail(['--config', rig.configFile, ...args]);
  await putBack();
  assert.equal(run.code, 75, run.stderr);
  const outcome = documentOf<RestoreOutcome>(run);
  assert.deepEqual(
    outcome.fallovers.map(({ key, from, to }) => [key, from, to]),
    [[keys.big, 'main', 's3']],
  );
  assert.match(outcome.fallovers[0]?.reason ?? '', /SHA-256|digest/i);
  await assertTruth(targetDir);

  // From that store alone nothing is restored, though each byte of it was sealed with the right key.
  const putBackAgain = await forgeLog();
  const alone = rig.newTarget();
  const asked = ['restore', '--to', 'latest', '--target-dir', alone, '--direct', '--store', 'main'];
  const refused = await pitrail(['--config', rig.configFile, ...asked]);
  await putBackAgain();
  assert.equal(refused.code, 4, refused.stderr);
  await assert.rejects(access(alone));
});

test('where no store gives the newest base, the restore begins from the one before it, and says so', async () => {
  const [{ backup, object } = assert.fail()] = (await rig.backup()).registered;
  const state = await rig.repositories.all[0]?.catalog.read();
  const older = state?.backups().find((it) => it.backup.backupId !== backup.backupId);
  const inS3 = join(s3.folder, s3.bucket, 'archive', object.key);
  const whole = await readFile(inS3);
  const putBack = await removeIn(object.key);
  await rm(inS3);
  const outcome = await rig.restore('latest');
  await putBack();
  await writeFile(inS3, whole);
  assert.equal(outcome.backupId, older?.backup.backupId);
  assert.deepEqual(
    outcome.fallovers.map(({ key, from, to }) => [key, from, to]),
    [[object.key, 'main, s3', 'main']],
  );
  assert.match(outcome.fallovers[0]?.reason ?? '', new RegExp(`in the place of ${backup.backupId}`));
  await assertTruth(outcome.dataDir);
});

test('locate reads on from another store where an object is missing or damaged, and says so', async () => {
  const args = ['locate', '--op', 'update', '--since', '2020-01-01T00:00:00Z', '--limit', '10000', '--json'];
  const whole = await pitrail(['--config', rig.configFile, ...args]);
  assert.equal(whole.code, 0, whole.stderr);
  const restores = [await removeIn(keys.before), await flipIn(keys.big, 0.7), await flipIn(keys.after, 0.5)];
  const run = await pitrail(['--config', rig.configFile, ...args]);
  const alone = await pitrail(['--config', rig.configFile, ...args, '--store', 'main']);
  for (const restore of restores) await restore();
  assert.equal(run.code, 75, run.stderr);
  assert.deepEqual(documentOf(run), documentOf(whole));
  for (const key of [keys.before, keys.big, keys.after]) {
    assert.ok(run.stderr.includes(`read ${key} from s3 in the place of main`), run.stderr);
  }
  assert.ok(alone.code === 3 || alone.code === 4, `${alone.code}: ${alone.stderr}`);
});

test('with both stores whole nothing falls over', async () => {
  const outcome = await rig.restore('latest');
  assert.deepEqual(outcome.fallovers, []);
  assert.equal(outcome.falloverCount, 0);
  await assertTruth(outcome.dataDir);
});
