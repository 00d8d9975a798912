import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { commitSegment } from '../../src/archiving/commit.ts';
import { releaseLog } from '../../src/archiving/release.ts';
import { openRepositories, type Repositories, signAs, wallClock } from '../../src/archiving/repositories.ts';
import { segmentContext } from '../../src/archiving/seal-context.ts';
import { sealSegment } from '../../src/archiving/seal-segment.ts';
import { uploadSegment } from '../../src/archiving/upload.ts';
import { makeBackupId } from '../../src/backup/backup-id.ts';
import { backupContext } from '../../src/backup/seal-context.ts';
import { loadConfig } from '../../src/config/load.ts';
import { pickCluster } from '../../src/config/pick.ts';
import type { BackupFacts } from '../../src/domain/catalog-entry.ts';
import { backupKey } from '../../src/domain/object-keys.ts';
import { seal } from '../../src/envelope/seal.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { PLAIN_UPLOAD } from '../support/store-rules.ts';
import { type OpenSource, openSource, UNWATCHED } from './archive-source.ts';
import { type CliOptions, type CliRun, pitrail } from './cli-run.ts';

/** A source archived into the store `main`, and two more stores that begin empty: `spare`, a folder, and `s3`. */
export interface SyncWorld {
  readonly mysql: TestMysql;
  readonly source: OpenSource;
  readonly s3: TestS3;
  /** Where the objects of each store lie as files. */
  readonly folders: Readonly<Record<'main' | 'spare' | 's3', string>>;
  /** Writes so many logs and archives all that is closed into `main`. */
  archive(logs: number): Promise<void>;
  /** Registers a base backup of random bytes in `main`. */
  backUp(): Promise<void>;
  /** Seals a log of the server once more: other bytes, the same plaintext. */
  sealAnew(binlog: string): Promise<Buffer>;
  run(args: readonly string[], env?: CliOptions['env']): Promise<CliRun>;
  /** Opens all three stores. */
  open(): Promise<Repositories>;
  stop(): Promise<void>;
}

const never = new AbortController().signal;
const sign = signAs({ role: 'test', source: 's', epoch: 1 }, wallClock);
const AT = '2026-11-20T10:32:05.123456Z';

export async function startSyncWorld(): Promise<SyncWorld> {
  const [mysql, s3] = await Promise.all([startTestMysql(), startS3()]);
  await mysql.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  const source = await openSource(mysql);
  const dir = join(source.storeDir, '..');
  const config = join(dir, 'all.yaml');
  await writeFile(config, stringify({ clusters: { c: clusterOf(s3) } }));
  const env = {
    PITRAIL_TEST_S3_ACCESS: s3.credentials.accessKeyId,
    PITRAIL_TEST_S3_SECRET: s3.credentials.secretAccessKey,
  };
  Object.assign(process.env, env);
  return {
    mysql,
    source,
    s3,
    folders: { main: source.storeDir, spare: join(dir, 'spare'), s3: join(s3.folder, s3.bucket) },
    archive: (logs) => archive(mysql, source, logs),
    backUp: () => backUp(source),
    sealAnew: (binlog) => sealAnew(mysql, source, binlog),
    run: (args, more = {}) => pitrail(['--config', config, ...args], { env: { ...env, ...more } }),
    open: async () => openRepositories(pickCluster(await loadConfig(config), 'c')),
    async stop() {
      await source.close();
      await Promise.all([mysql.stop(), s3.stop()]);
    },
  };
}

function clusterOf(s3: TestS3): unknown {
  const credentials = {
    accessKeyId: { env: 'PITRAIL_TEST_S3_ACCESS' },
    secretAccessKey: { env: 'PITRAIL_TEST_S3_SECRET' },
  };
  const bucket = { bucket: s3.bucket, region: s3.region, endpoint: s3.endpoint, pathStyle: true };
  return {
    sources: [],
    stores: [
      { id: 'main', directory: 'store' },
      { id: 'spare', directory: 'spare' },
      { id: 's3', s3: { ...bucket, ...credentials } },
    ],
    encryption: { keyFile: 'key' },
  };
}

