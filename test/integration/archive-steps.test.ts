import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ByteBudget } from '../../src/archiving/byte-budget.ts';
import { commitSegment } from '../../src/archiving/commit.ts';
import type { PlannedLog } from '../../src/archiving/discovery.ts';
import { requireFacts } from '../../src/archiving/facts-file.ts';
import { proveSealed } from '../../src/archiving/prove-sealed.ts';
import { releaseLog } from '../../src/archiving/release.ts';
import { sharedRepositoryId, signAs, wallClock } from '../../src/archiving/repositories.ts';
import { type SealOutcome, sealSegment } from '../../src/archiving/seal-segment.ts';

import { type LogRef, stagedFiles } from '../../src/archiving/staging.ts';
import { removeLeftovers } from '../../src/archiving/tidy.ts';
import { uploadSegment } from '../../src/archiving/upload.ts';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { VerifyDepth } from '../../src/config/types.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { StoredObject } from '../../src/domain/segment.ts';
import { generateKeyFile, noEncryption } from '../../src/envelope/keys.ts';
import { RateGate } from '../../src/storage/guard/rate-gate.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { type OpenSource, openSource, UNWATCHED } from './archive-source.ts';

let mysql: TestMysql;
let source: OpenSource;
const never = new AbortController().signal;
const sign = signAs({ role: 'test', source: 's', epoch: 1 }, wallClock);

before(async () => {
  mysql = await startTestMysql();
  await mysql.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  source = await openSource(mysql);
});
after(async () => {
  await source.close();
  await mysql.stop();
});

async function stagedLog(): Promise<PlannedLog> {
  await mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 100000))", 'FLUSH BINARY LOGS');
  const { stage, archive } = await source.look();
  const { access } = source.context;
  assert.equal(await access.stage(stage, UNWATCHED), stage.length);
  const [planned] = archive;
  assert.ok(planned);
  return planned;
}

async function sealed(log: LogRef, key = source.context.repositories.key): Promise<SealOutcome> {
  const { repositories, source: config } = source.context;
  return sealSegment({
    stagingDir: config.stagingDir,
    log,
    nextPreviousGtids: null,
    repositoryId: await sharedRepositoryId(repositories),
    key,
    level: 3,
    signal: never,
    onProgress: () => undefined,
  });
}

async function uploaded(
  log: LogRef,
  verify: VerifyDepth = 'full',
  store?: ObjectStore,
): Promise<StoredObject> {
  const { repositories, source: config } = source.context;
  const [repository] = repositories.all;
  assert.ok(repository);
  return uploadSegment({
    verify,
    gate: new RateGate(null),
    stagingDir: config.stagingDir,
    log,
    store: store ?? repository.store,
    repositoryId: await sharedRepositoryId(repositories),
    key: repositories.key,
    signal: never,
    onProgress: () => undefined,
  });
}

function filesOf(log: LogRef) {
  return stagedFiles(source.context.source.stagingDir, log);
}

function fails(code: string) {
  return (error: unknown) => error instanceof AppError && error.code === code;
}

async function archiveWhole(log: LogRef): Promise<void> {
  const { segment } = await sealed(log);
  const object = await uploaded(log);
  const [repository] = source.context.repositories.all;
  assert.ok(repository);
  await commitSegment(repository.catalog, segment, object, sign);
  await releaseLog(source.context.source.stagingDir, log);
}

test('a log whose sealed file was lost after its upload is sealed anew, and the stored object adopted', async () => {
  const { log } = await stagedLog();
  const first = await sealed(log);
  assert.deepEqual(await uploaded(log), first.object);
  await rm(filesOf(log).facts);
  await rm(filesOf(log).sealed);
  const second = await sealed(log);
  assert.notEqual(second.object.sha256, first.object.sha256, 'other ciphertext');
  assert.equal(second.object.key, first.object.key, 'same plaintext');
  assert.deepEqual(await uploaded(log), first.object, 'what lies in the store is what the catalog will say');
  await archiveWhole(log);
});

