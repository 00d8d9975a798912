import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../domain/errors.ts';
import { readBinaryLogs, readGtidExecuted } from '../../mysql/facts.ts';
import type { Output } from '../output.ts';
import { formatCount, formatSeconds } from '../words.ts';
import type { RestoreDocument, StatusDocument, VerifyDocument } from './documents.ts';
import { type S3Server, startS3Server } from './s3-server.ts';
import { SHOP_TABLES, type Traffic } from './shop.ts';
import {
  applySettings,
  beginTraffic,
  CONNECTIONS,
  STRETCH,
  startWorld,
  takeBackup,
  untilCommitted,
  type World,
} from './steps.ts';
import { type StepRecord, Story } from './story.ts';
import { mismatch, startRestored } from './truth.ts';
import type { Started } from './world.ts';

const TIMEOUT_MS = 180_000;
const POLL_MS = 250;

/** What the scenario proved. */
export interface FallbackResult {
  readonly status: 'proved';
  readonly dir: string;
  readonly temporalUi: string;
  /** From the loss of the store to the first binlog that is archived without it. */
  readonly failoverSeconds: number;
  /** What `verify --deep` says of the stores, once the lost one was back. */
  readonly verified: VerifyDocument;
  readonly restored: RestoreDocument;
  readonly steps: readonly StepRecord[];
  readonly seconds: number;
}

/**
 * Plays the loss of a store on real servers in `dir`: the S3 store dies under traffic, another one counts in
 * its place, it comes back and is filled, all stores are proved equal, and it alone restores the server.
 * @throws corrupt `QuickstartMismatch` where stores or tables differ; unavailable `QuickstartNotReady`
 */
export async function runFallback(
  dir: string,
  started: Started,
  output: Output,
  signal: AbortSignal,
): Promise<FallbackResult> {
  const story = new Story(output);
  const begunAt = performance.now();
  const { world, s3 } = await story.step(
    'Start MySQL, Temporal, an S3 server and a pitrail worker with three stores',
    null,
    () => startWithStores(dir, started, signal),
  );
  const { pitrail } = world;
  const status = pitrail.line(['status']);
  await story.step('Open the repositories and begin archiving', pitrail.line(['apply']), () =>
    applySettings(world),
  );
  const traffic = await story.step(`Traffic from ${CONNECTIONS} connections`, null, () =>
    beginTraffic(world),
  );
  await story.step('Take a base backup into all three', pitrail.line(['backup']), () => takeBackup(world));
  const failoverSeconds = await story.step('The S3 server dies, and the traffic goes on', status, () =>
    loseStore(world, s3),
  );
  await story.step('It comes back, and gets what it lacks', status, () => storeComesBack(world, s3, traffic));
  const verified = await story.step(
    'Prove that every store is whole and all hold the same',
    pitrail.line(['verify', '--deep']),
    () => proveEqual(world),
  );
  const targetDir = join(dir, 'restored');
  const restore = ['restore', '--to', 'latest', '--store', 's3', '--target-dir', targetDir];
  const restored = await story.step(
    'Restore from the store that was away, and compare with the server',
    pitrail.line(restore),
    () => restoreAndCompare(world, restore, targetDir),
  );
  return {
    status: 'proved',
    dir,
    temporalUi: world.temporal.ui,
    failoverSeconds,
    verified,
    restored,
    steps: story.records,
    seconds: Math.round(performance.now() - begunAt) / 1000,
  };
}

async function startWithStores(dir: string, started: Started, signal: AbortSignal) {
  const s3 = await startS3Server(started, dir);
  const spare = { id: 'spare', directory: join(dir, 'spare'), policy: 'catch-up' };
  const { value: world, facts } = await startWorld(dir, started, signal, [s3.entry, spare]);
  return {
    value: { world, s3 },
    facts: [
      ...facts,
      `main: a folder, required; s3: ${s3.endpoint}, required; spare: a folder, which gets all and holds up nobody`,
    ],
  };
}

