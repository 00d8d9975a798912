import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectMysql } from '../../mysql/session.ts';
import { formatBytes, formatCount } from '../words.ts';
import type { BackupDocument } from './documents.ts';
import { type PitrailRunner, pitrailRunner } from './pitrail-runner.ts';
import { createShop, startTraffic, type Traffic } from './shop.ts';
import {
  createPitrailUser,
  type ShopServer,
  type Started,
  startShopServer,
  startTemporal,
  startWorker,
  type TemporalServer,
  writeSettings,
} from './world.ts';

export const CONNECTIONS = 4;
/** How many transactions each stretch of traffic commits at least. */
export const STRETCH = 3000;
const POLL_MS = 50;

/** The servers and settings of one quickstart. */
export interface World {
  readonly dir: string;
  readonly primary: ShopServer;
  readonly temporal: TemporalServer;
  readonly pitrail: PitrailRunner;
  readonly started: Started;
  readonly signal: AbortSignal;
}

/** Starts MySQL with the shop, Temporal and a worker; archives to a folder, and to more stores where given. */
export async function startWorld(
  dir: string,
  started: Started,
  signal: AbortSignal,
  moreStores: readonly unknown[] = [],
) {
  const [temporal, primary] = await Promise.all([
    startTemporal(started, dir),
    startShopServer(started, { dir, name: 'shop-1', serverId: 1 }),
  ]);
  await createPitrailUser(primary.root, join(dir, 'shop-1.password'));
  await createShop(primary.root);
  const { configFile, storeDir } = await writeSettings(dir, primary, temporal, moreStores);
  const pitrail = pitrailRunner(configFile, signal);
  await startWorker(started, pitrail, dir, temporal);
  const world: World = { dir, primary, temporal, pitrail, started, signal };
  return {
    value: world,
    facts: [
      `MySQL ${primary.root.serverVersion} on ${primary.socket}`,
      `Temporal's web UI: ${temporal.ui}`,
      `Settings: ${configFile}; store: ${storeDir}`,
    ],
  };
}

/** Opens the repositories, and begins archiving. */
export async function applySettings({ pitrail }: World) {
  await pitrail.json<unknown>(['apply']);
  return { value: undefined, facts: ['workflow archive/shop/shop-1 runs'] };
}

/** Starts traffic that goes on. */
export async function beginTraffic({ primary, started }: World) {
  const sessions = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => connectMysql({ socket: primary.socket }, 'root', '')),
  );
  const traffic = startTraffic(sessions);
  started.add(() => traffic.stop());
  await untilCommitted(traffic, STRETCH);
  return { value: traffic, facts: [`${formatCount(traffic.committed(), 'transaction')} so far`] };
}

/** Takes a base backup. */
export async function takeBackup({ pitrail }: World) {
  const backup = await pitrail.json<BackupDocument>(['backup']);
  return {
    value: backup,
    facts: [
      `${backup.backupId}: ${formatBytes(backup.dataBytes)} of data, ${formatBytes(backup.storedBytes)} stored`,
    ],
  };
}

/** Waits until so many transactions are committed in all. */
export async function untilCommitted(traffic: Traffic, count: number): Promise<void> {
  while (traffic.committed() < count) await Promise.race([sleep(POLL_MS), traffic.failed]);
}
