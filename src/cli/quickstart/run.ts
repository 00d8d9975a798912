import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../domain/errors.ts';
import { readGtidExecuted } from '../../mysql/facts.ts';
import { connectMysql } from '../../mysql/session.ts';
import type { Output } from '../output.ts';
import { formatBytes, formatCount, formatSeconds } from '../words.ts';
import type { ArchiveDocument, BackupDocument, LocateDocument, RestoreDocument } from './documents.ts';
import { type PitrailRunner, pitrailRunner } from './pitrail-runner.ts';
import { createShop, SHOP_TABLES, startTraffic, type Traffic } from './shop.ts';
import { Story } from './story.ts';
import { checksums, replicaStoppedBefore, rowCounts } from './truth.ts';
import {
  createPitrailUser,
  SERVER_OPTIONS,
  type ShopServer,
  type Started,
  startShopServer,
  startTemporal,
  startWorker,
  type TemporalServer,
  writeSettings,
} from './world.ts';

const CONNECTIONS = 4;
/** How many transactions each stretch of traffic commits at least. */
const STRETCH = 3000;
const POLL_MS = 50;
const LOST_TABLE = 'shop.order_items';

/** The servers and settings of one quickstart. */
interface World {
  readonly dir: string;
  readonly primary: ShopServer;
  readonly temporal: TemporalServer;
  readonly pitrail: PitrailRunner;
  readonly started: Started;
  readonly signal: AbortSignal;
}

/** What the quickstart proved. */
export interface QuickstartResult {
  readonly status: 'proved';
  readonly dir: string;
  readonly temporalUi: string;
  readonly accident: string;
  readonly restored: RestoreDocument;
  readonly tables: readonly {
    readonly table: string;
    readonly rows: number;
    readonly checksum: string | null;
  }[];
  readonly steps: Story['records'];
  readonly seconds: number;
}

/**
 * Plays the whole main job on real servers in `dir`: archive, base backup, accident, locate, restore, and
 * the comparison with a replica that MySQL itself stopped before the accident.
 * @throws corrupt `QuickstartMismatch` where a restored table differs from the truth
 */
export async function runQuickstart(
  dir: string,
  started: Started,
  output: Output,
  signal: AbortSignal,
): Promise<QuickstartResult> {
  const story = new Story(output);
  const begunAt = performance.now();
  const world = await story.step('Start MySQL, Temporal and a pitrail worker', null, () =>
    startWorld(dir, started, signal),
  );
  const { pitrail } = world;
  await story.step('Open the repository and begin archiving', pitrail.line(['apply']), () =>
    applySettings(world),
  );
  const traffic = await story.step(`Traffic from ${CONNECTIONS} connections`, null, () =>
    beginTraffic(world),
  );
  await story.step('Take a base backup while the traffic goes on', pitrail.line(['backup']), () =>
    takeBackup(world),
  );
  const since = await story.step('More traffic', null, () => moreTraffic(traffic));
  await story.step(`The accident: DROP TABLE ${LOST_TABLE}`, null, () => accident(world, traffic));
  await story.step('Archive all that happened', pitrail.line(['archive', '--once']), () => archiveAll(world));
  const locate = ['locate', '--table', LOST_TABLE, '--op', 'drop', '--since', since];
  const gtid = await story.step('Find the accident in the archive', pitrail.line(locate), () =>
    findAccident(world, locate),
  );
  const targetDir = join(dir, 'restored');
  const restore = ['restore', '--to', `before:${gtid}`, '--target-dir', targetDir];
  const restored = await story.step('Restore to just before it', pitrail.line(restore), () =>
    restoreBefore(world, restore),
  );
  const tables = await story.step(
    'Compare with the truth: a replica that MySQL stopped at the same place',
    null,
    () => compare(world, gtid, targetDir, restored),
  );
  const seconds = Math.round(performance.now() - begunAt) / 1000;
  return {
    status: 'proved',
    dir,
    temporalUi: world.temporal.ui,
    accident: gtid,
    restored,
    tables,
    steps: story.records,
    seconds,
  };
}

async function startWorld(dir: string, started: Started, signal: AbortSignal) {
  const [temporal, primary] = await Promise.all([
    startTemporal(started, dir),
    startShopServer(started, { dir, name: 'shop-1', serverId: 1 }),
  ]);
  await createPitrailUser(primary.root, join(dir, 'shop-1.password'));
  await createShop(primary.root);
  const { configFile, storeDir } = await writeSettings(dir, primary, temporal);
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

async function applySettings({ pitrail }: World) {
  await pitrail.json<unknown>(['apply']);
  return { value: undefined, facts: ['workflow archive/shop/shop-1 runs'] };
}

async function beginTraffic({ primary, started }: World) {
  const sessions = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => connectMysql({ socket: primary.socket }, 'root', '')),
  );
  const traffic = startTraffic(sessions);
  started.add(() => traffic.stop());
  await untilCommitted(traffic, STRETCH);
  return { value: traffic, facts: [`${formatCount(traffic.committed(), 'transaction')} so far`] };
}

