import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { commitSegment } from '../../src/archiving/commit.ts';
import { discover } from '../../src/archiving/discover.ts';
import { hostAccess } from '../../src/archiving/host-access.ts';
import { releaseLog } from '../../src/archiving/release.ts';
import {
  openRepositories,
  type Repositories,
  sharedRepositoryId,
  signAs,
  wallClock,
} from '../../src/archiving/repositories.ts';
import { sealSegment } from '../../src/archiving/seal-segment.ts';
import { PeekCache } from '../../src/archiving/source-logs.ts';
import { stageLogs } from '../../src/archiving/stage.ts';
import { successorGtids } from '../../src/archiving/successor.ts';
import { uploadSegment } from '../../src/archiving/upload.ts';
import type { RegisteredBackup } from '../../src/backup/state.ts';
import { loadConfig } from '../../src/config/load.ts';
import { pickCluster } from '../../src/config/pick.ts';
import type { ClusterConfig, SourceConfig } from '../../src/config/types.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { findTool } from '../../src/process/tools.ts';
import type { RestoreContext } from '../../src/restoring/context.ts';
import { directRequestId, restoreDirectly } from '../../src/restoring/direct.ts';
import type { RestoreJob } from '../../src/restoring/job.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { RateGate } from '../../src/storage/guard/rate-gate.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { createRoleUser } from '../support/mysql-users.ts';
import { PLAIN_UPLOAD } from '../support/store-rules.ts';
import { takeBackup } from './base-rig.ts';

const MAIN = {
  program: process.execPath,
  args: [fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))],
};

/** What a restore of a test asks for, beside the target. */
export type JobOptions = Partial<Omit<RestoreJob, 'target' | 'cluster'>>;

/** A source that is archived in this process, and all that a restore from its archive needs. */
export interface RestoreRig {
  readonly folder: TestFolder;
  readonly source: TestMysql;
  readonly configFile: string;
  readonly cluster: ClusterConfig;
  readonly repositories: Repositories;
  /** Closes the open binlog, and archives every closed one; only into the stores that are named. */
  archive(stores?: readonly string[]): Promise<void>;
  /** Takes a base backup into all stores, or only into those that are named. */
  backup(stores?: readonly string[]): Promise<RegisteredBackup>;
  /** The stores of these ids, or all. */
  only(stores?: readonly string[]): Repositories;
  /** A target folder that does not exist yet. */
  newTarget(): string;
  context(changes?: Partial<RestoreContext>): Promise<RestoreContext>;
  job(target: string, options?: JobOptions): RestoreJob;
  /** Restores in this process, into a folder of its own unless one is named. */
  restore(target: string, options?: JobOptions): Promise<RestoreOutcome>;
  stop(): Promise<void>;
}

/** Further entries of `stores`, as pitrail.yaml has them; the first one stays the folder `store`. */
export interface RigOptions {
  readonly mysql?: readonly string[];
  readonly stores?: readonly unknown[];
  /** Address of a Temporal server, for tests that need one. */
  readonly temporal?: string;
}

/** Starts a source with an empty repository. */
export async function startRestoreRig(options: RigOptions = {}): Promise<RestoreRig> {
  const folder = await testFolder('pt-rs');
  const source = await startTestMysql({ options: options.mysql ?? [] });
  const account = await createRoleUser(source, 'pitrail', 'archiver', 'clone');
  await writeFile(join(folder.path, 'password'), `${account.password}\n`, { mode: 0o600 });
  await generateKeyFile(join(folder.path, 'key'));
  const configFile = await writeConfig(folder.path, source, options);
  const cluster = pickCluster(await loadConfig(configFile), 'shop');
  const repositories = await openRepositories(cluster);
  const by = { writer: 'test/1/rig', epoch: 1, at: '2026-01-01T00:00:00.000000Z' };
  const [first] = repositories.all;
  if (first === undefined) throw new Error('the rig has a store');
  const { repositoryId } = await first.catalog.init('shop', by);
  for (const { catalog } of repositories.all.slice(1)) await catalog.init('shop', by, repositoryId);
  const cache = new PeekCache();
  const only = (stores?: readonly string[]): Repositories => ({
    ...repositories,
    all: repositories.all.filter(({ store }) => stores === undefined || stores.includes(store.id)),
  });
  let targets = 0;
  const newTarget = () => {
    targets += 1;
    return join(folder.path, `target-${targets}`);
  };
  const context = async (changes: Partial<RestoreContext> = {}): Promise<RestoreContext> => ({
    cluster,
    mysqld: await findTool('mysqld'),
    signal: new AbortController().signal,
    now: wallClock,
    onProgress: () => undefined,
    ...changes,
  });
  const job = (target: string, asked: JobOptions = {}): RestoreJob => {
    const request = {
      cluster: 'shop',
      store: null,
      target,
      targetDir: newTarget(),
      timeline: null,
      skipGtids: '',
      ...asked,
    };
    return { requestId: directRequestId(request), afterwards: 'stop', ...request };
  };
  return {
    folder,
    source,
    configFile,
    cluster,
    repositories,
    async archive(stores) {
      await source.run('FLUSH BINARY LOGS');
      const { password } = account;
      const [archived] = cluster.sources;
      if (archived === undefined) throw new Error('the rig has a source');
      await archiveClosed({ server: source, source: archived, password, repositories: only(stores), cache });
    },
    backup: async (stores) => backUp(cluster, account.password, only(stores)),
    only,
    newTarget,
    context,
    job,
    restore: async (target, asked) => {
      const watcher = { onStep: () => undefined, onPlanned: () => undefined, onRetry: () => undefined };
      return restoreDirectly(await context(), job(target, asked), watcher);
    },
    async stop() {
      await repositories.close();
      await source.stop();
      await folder.remove();
    },
  };
}

