import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { TemporalConfig } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import { generateKeyFile } from '../../envelope/keys.ts';
import { neededPrivileges } from '../../mysql/grants.ts';
import { connectMysql, type MysqlSession } from '../../mysql/session.ts';
import { freePort } from '../../process/free-port.ts';
import { initializeDataDir, type RunningMysqld, startMysqld } from '../../process/mysqld.ts';
import { type RunningProcess, startProcess } from '../../process/start.ts';
import { findTool } from '../../process/tools.ts';
import { assertWorker } from '../archive/entity.ts';
import { connectTemporal } from '../temporal-client.ts';
import type { PitrailRunner } from './pitrail-runner.ts';

const READY_MS = 60_000;
const POLL_MS = 200;
/** The region where pitrail.yaml names none. */
const REGION = 'local';

/** Server options shared by the primary and the replica that tells the truth. */
export const SERVER_OPTIONS = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--log-bin=binlog',
  '--innodb-buffer-pool-size=128M',
  '--innodb-flush-log-at-trx-commit=2',
  '--sync-binlog=0',
  '--skip-name-resolve',
  '--plugin-load-add=mysql_clone.so',
  '--relay-log=relay',
] as const;

/** A running MySQL server of the scratch folder; root has no password on its socket. */
export interface ShopServer {
  readonly dataDir: string;
  readonly socket: string;
  readonly port: number;
  readonly mysqld: RunningMysqld;
  readonly root: MysqlSession;
}

/** Everything that was started, to be stopped in the reverse order. */
export class Started {
  readonly #stops: (() => Promise<unknown>)[] = [];

  add(stop: () => Promise<unknown>): void {
    this.#stops.push(stop);
  }

  /** Stops all, the last first; the first failure is thrown when every one was tried. */
  async stopAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const stop of this.#stops.splice(0).reverse()) {
      await stop().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Starts a server on a new data folder `dir/name`, listening on a socket and a free loopback port. */
export async function startShopServer(
  started: Started,
  where: {
    readonly dir: string;
    readonly name: string;
    readonly serverId: number;
    readonly dataDir?: string;
  },
  options: readonly string[] = SERVER_OPTIONS,
): Promise<ShopServer> {
  const home = join(where.dir, where.name);
  await mkdir(home, { recursive: true });
  const dataDir = where.dataDir ?? join(home, 'data');
  const socket = join(home, 's');
  const tool = await findTool('mysqld');
  if (where.dataDir === undefined) await initializeDataDir(tool, dataDir);
  const port = await freePort();
  const logFile = join(home, 'error.log');
  const mysqld = await startMysqld({
    tool,
    dataDir,
    socket,
    port,
    serverId: where.serverId,
    options,
    logFile,
  });
  started.add(() => mysqld.stop());
  const root = await connectMysql({ socket }, 'root', '');
  started.add(() => root.close());
  return { dataDir, socket, port, mysqld, root };
}

/** Temporal's development server with its web UI. */
export interface TemporalServer {
  readonly address: string;
  readonly ui: string;
}

/** Starts Temporal on free ports and waits until its namespace answers. */
export async function startTemporal(started: Started, dir: string): Promise<TemporalServer> {
  const [port, uiPort, httpPort] = [await freePort(), await freePort(), await freePort()];
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'error', '--port', String(port)];
  args.push(
    '--ui-port',
    String(uiPort),
    '--http-port',
    String(httpPort),
    '--db-filename',
    join(dir, 'temporal.db'),
  );
  const logFile = join(dir, 'temporal.log');
  const server = await startProcess(await findTool('temporal'), args, { logFile });
  started.add(() => server.stop());
  const address = `127.0.0.1:${port}`;
  await untilTemporalAnswers(address, server, logFile);
  return { address, ui: `http://127.0.0.1:${uiPort}` };
}

async function untilTemporalAnswers(address: string, server: RunningProcess, logFile: string): Promise<void> {
  await untilReady('The Temporal server', logFile, server, async () => {
    const connected = await connectTemporal(temporalAt(address));
    await connected.close();
  });
}

/** Tries until it works; `server` is the process that shall become ready. */
export async function untilReady(
  who: string,
  logFile: string,
  server: RunningProcess,
  attempt: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() < deadline) {
        await sleep(POLL_MS);
        continue;
      }
      server.kill('SIGKILL');
      throw new AppError({
        code: 'QuickstartNotReady',
        kind: 'unavailable',
        message: `${who} was not ready after ${READY_MS / 1000} s, so the quickstart cannot go on.`,
        hint: `Its log is ${logFile}.`,
        cause: error,
      });
    }
  }
}

function temporalAt(address: string): TemporalConfig {
  return { address, namespace: null, profile: null, apiKey: null };
}

/** The account that pitrail uses, with the least privileges; its password lies in a file of mode 0600. */
export async function createPitrailUser(root: MysqlSession, passwordFile: string): Promise<void> {
  const password = randomBytes(18).toString('base64url');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
  const privileges = [...new Set([...neededPrivileges('archiver'), ...neededPrivileges('clone')])];
  await root.run("CREATE USER 'pitrail'@'localhost' IDENTIFIED BY ?", [password]);
  await root.run(`GRANT ${privileges.join(', ')} ON *.* TO 'pitrail'@'localhost'`);
  await root.run('CREATE DATABASE pitrail');
  await root.run('CREATE PROCEDURE pitrail.rotate_binlog() SQL SECURITY DEFINER FLUSH BINARY LOGS');
  await root.run("GRANT EXECUTE ON PROCEDURE pitrail.rotate_binlog TO 'pitrail'@'localhost'");
}

/** Writes `pitrail.yaml`, whose first store is a folder, and the key that seals everything. */
export async function writeSettings(
  dir: string,
  server: ShopServer,
  temporal: TemporalServer,
  moreStores: readonly unknown[] = [],
): Promise<{ readonly configFile: string; readonly storeDir: string }> {
  const storeDir = join(dir, 'store');
  const configFile = join(dir, 'pitrail.yaml');
  await generateKeyFile(join(dir, 'key'));
  const settings = {
    temporal: { address: temporal.address },
    clusters: {
      shop: {
        sources: [
          {
            id: 'shop-1',
            socket: server.socket,
            user: 'pitrail',
            password: { file: join(dir, 'shop-1.password') },
            binlogDir: server.dataDir,
          },
        ],
        stores: [{ id: 'main', directory: storeDir }, ...moreStores],
        encryption: { keyFile: join(dir, 'key') },
        archive: { pollSeconds: 1, rotateSeconds: 5, stagingDir: join(dir, 'staging') },
        restore: { scratchDir: join(dir, 'scratch') },
      },
    },
  };
  await mkdir(storeDir, { recursive: true });
  await writeFile(configFile, stringify(settings), { mode: 0o600 });
  return { configFile, storeDir };
}

/** Starts a worker with every role, as its own process, and waits until it takes work. */
export async function startWorker(
  started: Started,
  pitrail: PitrailRunner,
  dir: string,
  temporal: TemporalServer,
): Promise<void> {
  const logFile = join(dir, 'worker.log');
  const worker = await startProcess(pitrail.program, [...pitrail.fixed, 'worker'], { logFile });
  started.add(() => worker.stop());
  const session = await connectTemporal(temporalAt(temporal.address));
  try {
    await untilReady('The worker', logFile, worker, () => assertWorker(session, REGION));
  } finally {
    await session.close();
  }
}
