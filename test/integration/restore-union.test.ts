/**
 * Promise: stores of any kind, each with parts of an archive, restore together exactly what one whole store
 * restores, and that is the source itself. One that cannot be read is named, and stores that contradict each
 * other are refused by name.
 */
import assert from 'node:assert/strict';
import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { wallClock } from '../../src/archiving/repositories.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { catalogKey } from '../../src/domain/object-keys.ts';
import type { RestorePlan } from '../../src/domain/restore-plan.ts';
import { formatInstant } from '../../src/domain/time.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import type { TestMysql } from '../support/mysql.ts';
import { startTemporalServer, type TestTemporal } from '../support/temporal.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { documentOf, pitrail } from './cli-run.ts';
import { type CloudStores, startCloudStores } from './cloud-stores.ts';
import { type RestoreRig, startRestored, startRestoreRig, startWorker } from './restore-rig.ts';

/** The stores that hold parts only; `whole` holds everything. */
const PARTS = ['main', 's3', 'gcs'];
let clouds: CloudStores;
let temporal: TestTemporal;
let rig: RestoreRig;
/** A configuration with the three parts only. */
let parts: string;
let truth: Record<string, string>;
let gtids: string;

before(async () => {
  clouds = await startCloudStores();
  temporal = await startTemporalServer();
  const stores = [...clouds.entries, { id: 'whole', directory: 'whole' }];
  rig = await startRestoreRig({ stores, temporal: temporal.address });
  const { source } = rig;
  await createShop(source);
  await round(['main', 'whole']);
  await rig.backup(['s3', 'whole']);
  await round(['main', 'whole']);
  await round(['s3', 'whole']);
  await round(['gcs', 'whole']);
  await round(['main', 'gcs', 'whole']);
  await round(['s3', 'whole']);
  truth = await tableChecksums(source);
  gtids = await source.gtidExecuted();
  parts = await configWith(PARTS);
});
after(async () => {
  await rig?.stop();
  await temporal?.stop();
  await clouds?.stop();
});

let rounds = 0;

/** Orders, two logs of them, archived into these stores only; for the others they are gone, and given up. */
async function round(stores: readonly string[]): Promise<void> {
  const { source } = rig;
  rounds += 1;
  await giveUp(stores);
  await placeOrders(source, 10, rounds);
  await source.run('FLUSH BINARY LOGS');
  await placeOrders(source, 10, rounds + 100);
  await rig.archive(stores);
  const logs = await source.query<{ Log_name: string }>('SHOW BINARY LOGS');
  await source.run(`PURGE BINARY LOGS TO '${logs.at(-1)?.Log_name}'`);
}

/** What was archived elsewhere meanwhile, a store with something before it goes on without. */
async function giveUp(stores: readonly string[]): Promise<void> {
  const executed = GtidSet.parse(await rig.source.gtidExecuted());
  for (const { catalog } of rig.only(stores).all) {
    const last = (await catalog.read()).allSegments().at(-1);
    if (last === undefined) continue;
    const { serverUuid, previousGtids, gtids: own } = last.segment;
    const missing = executed.subtract(GtidSet.parse(previousGtids)).subtract(GtidSet.parse(own));
    if (missing.isEmpty) continue;
    const missingGtids = missing.toString();
    const body = {
      kind: 'gap-accepted',
      timeline: 1,
      serverUuid,
      missingGtids,
      detail: 'elsewhere',
    } as const;
    await catalog.append(body, { writer: 'test/1/gap', epoch: 1, at: formatInstant(wallClock()) });
  }
}

async function configWith(ids: readonly string[]): Promise<string> {
  const config = parse(await readFile(rig.configFile, 'utf8'));
  const { stores } = config.clusters.shop;
  config.clusters.shop.stores = stores.filter(({ id }: { id: string }) => ids.includes(id));
  const file = join(rig.folder.path, `${ids.join('-')}.yaml`);
  await writeFile(file, stringify(config), { mode: 0o600 });
  return file;
}

function restore(config: string, target: string, targetDir: string, ...more: readonly string[]) {
  return pitrail(
    ['--config', config, 'restore', '--direct', '--json', '--to', target, '--target-dir', targetDir].concat(
      more,
    ),
  );
}

interface State {
  readonly tables: Record<string, string>;
  readonly gtids: string;
}

async function stateOf(dataDir: string): Promise<State> {
  const server: TestMysql = await startRestored(dataDir);
  try {
    return { tables: await tableChecksums(server), gtids: await server.gtidExecuted() };
  } finally {
    await server.stop();
  }
}