async function loseStore(world: World, s3: S3Server) {
  await untilRoutes(world, 'the spare store holds all', (routes) =>
    routes.every(({ backlog }) => backlog.logs === 0),
  );
  const open = (await readBinaryLogs(world.primary.root)).at(-1)?.name ?? '';
  await s3.kill();
  const lostAt = performance.now();
  await world.primary.root.run('FLUSH BINARY LOGS');
  const routes = await untilRoutes(world, 'archiving goes on without it', (now) =>
    now.some(
      ({ store, counts, through }) => store === 'spare' && counts === 'stands-in' && isThrough(through, open),
    ),
  );
  const failoverSeconds = Math.round((performance.now() - lostAt) / 100) / 10;
  const lost = routes.find(({ store }) => store === 's3');
  return {
    value: failoverSeconds,
    facts: [
      `its circuit is ${lost?.circuit.state}: ${lost?.circuit.reason ?? ''}`,
      'spare counts in its place, by an entry of the catalogs with a higher epoch',
      `${open} is archived without it, ${formatSeconds(failoverSeconds)} after the loss`,
    ],
  };
}

function isThrough(through: { readonly binlog: string } | null, binlog: string): boolean {
  return through !== null && through.binlog >= binlog;
}

async function storeComesBack(world: World, s3: S3Server, traffic: Traffic) {
  await untilCommitted(traffic, traffic.committed() + STRETCH);
  await s3.start();
  const backAt = performance.now();
  await untilRoutes(world, 'the store counts again', (routes) =>
    routes.every(({ counts, policy, circuit }) => counts === policy && circuit.state === 'closed'),
  );
  const seconds = (performance.now() - backAt) / 1000;
  await traffic.stop();
  await world.primary.root.run('FLUSH BINARY LOGS');
  await world.pitrail.json<unknown>(['archive', '--once']);
  await untilRoutes(world, 'nothing waits', (routes) => routes.every(({ backlog }) => backlog.logs === 0));
  return {
    value: undefined,
    facts: [
      `it was filled, compared with the others, and counts again after ${formatSeconds(seconds)}`,
      `${formatCount(traffic.committed(), 'transaction')} in all; nothing waits`,
    ],
  };
}

type Routes = StatusDocument['clusters'][number]['sources'][number]['routes'];

async function untilRoutes(world: World, what: string, isSo: (routes: Routes) => boolean): Promise<Routes> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (performance.now() < deadline) {
    const { clusters } = await world.pitrail.look<StatusDocument>(['status']);
    const routes = clusters[0]?.sources[0]?.routes ?? [];
    if (routes.length > 0 && isSo(routes)) return routes;
    await sleep(POLL_MS);
  }
  throw new AppError({
    code: 'QuickstartNotReady',
    kind: 'unavailable',
    message: `Waited ${TIMEOUT_MS / 1000} s in vain until ${what}, so the quickstart cannot go on.`,
    hint: `See ${join(world.dir, 'worker.log')}, and the workflow at ${world.temporal.ui}.`,
  });
}

async function proveEqual({ pitrail }: World) {
  const verified = await pitrail.json<VerifyDocument>(['verify', '--deep']);
  const { stores } = verified;
  return {
    value: verified,
    facts: [
      `${formatCount(stores.length, 'store')}: every object read, decrypted and scanned; the same transactions, the same digests`,
    ],
  };
}

async function restoreAndCompare(world: World, args: readonly string[], targetDir: string) {
  const { started, dir, primary, pitrail } = world;
  const restored = await pitrail.json<RestoreDocument>(args);
  await startRestored(started, { dir, dataDir: targetDir }, primary.root, restored);
  const executed = await readGtidExecuted(primary.root);
  if (executed !== restored.gtidExecuted) throw mismatch([], executed);
  return {
    value: restored,
    facts: [
      `gtid_executed: ${restored.gtidExecuted}, as on the server`,
      `${SHOP_TABLES.length} tables, every checksum equal`,
    ],
  };
}
