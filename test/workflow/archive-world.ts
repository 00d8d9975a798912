import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import { runTool } from '../../src/process/run.ts';
import { type RunningProcess, startProcess } from '../../src/process/start.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { archiveSource } from '../../workflows/archiveSource.ts';
import type { ArchiveStatus } from '../../workflows/contracts/archive.ts';
import { testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql, type TestMysqlOptions } from '../support/mysql.ts';
import { allowRotation, createRoleUser } from '../support/mysql-users.ts';
import { startTemporalServer, type TestTemporal } from '../support/temporal.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** What the archive section of the configuration says in a test. */
export interface WorldOptions {
  readonly mysql?: TestMysqlOptions;
  readonly pollSeconds?: number;
  /** 0 unless a test wants rotation by time. */
  readonly rotateSeconds?: number;
  /** Further entries of `stores`, as in pitrail.yaml. */
  readonly stores?: readonly unknown[];
  /** More of the entry of the store `main`, and of the section `archive`. */
  readonly main?: object;
  readonly archive?: object;
  /** Entries of `sources` in place of the usual one; the account is `pitrail`, with its password in `password`. */
  readonly sources?: (mysql: TestMysql) => readonly Readonly<Record<string, unknown>>[];
  /** An already running Temporal server, which the world leaves running. */
  readonly temporal?: TestTemporal;
}

/** A server, a store, Temporal and a configuration: all that archiving needs, and no worker yet. */
export interface ArchiveWorld {
  readonly dir: string;
  readonly config: string;
  readonly mysql: TestMysql;
  readonly temporal: TestTemporal;
  readonly client: Client;
  readonly store: ObjectStore;
  readonly storeDir: string;
  readonly stagingDir: string;
  readonly workflowId: string;
  /** The workflow that archives the source. */
  entity(): WorkflowHandle<typeof archiveSource>;
  status(): Promise<ArchiveStatus>;
  /** Starts a worker process with all roles. */
  startWorker(env?: Readonly<Record<string, string>>, args?: readonly string[]): Promise<RunningProcess>;
  workerLog(): Promise<string>;
  /** Runs pitrail to its end. */
  pitrail(...args: readonly string[]): Promise<CliResult>;
  catalog(): Promise<CatalogState>;
  /** Names of archived binlogs, in catalog order. */
  archived(): Promise<string[]>;
  /** Names of closed binlogs of the server. */
  closed(): Promise<string[]>;
  /** Everything that lies in the staging folder. */
  staged(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For a worker whose memory is measured: what a test run has compiled beforehand would be loaded, too. */
export const AS_INSTALLED = { NODE_DISABLE_COMPILE_CACHE: '1' };

/** Makes a world in a folder of its own. */
export async function startArchiveWorld(options: WorldOptions = {}): Promise<ArchiveWorld> {
  const folder = await testFolder('pt-arch');
  const dir = folder.path;
  const [mysql, temporal] = await Promise.all([
    startTestMysql(options.mysql ?? {}),
    options.temporal ?? startTemporalServer(),
  ]);
  const user = await createRoleUser(mysql, 'pitrail', 'archiver', 'clone');
  await allowRotation(mysql, user);
  await mysql.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  await writeFile(join(dir, 'password'), `${user.password}\n`, { mode: 0o600 });
  await generateKeyFile(join(dir, 'key'));
  const config = join(dir, 'pitrail.yaml');
  await writeFile(config, stringify(configOf(dir, mysql, temporal, options)));
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: 'default' });
  const storeDir = join(dir, 'store');
  const store = openDirectoryStore({ id: 'main', directory: storeDir });
  const stagingDir = join(dir, 'staging', 'shop', 'shop-1');
  const logFile = join(dir, 'worker.log');
  const workers: RunningProcess[] = [];
  const run = { program: process.execPath, args: [MAIN] };
  const entity = () => client.workflow.getHandle<typeof archiveSource>('archive/shop/shop-1');
  const catalog = () => openCatalog(store).read();
  return {
    dir,
    config,
    mysql,
    temporal,
    client,
    store,
    storeDir,
    stagingDir,
    workflowId: 'archive/shop/shop-1',
    entity,
    status: () => entity().query<ArchiveStatus>('status'),
    async startWorker(env = {}, args = []) {
      const before = await readFile(logFile, 'utf8').catch(() => '');
      const all = ['--config', config, 'worker', ...args];
      const worker = await startProcess(run, all, { logFile, env });
      workers.push(worker);
      await until(
        'the worker polls',
        async () => (await readFile(logFile, 'utf8')).slice(before.length).includes('works on'),
        // Its workflows may have to be bundled first.
        240_000,
      );
      return worker;
    },
    workerLog: () => readFile(logFile, 'utf8'),
    pitrail: (...args) => runPitrail(run, ['--config', config, ...args]),
    catalog,
    archived: async () => (await catalog()).allSegments().map(({ segment }) => segment.binlog),
    closed: async () => (await readBinaryLogs(mysql.root)).slice(0, -1).map(({ name }) => name),
    staged: () => filesUnder(stagingDir),
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await connection.close();
      await mysql.stop();
      if (options.temporal === undefined) await temporal.stop();
      await folder.remove();
    },
  };
}

/** A source whose files the worker sees. */
export function hostSource(id: string, mysql: TestMysql): Readonly<Record<string, unknown>> {
  return { id, socket: mysql.socket, binlogDir: mysql.binlogDir };
}

function configOf(dir: string, mysql: TestMysql, temporal: TestTemporal, options: WorldOptions): unknown {
  return {
    temporal: { address: temporal.address },
    clusters: {
      shop: {
        sources: (options.sources?.(mysql) ?? [hostSource('shop-1', mysql)]).map((source) => ({
          user: 'pitrail',
          password: { file: 'password' },
          ...source,
        })),
        stores: [{ id: 'main', directory: 'store', ...options.main }, ...(options.stores ?? [])],
        encryption: { keyFile: join(dir, 'key') },
        archive: {
          pollSeconds: options.pollSeconds ?? 1,
          rotateSeconds: options.rotateSeconds ?? 0,
          stagingDir: 'staging',
          ...options.archive,
        },
        restore: { scratchDir: 'scratch' },
      },
    },
  };
}

async function runPitrail(
  run: { readonly program: string; readonly args: readonly string[] },
  args: readonly string[],
): Promise<CliResult> {
  const script = '"$@"; code=$?; echo; echo "exit $code"';
  const shell = { program: '/bin/sh', args: ['-c', script, 'sh', run.program, ...run.args] };
  const { stdout, stderr } = await runTool(shell, args, { timeoutMs: 120_000 });
  const [, out = '', code = ''] = /^([\s\S]*)\nexit (\d+)\n$/.exec(stdout) ?? [];
  return { code: Number(code), stdout: out, stderr };
}

/** Names of all files below a folder; none where it does not exist. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Waits for something to become true. @throws where it does not within the time */
export async function until(what: string, isSo: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await sleep(150);
  }
}
