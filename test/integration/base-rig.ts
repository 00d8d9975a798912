import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRepositories, type Repositories, signAs, wallClock } from '../../src/archiving/repositories.ts';
import { makeBackupId } from '../../src/backup/backup-id.ts';
import { captureCoordinates } from '../../src/backup/capture.ts';
import type { BackupContext } from '../../src/backup/context.ts';
import { executeClone } from '../../src/backup/execute.ts';
import { prepareBackup } from '../../src/backup/prepare.ts';
import { validateAndRegister } from '../../src/backup/register.ts';
import type { BackupRequest, RegisteredBackup } from '../../src/backup/state.ts';
import { uploadBackup } from '../../src/backup/upload.ts';
import type { ClusterConfig, StoreConfig } from '../../src/config/types.ts';
import { parseRepositoryId } from '../../src/domain/identity.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import { isCode } from '../../src/process/files.ts';
import { findTool } from '../../src/process/tools.ts';
import { RateGate } from '../../src/storage/guard/rate-gate.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { createRoleUser, type TestUser } from '../support/mysql-users.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { PLAIN_RULES } from '../support/store-rules.ts';
import { createShop, placeOrders } from '../support/workload.ts';

/** Everything that another process needs to take the same backup; the password comes by the environment. */
export interface RigConfig {
  readonly socket: string;
  readonly user: string;
  readonly stagingDir: string;
  readonly cluster: ClusterConfig;
}

/** Environment variables that hold the rig's secrets. */
export const PASSWORD_VARIABLE = 'PITRAIL_TEST_SOURCE_PASSWORD';
const S3_ACCESS_VARIABLE = 'PITRAIL_TEST_S3_ACCESS';
const S3_SECRET_VARIABLE = 'PITRAIL_TEST_S3_SECRET';

/** A source under a least-privileged account, two stores of different kinds, a key. */
export interface BackupRig {
  readonly folder: TestFolder;
  readonly source: TestMysql;
  readonly s3: TestS3;
  readonly account: TestUser;
  readonly config: RigConfig;
  readonly repositories: Repositories;
  readonly ctx: BackupContext;
  stop(): Promise<void>;
}

/** Starts a server with a shop, and opens a directory store and an S3 store for it. */
export async function startBackupRig(options: readonly string[] = []): Promise<BackupRig> {
  const folder = await testFolder('pt-base');
  const [source, s3] = await Promise.all([startTestMysql({ options }), startS3()]);
  await createShop(source);
  await placeOrders(source, 50);
  const account = await createRoleUser(source, 'pitrail', 'archiver', 'clone');
  process.env[PASSWORD_VARIABLE] = account.password;
  process.env[S3_ACCESS_VARIABLE] = s3.credentials.accessKeyId;
  process.env[S3_SECRET_VARIABLE] = s3.credentials.secretAccessKey;
  const config = await makeConfig(folder.path, source, s3, account.user);
  const repositories = await openRepositories(config.cluster);
  const by = { writer: 'test/1/rig', epoch: 1, at: '2026-01-01T00:00:00.000000Z' };
  const repositoryId = parseRepositoryId(randomUUID());
  for (const { catalog } of repositories.all) await catalog.init('shop', by, repositoryId);
  return {
    folder,
    source,
    s3,
    account,
    config,
    repositories,
    ctx: await contextOf(config, repositories),
    async stop() {
      await repositories.close();
      await Promise.all([source.stop(), s3.stop()]);
      await folder.remove();
    },
  };
}

async function makeConfig(dir: string, source: TestMysql, s3: TestS3, user: string): Promise<RigConfig> {
  const keyFile = join(dir, 'key');
  await generateKeyFile(keyFile);
  const stagingDir = join(dir, 'staging');
  await mkdir(stagingDir, { mode: 0o700 });
  const stores: StoreConfig[] = [
    { kind: 'directory', id: 'main', directory: join(dir, 'store') },
    {
      kind: 's3',
      id: 's3',
      bucket: s3.bucket,
      region: s3.region,
      prefix: 'prod',
      endpoint: s3.endpoint,
      caFile: null,
      pathStyle: true,
      credentials: {
        accessKeyId: { env: S3_ACCESS_VARIABLE },
        secretAccessKey: { env: S3_SECRET_VARIABLE },
      },
    },
  ];
  const cluster: ClusterConfig = {
    name: 'shop',
    sources: [],
    stores: stores.map((store) => ({ ...store, ...PLAIN_RULES })),
    encryption: { kind: 'key-file', keyFile },
    signing: { keyFile: null, publicKeyFile: null },
    archive: {
      pollSeconds: 1,
      rotateSeconds: 0,
      parallelTransfers: 2,
      level: 3,
      fallback: null,
      stagingMaxBytes: 1e12,
    },
    restore: { scratchDir: dir, mysqld: null, memoryBytes: null },
    auditFile: join(dir, 'audit.jsonl'),
  };
  return { socket: source.socket, user, stagingDir, cluster };
}

/** What the phases act with, as an activity would make it of the configuration. */
export async function contextOf(config: RigConfig, repositories: Repositories): Promise<BackupContext> {
  const password = process.env[PASSWORD_VARIABLE] ?? '';
  return {
    connect: () => connectMysql({ socket: config.socket }, config.user, password),
    stagingDir: config.stagingDir,
    repositories,
    policies: config.cluster.stores.map(({ id, policy }) => ({ store: id, policy })),
    gate: new RateGate(null),
    mysqld: await findTool('mysqld'),
    source: 'shop-1',
    role: 'archived',
    archivedSource: 'shop-1',
    sign: (epoch) => signAs({ role: 'test', source: 'shop-1', epoch }, wallClock)(),
    now: wallClock,
    level: config.cluster.archive.level,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  };
}

/** A fresh request. */
export function newRequest(): BackupRequest {
  return { backupId: makeBackupId(wallClock(), randomBytes(4).toString('hex')) };
}

/** The phases by name, each taking what the one before gave: as a workflow runs them. */
export const PHASES = [
  ['prepare', prepareBackup],
  ['executeUnderLimits', executeClone],
  ['captureCoordinates', captureCoordinates],
  ['sealAndUpload', uploadBackup],
  ['validateAndRegister', validateAndRegister],
] as const;

/** Runs all phases in this process; each result goes through JSON, as it does between activities. */
export async function takeBackup(
  ctx: BackupContext,
  request: BackupRequest = newRequest(),
): Promise<RegisteredBackup> {
  let state: unknown = request;
  for (const [, phase] of PHASES) state = throughJson(await phase(ctx, state as never));
  return state as RegisteredBackup;
}

/**
 * Runs the phases, keeping the result of each in a file, as Temporal keeps it in the history: another
 * process goes on with the first phase that has none.
 */
export async function takeBackupDurably(
  ctx: BackupContext,
  request: BackupRequest,
  historyDir: string,
): Promise<RegisteredBackup> {
  let state: unknown = request;
  for (const [name, phase] of PHASES) {
    const file = join(historyDir, `${request.backupId}-${name}.json`);
    const before = state;
    state = await readJson(file);
    if (state !== undefined) continue;
    state = throughJson(await phase(ctx, before as never));
    await writeFile(file, JSON.stringify(state));
  }
  return state as RegisteredBackup;
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function throughJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