async function archive(mysql: TestMysql, { context, look }: OpenSource, logs: number): Promise<void> {
  for (let n = 0; n < logs; n += 1) {
    await mysql.run("INSERT INTO d.t (v) VALUES (REPEAT('x', 200000))", 'FLUSH BINARY LOGS');
  }
  const { stage, archive: planned } = await look();
  const { stagingDir } = context.source;
  await context.access.stage(stage, UNWATCHED);
  const [repository] = context.repositories.all;
  if (repository === undefined) throw new Error('the test has no store');
  const { repositoryId } = await repository.catalog.read();
  const common = { stagingDir, repositoryId, signal: never, onProgress: () => undefined };
  const { key } = context.repositories;
  for (const { log } of planned) {
    const { segment } = await sealSegment({ ...common, log, key, nextPreviousGtids: null, level: 3 });
    const object = await uploadSegment({ ...common, ...PLAIN_UPLOAD, log, key, store: repository.store });
    await commitSegment(repository.catalog, segment, object, sign);
    await releaseLog(stagingDir, log);
  }
}

/** Sealed as a base backup is, so that it opens as one; nothing in it can be started. */
async function backUp({ context }: OpenSource): Promise<void> {
  const [repository] = context.repositories.all;
  if (repository === undefined) throw new Error('the test has no store');
  const { store, catalog } = repository;
  const state = await catalog.read();
  const backupId = makeBackupId(wallClock(), randomBytes(4).toString('hex'));
  const bytes = randomBytes(3_000_000);
  async function* plaintext(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  const { output, result } = seal(plaintext(), {
    key: context.repositories.key,
    level: 1,
    signal: never,
    context: backupContext(backupId, state.repositoryId),
  });
  const key = backupKey(backupId);
  await store.create(key, output);
  const sealed = await result;
  const archived = state.allSegments().at(-1);
  if (archived === undefined) throw new Error('a backup of a test follows a log');
  const { serverUuid, serverVersion, binlog } = archived.segment;
  const backup: BackupFacts = {
    backupId,
    engine: 'clone',
    serverUuid,
    serverVersion,
    coordinates: { gtidExecuted: archived.segment.gtids, gtidPurged: '', binlog, position: 4 },
    startedAt: AT,
    finishedAt: AT,
    lowerCaseTableNames: 0,
    characterSetServer: 'utf8mb4',
    collationServer: 'utf8mb4_0900_ai_ci',
    dataBytes: bytes.length,
    tarBytes: sealed.plaintextBytes,
    tarSha256: sealed.plaintextSha256,
    preparedXa: [],
    schemaSha256: sealed.plaintextSha256,
    timeline: archived.timeline,
  };
  const { storedBytes: lengthBytes, storedSha256: sha256, storedCrc32: crc32 } = sealed;
  const object = {
    key,
    lengthBytes,
    sha256,
    crc32,
    compression: 'zstd',
    encryption: 'aws-encryption-sdk',
  } as const;
  await catalog.append({ kind: 'backup-registered', backup, object }, sign());
}

async function sealAnew(mysql: TestMysql, { context }: OpenSource, binlog: string): Promise<Buffer> {
  const [repository] = context.repositories.all;
  if (repository === undefined) throw new Error('the test has no store');
  const state = await repository.catalog.read();
  const archived = state.allSegments().find(({ segment }) => segment.binlog === binlog);
  if (archived === undefined) throw new Error(`${binlog} is not archived`);
  const { output } = seal(createReadStream(join(mysql.binlogDir, binlog)), {
    key: context.repositories.key,
    level: 1,
    signal: never,
    context: segmentContext(archived.segment, state.repositoryId),
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of output) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Every object below `mysql/` and `backups/` of a store, by its key. */
export async function objectsIn(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for (const part of ['mysql', 'backups']) {
    const names = await readdir(join(folder, part), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of names) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      objects.set(path.slice(folder.length + 1), await readFile(path));
    }
  }
  return objects;
}