test('three parts in a folder, in S3 and in GCS restore exactly what one whole store does, and the source', async () => {
  const [together, alone] = [rig.newTarget(), rig.newTarget()];
  const run = await restore(parts, 'latest', together);
  assert.equal(run.code, 0, run.stderr);
  const outcome = documentOf<RestoreOutcome>(run);
  assert.deepEqual(outcome.stores, PARTS);
  assert.equal(outcome.store, 's3', 'where the base lies');
  assert.deepEqual([outcome.passedOver, outcome.falloverCount], [[], 0]);
  const whole = await restore(rig.configFile, 'latest', alone, '--store', 'whole');
  assert.equal(whole.code, 0, whole.stderr);
  const [first, second] = [await stateOf(together), await stateOf(alone)];
  assert.deepEqual(first, second);
  assert.deepEqual(first, { tables: truth, gtids });
});

test('the workflow restores from the parts as well', async () => {
  const worker = await startWorker({ ...rig, configFile: parts });
  const targetDir = rig.newTarget();
  try {
    const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--json'];
    const run = await pitrail(['--config', parts, ...args]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(documentOf<RestoreOutcome>(run).stores, PARTS);
  } finally {
    await worker.stop();
  }
  assert.deepEqual(await stateOf(targetDir), { tables: truth, gtids });
});

test('a plan names for each object the stores that hold it, and equals the plan from the whole but for those', async () => {
  const plans = await Promise.all(
    [parts, await configWith(['whole'])].map(async (config) => {
      const run = await pitrail(['--config', config, 'plan', '--to', 'latest', '--json']);
      assert.equal(run.code, 0, run.stderr);
      return documentOf<RestorePlan>(run);
    }),
  );
  const [union, whole] = plans;
  assert.deepEqual(
    [...new Set(union?.segments.map(({ stores }) => stores.join()))],
    ['main', 's3', 'gcs', 'main,gcs'],
  );
  const plain = (plan: RestorePlan | undefined) => ({
    ...plan,
    catalogSequence: 0,
    base: { ...plan?.base, stores: [] },
    segments: plan?.segments.map((segment) => ({ ...segment, stores: [] })),
  });
  assert.deepEqual(plain(union), plain(whole));
});

test('a part alone is refused, and so is what is in none of those that can be read, with its name', async () => {
  const alone = await pitrail(['--config', parts, 'plan', '--to', 'latest', '--store', 's3', '--json']);
  assert.equal(alone.code, 3, alone.stderr);
  const aside = join(rig.folder.path, 'aside');
  await rename(join(rig.folder.path, 'store'), aside);
  const targetDir = rig.newTarget();
  const refused = await restore(parts, 'latest', targetDir);
  await rename(aside, join(rig.folder.path, 'store'));
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /needs transactions that no base backup and no archived binlog holds/);
  assert.match(refused.stderr, /Passed over was store main: /);
  await assert.rejects(access(targetDir));
});

test('a store that cannot be read is passed over by name where the others are enough, and the exit code says so', async () => {
  const config = await configWith(['main', 'whole']);
  const aside = join(rig.folder.path, 'aside');
  await rename(join(rig.folder.path, 'store'), aside);
  const targetDir = rig.newTarget();
  const run = await restore(config, 'latest', targetDir);
  await rename(aside, join(rig.folder.path, 'store'));
  assert.equal(run.code, 75, run.stderr);
  const outcome = documentOf<RestoreOutcome>(run);
  assert.match(outcome.passedOver.join(), /^main: /);
  assert.deepEqual(outcome.stores, ['whole']);
  assert.deepEqual(await stateOf(targetDir), { tables: truth, gtids });
});

test('a store whose catalog was altered is passed over by name, and alone it is refused as corrupt', async () => {
  const config = await configWith(['main', 'whole']);
  const entry = join(rig.folder.path, 'store', catalogKey(3));
  const kept = await readFile(entry, 'utf8');
  await writeFile(entry, kept.replace('"transactions":', '"transactions":1'));
  const together = await pitrail(['--config', config, 'plan', '--to', 'latest', '--json']);
  const alone = await pitrail(['--config', config, 'plan', '--to', 'latest', '--json', '--store', 'main']);
  await writeFile(entry, kept);
  assert.equal(together.code, 75, together.stderr);
  assert.match(together.stderr, /passed over store main: .*sequence 3/);
  assert.equal(documentOf<RestorePlan>(together).expectedGtids, gtids);
  assert.equal(alone.code, 4, alone.stderr);
});

test('locate finds in all parts what it finds in the whole, each statement once and in order', async () => {
  const found = await Promise.all(
    [parts, await configWith(['whole']), rig.configFile].map(async (config) => {
      const args = [
        'locate',
        '--op',
        'update',
        '--since',
        '2020-01-01T00:00:00Z',
        '--limit',
        '10000',
        '--json',
      ];
      const run = await pitrail(['--config', config, ...args]);
      assert.equal(run.code, 0, run.stderr);
      return documentOf<{ statements: { gtid: string }[] }>(run).statements.map(({ gtid }) => gtid);
    }),
  );
  assert.ok((found[1]?.length ?? 0) >= 100);
  assert.deepEqual(found[0], found[1]);
  assert.deepEqual(found[2], found[1]);
});