/** The store as it is, whose disk alters an object as soon as it lies there. */
function alteringStore(store: ObjectStore, objectKey: string, alter: () => Promise<void>): ObjectStore {
  return {
    id: store.id,
    kind: store.kind,
    location: store.location,
    async create(key, body, options) {
      const outcome = await store.create(key, body, options);
      if (key === objectKey) await alter();
      return outcome;
    },
    read: (key, options) => store.read(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    close: () => store.close(),
  };
}

test('the quick proof of a stored log finds another length and another beginning, the whole one all', async () => {
  const { log } = await stagedLog();
  const { object } = await sealed(log);
  const { repositories } = source.context;
  const [repository] = repositories.all;
  assert.ok(repository);
  const path = join(source.storeDir, object.key);
  const stored = async (verify: VerifyDepth, alter: () => Promise<void>) => {
    await rm(path, { force: true });
    return uploaded(log, verify, alteringStore(repository.store, object.key, alter));
  };
  const flip = async (at: number) => {
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(path, bytes);
  };
  const isCorrupt = (error: unknown) => error instanceof AppError && error.kind === 'corrupt';
  assert.deepEqual(await stored('first-8k', async () => undefined), object);
  await assert.rejects(
    stored('first-8k', () => truncate(path, object.lengthBytes - 1)),
    fails('StoredDiffers'),
  );
  await assert.rejects(
    stored('first-8k', () => flip(object.lengthBytes >> 1)),
    isCorrupt,
  );
  await assert.rejects(
    stored('full', () => flip(object.lengthBytes - 1)),
    isCorrupt,
  );
  await rm(path);
  await archiveWhole(log);
});

test('a log that is sealed already is not sealed again', async () => {
  const { log } = await stagedLog();
  const first = await sealed(log);
  assert.equal(first.made, 'now');
  assert.deepEqual(await sealed(log), { ...first, made: 'before' });
  await archiveWhole(log);
});

/** Magic number of zstd, with which an object begins that is compressed and not encrypted. */
const IN_THE_CLEAR = Buffer.from('28b52ffd', 'hex');

test('a log that was sealed without encryption, or with another key, is never stored like that', async () => {
  const other = await generateKeyFile(join(source.storeDir, '..', 'other-key'));
  for (const before of [noEncryption(), other]) {
    const { log } = await stagedLog();
    const { object: stale } = await sealed(log, before);
    await assert.rejects(uploaded(log), fails('SealedOtherwise'));
    const { store } = source.context.repositories.all[0] ?? assert.fail();
    assert.equal(await store.head(stale.key), undefined, 'nothing left the host');
    const { object } = await sealed(log);
    assert.notEqual(object.sha256, stale.sha256, 'sealed anew, from the staged log');
    await uploaded(log);
    const bytes = await readFile(join(source.storeDir, object.key));
    const { key } = source.context.repositories;
    assert.ok(key.kind === 'raw-aes' && bytes.subarray(0, 1024).includes(key.keyId), 'it names the key');
    assert.ok(!bytes.subarray(0, 4).equals(IN_THE_CLEAR));
    assert.ok(object.key.endsWith('.enc') && object.encryption === 'aws-encryption-sdk');
    await archiveWhole(log);
  }
});

test('an object that another key stored before the change is named with the way out, and left alone', async () => {
  const { log } = await stagedLog();
  const other = await generateKeyFile(join(source.storeDir, '..', 'third-key'));
  const { object } = await sealed(log, other);
  const path = join(source.storeDir, object.key);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(filesOf(log).sealed, path);
  await sealed(log);
  await assert.rejects(uploaded(log), (error: unknown) => {
    assert.ok(error instanceof AppError && error.code === 'ObjectConflict');
    return /another key.*then retry/.test(error.hint ?? '') && error.message.includes(log.binlog);
  });
  await rm(path);
  await archiveWhole(log);
});

test('other content under the key is a conflict, and nothing is overwritten', async () => {
  const { log } = await stagedLog();
  const { object } = await sealed(log);
  const path = join(source.storeDir, object.key);
  await uploaded(log);
  const original = await readFile(path);
  const changed = Buffer.from(original);
  changed[200] = (changed[200] ?? 0) ^ 1;
  await writeFile(path, changed);
  await assert.rejects(uploaded(log), fails('ObjectConflict'));
  assert.deepEqual(await readFile(path), changed);
  await writeFile(path, original);
  await archiveWhole(log);
});

test('a sealed file that the disk altered is not stored, and is made again', async () => {
  const { log } = await stagedLog();
  const { object } = await sealed(log);
  const bytes = await readFile(filesOf(log).sealed);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  await writeFile(filesOf(log).sealed, bytes);
  await assert.rejects(uploaded(log), fails('SpoolAltered'));
  const { store } = source.context.repositories.all[0] ?? assert.fail();
  assert.equal(await store.head(object.key), undefined);
  await archiveWhole(log);
});

test('a sealed file that does not open to its log, or is not what was written, never leaves the host', async () => {
  for (const key of [source.context.repositories.key, noEncryption()]) {
    const { log } = await stagedLog();
    const made = await sealed(log, key);
    const repositoryId = await sharedRepositoryId(source.context.repositories);
    const prove = (claim: SealOutcome) =>
      proveSealed(claim, {
        stagingDir: source.context.source.stagingDir,
        log,
        repositoryId,
        key,
        signal: never,
      });
    await prove(made);
    const { segment, object } = made;
    await assert.rejects(
      prove({ ...made, object: { ...object, sha256: segment.sha256 } }),
      fails('SealUnproven'),
    );
    await assert.rejects(prove({ ...made, segment: { ...segment, lengthBytes: 9 } }), fails('SealUnproven'));
    const path = filesOf(log).sealed;
    const whole = await readFile(path);
    for (const at of [4, whole.length >> 1, whole.length - 1]) {
      const altered = Buffer.from(whole);
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      await writeFile(path, altered);
      await assert.rejects(prove(made), fails('SealUnproven'), `the byte at ${at}`);
    }
    await writeFile(path, whole.subarray(0, whole.length - 1));
    await assert.rejects(prove(made), fails('SealUnproven'), 'cut short');
    await writeFile(path, whole);
    await archiveWhole(log);
  }
});

test('a sealed file that someone removed before its upload is made again', async () => {
  const { log } = await stagedLog();
  await sealed(log);
  await rm(filesOf(log).sealed);
  await assert.rejects(uploaded(log), fails('SpoolAltered'));
  await archiveWhole(log);
});

test('a log that changes while it is sealed is refused, and leaves no facts', async () => {
  const { log } = await stagedLog();
  const kept = await readFile(filesOf(log).log);
  await truncate(filesOf(log).log, log.lengthBytes - 40);
  await assert.rejects(sealed(log), fails('BinlogChanged'));
  const { key } = source.context.repositories;
  const repositoryId = await sharedRepositoryId(source.context.repositories);
  await assert.rejects(requireFacts(filesOf(log).facts, { repositoryId, key }), fails('SpoolLost'));
  // The link shares the server's file: put back what was cut.
  await writeFile(filesOf(log).log, kept);
  await archiveWhole(log);
});

test('a commit that two processes make at once stands once, on one timeline', async () => {
  const { log } = await stagedLog();
  const { segment } = await sealed(log);
  const object = await uploaded(log);
  const { store, catalog } = source.context.repositories.all[0] ?? assert.fail();
  const before = (await catalog.read()).allSegments().length;
  const others = Array.from({ length: 4 }, () => openCatalog(store));
  const timelines = await Promise.all(
    [catalog, ...others].map((each) => commitSegment(each, segment, object, sign)),
  );
  assert.equal(new Set(timelines).size, 1);
  assert.equal((await catalog.read()).allSegments().length, before + 1);
  await releaseLog(source.context.source.stagingDir, log);
});

test('what crashes left in the staging folder is removed, and what is alive is left', async () => {
  const { log } = await stagedLog();
  const folder = join(source.context.source.stagingDir, log.serverUuid);
  const dead = `${filesOf(log).sealed}.999999999-0123abcd-4567cdef.partial`;
  const alive = `${filesOf(log).sealed}.1-0123abcd-4567cdef.partial`;
  const orphan = join(folder, 'binlog.000099.0123456789ab.sealed');
  for (const path of [dead, alive, orphan]) await writeFile(path, 'x');
  await removeLeftovers(source.context.source.stagingDir, log.serverUuid);
  const names = await readdir(folder);
  assert.deepEqual(
    [dead, alive, orphan].map((path) => names.includes(path.slice(folder.length + 1))),
    [false, true, false],
  );
  await rm(alive);
  await archiveWhole(log);
  assert.deepEqual(await readdir(folder), []);
});

test('small work runs side by side and large work alone, in the order of asking', async () => {
  const budget = new ByteBudget(10);
  const running = new Set<string>();
  const seen: string[] = [];
  const work = (name: string, bytes: number) =>
    budget.run(bytes, never, async () => {
      running.add(name);
      seen.push([...running].join('+'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      running.delete(name);
    });
  await Promise.all([work('a', 4), work('b', 4), work('large', 1000), work('c', 1)]);
  assert.deepEqual(seen, ['a', 'a+b', 'large', 'c']);
  const stop = new AbortController();
  const holding = budget.run(10, never, () => new Promise((resolve) => setTimeout(resolve, 50)));
  const waiting = budget.run(5, stop.signal, async () => undefined);
  stop.abort(new Error('no more'));
  await assert.rejects(waiting, /no more/);
  await holding;
  await budget.run(10, never, async () => undefined);
});