async function takeBackup({ pitrail }: World) {
  const backup = await pitrail.json<BackupDocument>(['backup']);
  return {
    value: backup,
    facts: [
      `${backup.backupId}: ${formatBytes(backup.dataBytes)} of data, ${formatBytes(backup.storedBytes)} stored`,
    ],
  };
}

async function moreTraffic(traffic: Traffic) {
  const since = new Date().toISOString();
  await untilCommitted(traffic, traffic.committed() + STRETCH);
  return { value: since, facts: [`${formatCount(traffic.committed(), 'transaction')} so far`] };
}

async function accident({ primary }: World, traffic: Traffic) {
  await primary.root.run(`DROP TABLE ${LOST_TABLE}`);
  await untilCommitted(traffic, traffic.committed() + STRETCH / 3);
  await traffic.stop();
  const total = traffic.committed();
  return { value: total, facts: [`the traffic went on: ${formatCount(total, 'transaction')} in all`] };
}

async function archiveAll({ pitrail, primary }: World) {
  await primary.root.run('FLUSH BINARY LOGS');
  const document = await pitrail.json<ArchiveDocument>(['archive', '--once']);
  const logs = document.sources.reduce((sum, { backlog }) => sum + backlog.logs, 0);
  const executed = await readGtidExecuted(primary.root);
  return {
    value: document,
    facts: [`backlog: ${formatCount(logs, 'binlog')}`, `the server executed ${executed}`],
  };
}

async function findAccident({ pitrail }: World, args: readonly string[]) {
  const { statements } = await pitrail.json<LocateDocument>(args);
  const [found, ...more] = statements;
  if (found === undefined || more.length > 0) {
    throw new AppError({
      code: 'QuickstartMismatch',
      kind: 'corrupt',
      message: `One DROP TABLE was expected in the archive and ${statements.length} were found.`,
    });
  }
  return {
    value: found.gtid,
    facts: [
      `DROP of ${found.tables.join(', ')} is ${found.gtid}, committed at ${found.committedAt ?? 'an unknown time'}, ${found.binlog}:${found.position}`,
    ],
  };
}

async function restoreBefore({ pitrail }: World, args: readonly string[]) {
  const restored = await pitrail.json<RestoreDocument>(args);
  const { plan, fetch, replay, verify } = restored.seconds;
  return {
    value: restored,
    facts: [
      `plan ${formatSeconds(plan)}, fetch ${formatSeconds(fetch)}, replay ${formatSeconds(replay)}, verify ${formatSeconds(verify)}`,
      `last applied: ${restored.lastApplied?.gtid ?? 'the base itself'}`,
      `gtid_executed: ${restored.gtidExecuted}`,
    ],
  };
}

async function compare(world: World, gtid: string, targetDir: string, restored: RestoreDocument) {
  const { started, dir, primary } = world;
  const truth = await replicaStoppedBefore(started, dir, primary, gtid);
  const server = await startShopServer(
    started,
    { dir, name: 'restored-server', serverId: 4, dataDir: targetDir },
    SERVER_OPTIONS,
  );
  const [wanted, found, rows] = [
    await checksums(truth.root),
    await checksums(server.root),
    await rowCounts(server.root),
  ];
  const executed = await readGtidExecuted(server.root);
  const differing = SHOP_TABLES.map((table) => `shop.${table}`).filter(
    (table) => wanted.get(table) === null || wanted.get(table) !== found.get(table),
  );
  if (differing.length > 0 || executed !== restored.gtidExecuted) {
    throw new AppError({
      code: 'QuickstartMismatch',
      kind: 'corrupt',
      message: `The restored server differs from the truth in ${differing.join(', ') || 'its GTIDs'}: this restore cannot be trusted.`,
      facts: { differing, executed },
    });
  }
  const tables = [...found].map(([table, checksum]) => ({ table, checksum, rows: rows.get(table) ?? 0 }));
  return {
    value: tables,
    facts: [
      ...tables.map(
        ({ table, rows, checksum }) =>
          `${table.padEnd(17)} ${String(rows).padStart(7)} rows, checksum ${checksum}: equal`,
      ),
      'every table is exactly as it was just before the accident',
    ],
  };
}

async function untilCommitted(traffic: Traffic, count: number): Promise<void> {
  while (traffic.committed() < count) await Promise.race([sleep(POLL_MS), traffic.failed]);
}