async function writeConfig(dir: string, source: TestMysql, options: RigOptions): Promise<string> {
  const settings = {
    ...(options.temporal === undefined ? {} : { temporal: { address: options.temporal } }),
    clusters: {
      shop: {
        sources: [
          {
            id: 'shop-1',
            socket: source.socket,
            user: 'pitrail',
            password: { file: 'password' },
            binlogDir: source.binlogDir,
          },
        ],
        stores: [{ id: 'main', directory: 'store' }, ...(options.stores ?? [])],
        encryption: { keyFile: join(dir, 'key') },
        archive: { pollSeconds: 1, rotateSeconds: 0, stagingDir: 'staging' },
        restore: { scratchDir: 'scratch' },
      },
    },
  };
  const file = join(dir, 'pitrail.yaml');
  await writeFile(file, stringify(settings), { mode: 0o600 });
  return file;
}

export interface ArchiveClosed {
  readonly server: TestMysql;
  readonly source: SourceConfig;
  /** Of the user `pitrail`. */
  readonly password: string;
  readonly repositories: Repositories;
  readonly cache?: PeekCache;
  readonly epoch?: number;
}

/** Archives the closed binlogs of a server, as a round of the workflow does. @returns their names */
export async function archiveClosed(options: ArchiveClosed): Promise<string[]> {
  const { server, source, password, repositories, cache = new PeekCache(), epoch = 1 } = options;
  if (source.mode !== 'host') throw new Error('the rig has sources on this host');
  const session = await connectMysql({ socket: server.socket }, 'pitrail', password);
  try {
    const look = {
      source,
      session,
      repositories,
      access: hostAccess(source, cache, 1e12),
      cache,
      stores: repositories.all.map(
        ({ store }) => ({ store: store.id, policy: 'required', access: 'open' }) as const,
      ),
      heads: new Map(),
      setAside: [],
      givenUp: [],
      nowMs: Date.now(),
    };
    const { archive, stage } = await discover(look);
    await stageLogs(source.stagingDir, source.binlogDir, stage);
    const signal = new AbortController().signal;
    const repositoryId = await sharedRepositoryId(repositories);
    const { key } = repositories;
    for (const { log, successor } of archive) {
      const common = {
        stagingDir: source.stagingDir,
        log,
        repositoryId,
        key,
        signal,
        onProgress: () => undefined,
      };
      const nextPreviousGtids = await successorGtids(source.stagingDir, source.binlogDir, successor);
      const { segment } = await sealSegment({ ...common, nextPreviousGtids, level: 1 });
      for (const { store, catalog } of repositories.all) {
        const object = await uploadSegment({ ...common, ...PLAIN_UPLOAD, store });
        const sign = signAs({ role: 'test', source: source.id, epoch }, wallClock);
        await commitSegment(catalog, segment, object, sign);
      }
      await releaseLog(source.stagingDir, log);
    }
    return archive.map(({ log }) => log.binlog);
  } finally {
    await session.close();
  }
}

async function backUp(
  cluster: ClusterConfig,
  password: string,
  repositories: Repositories,
): Promise<RegisteredBackup> {
  const [source] = cluster.sources;
  if (source?.endpoint.kind !== 'socket') throw new Error('the rig has a source on a socket');
  const { socket } = source.endpoint;
  await mkdir(source.stagingDir, { recursive: true, mode: 0o700 });
  return takeBackup({
    connect: () => connectMysql({ socket }, source.user, password),
    stagingDir: source.stagingDir,
    repositories,
    policies: cluster.stores.map(({ id, policy }) => ({ store: id, policy })),
    gate: new RateGate(null),
    mysqld: await findTool('mysqld'),
    source: source.id,
    role: source.role,
    archivedSource: source.id,
    sign: (epoch) => signAs({ role: 'test', source: source.id, epoch }, wallClock)(),
    now: wallClock,
    level: 1,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}

/** Starts a server on a restored folder. */
export function startRestored(dataDir: string): Promise<TestMysql> {
  return startTestMysql({ dataDir, options: ['--skip-replica-start', '--event-scheduler=OFF'] });
}

/** Starts a worker process with all roles, and waits until it polls. */
export async function startWorker(
  rig: RestoreRig,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProcess> {
  const logFile = join(rig.folder.path, 'worker.log');
  const before = await readFile(logFile, 'utf8').catch(() => '');
  const worker = await startProcess(MAIN, ['--config', rig.configFile, 'worker'], { logFile, env });
  const deadline = Date.now() + 60_000;
  while (!(await readFile(logFile, 'utf8')).slice(before.length).includes('works on')) {
    if (Date.now() > deadline) throw new Error(`the worker does not poll; see ${logFile}`);
    await sleep(100);
  }
  return worker;
}

/** Starts pitrail with the rig's configuration, to be killed or waited for; stdout and stderr go to a file. */
export function startPitrail(
  rig: RestoreRig,
  args: readonly string[],
  logFile: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningProcess> {
  return startProcess(MAIN, ['--config', rig.configFile, ...args], { logFile, env });
}
