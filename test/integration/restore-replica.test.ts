/**
 * Promise: what a replica logs under other names is recognized by its GTIDs and archived once, or with redundancy 2
 * in the logs of both servers; then a restore takes the cheapest of them, and where one is damaged the others.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { wallClock } from '../../src/archiving/repositories.ts';
import type { ArchivedSegment, CatalogState } from '../../src/catalog/fold.ts';
import type { SourceRef } from '../../src/domain/catalog-entry.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import type { RestorePlan } from '../../src/domain/restore-plan.ts';
import { formatInstant } from '../../src/domain/time.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { startTestReplica, type TestReplica } from '../support/mysql-replica.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { documentOf, pitrail } from './cli-run.ts';
import { type CloudStores, startCloudStores } from './cloud-stores.ts';
import { archiveClosed, type RestoreRig, startRestored, startRestoreRig } from './restore-rig.ts';

let clouds: CloudStores;
let rig: RestoreRig;
let replica: TestReplica;
let truth: Record<string, string>;
let gtids: string;
/** What came with the base of which the replica was made: no log of it holds that. */
let baseline: string;
/** `main` was archived with redundancy 1, `s3` with 2. */
const states: Record<'main' | 's3', CatalogState | undefined> = { main: undefined, s3: undefined };

before(async () => {
  clouds = await startCloudStores();
  rig = await startRestoreRig({ stores: [clouds.entries[0], { id: 'spare', directory: 'spare' }] });
  const { source } = rig;
  await createShop(source);
  await source.run('CREATE TABLE shop.blobs (id INT PRIMARY KEY AUTO_INCREMENT, body BLOB)');
  await rig.archive();
  await rig.backup();
  const { dataDir } = await rig.restore('latest');
  replica = await startTestReplica(source, { dataDir });
  baseline = await purgedOf(replica);
  await logManyTimes();
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');
  const roles = {
    from: { source: 'shop-1', serverUuid: parseServerUuid(source.serverUuid) },
    to: { source: 'shop-2', serverUuid: parseServerUuid(replica.serverUuid) },
    baselineGtids: baseline,
  };
  await handOver(roles, ['main', 's3']);
  await placeOrders(source, 20, 50);
  await replica.catchUp();
  await replica.run('FLUSH BINARY LOGS');
  await archiveReplica('main', 1);
  await archiveReplica('s3', 2);
  truth = await tableChecksums(source);
  gtids = await source.gtidExecuted();
  states.main = await rig.only(['main']).all[0]?.catalog.read();
  states.s3 = await rig.only(['s3']).all[0]?.catalog.read();
});
after(async () => {
  await replica?.stop();
  await rig?.stop();
  await clouds?.stop();
});

async function purgedOf(server: TestReplica): Promise<string> {
  const [row] = await server.query<{ gtids: string }>('SELECT @@GLOBAL.gtid_purged AS gtids');
  return (row?.gtids ?? '').replaceAll('\n', '');
}

/** Eight logs on the primary; the replica has all of it in one. One row does not compress, so that its log has several frames. */
async function logManyTimes(): Promise<void> {
  for (let count = 1; count <= 8; count += 1) {
    await placeOrders(rig.source, 6, count);
    for (let row = 0; row < 2; row += 1) {
      await rig.source.run(
        `INSERT INTO shop.blobs (body) WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 900)
         SELECT RANDOM_BYTES(1024) FROM n`,
      );
    }
    await rig.archive();
  }
}

/** The primary goes on once more, and its last log repeats what the replica's last one holds. @returns the key of that */
async function archiveBack(): Promise<string> {
  const roles = {
    from: { source: 'shop-2', serverUuid: parseServerUuid(replica.serverUuid) },
    to: { source: 'shop-1', serverUuid: parseServerUuid(rig.source.serverUuid) },
    baselineGtids: '',
  };
  await handOver(roles, ['s3']);
  await rig.source.run('FLUSH BINARY LOGS');
  const [primary] = rig.cluster.sources;
  assert.ok(primary);
  const source = { ...primary, redundancy: 2 };
  const password = (await readFile(join(rig.folder.path, 'password'), 'utf8')).trim();
  await archiveClosed({ server: rig.source, source, password, repositories: rig.only(['s3']), epoch: 3 });
  const state = await rig.only(['s3']).all[0]?.catalog.read();
  const [first, last] = [
    logsOf(state, replica.serverUuid).at(-1),
    logsOf(state, rig.source.serverUuid).at(-1),
  ];
  assert.ok(first && last && gtidsIn([first]).isSubsetOf(gtidsIn([last])));
  return first.object.key;
}

interface Roles {
  readonly from: SourceRef;
  readonly to: SourceRef;
  readonly baselineGtids: string;
}

/** The boundary, as a handoff writes it. */
async function handOver({ from, to, baselineGtids }: Roles, stores: readonly string[]): Promise<void> {
  for (const { catalog } of rig.only(stores).all) {
    const { epoch } = await catalog.read();
    await catalog.append(
      {
        kind: 'handoff',
        route: {
          kind: 'source',
          from,
          to,
          continuity: { kind: 'continues', timeline: 1, baselineGtids },
        },
        reason: 'operator',
        detail: 'asked for by the test',
      },
      { writer: 'test/1/handoff', epoch: epoch + 1, at: formatInstant(wallClock()) },
    );
  }
}

async function archiveReplica(store: string, redundancy: number): Promise<void> {
  const [primary] = rig.cluster.sources;
  assert.ok(primary);
  const source = {
    ...primary,
    id: 'shop-2',
    binlogDir: replica.binlogDir,
    stagingDir: join(rig.folder.path, `staging-${redundancy}`),
    redundancy,
  };
  const password = (await readFile(join(rig.folder.path, 'password'), 'utf8')).trim();
  await archiveClosed({ server: replica, source, password, repositories: rig.only([store]), epoch: 2 });
}

function logsOf(state: CatalogState | undefined, serverUuid: string): readonly ArchivedSegment[] {
  return state?.segmentsOf(parseServerUuid(serverUuid)) ?? [];
}

function gtidsIn(logs: readonly ArchivedSegment[]): GtidSet {
  return GtidSet.unionAll(logs.map(({ segment }) => GtidSet.parse(segment.gtids)));
}

async function plan(...more: readonly string[]): Promise<RestorePlan> {
  const run = await pitrail(['--config', rig.configFile, 'plan', '--to', 'latest', '--json', ...more]);
  assert.equal(run.code, 0, run.stderr);
  return documentOf<RestorePlan>(run);
}

async function restore(
  ...more: readonly string[]
): Promise<{ code: number; stderr: string; outcome: RestoreOutcome }> {
  const args = ['restore', '--to', 'latest', '--direct', '--json', '--target-dir', rig.newTarget(), ...more];
  const run = await pitrail(['--config', rig.configFile, ...args]);
  assert.ok(run.code === 0 || run.code === 75, `${run.code}: ${run.stderr}`);
  return { code: run.code, stderr: run.stderr, outcome: documentOf<RestoreOutcome>(run) };
}

async function assertTruth({ dataDir }: RestoreOutcome): Promise<void> {
  const restored = await startRestored(dataDir);
  try {
    assert.deepEqual(await tableChecksums(restored), truth);
    assert.ok(GtidSet.parse(await restored.gtidExecuted()).equals(GtidSet.parse(gtids)));
  } finally {
    await restored.stop();
  }
}

test('with redundancy 1 nothing is archived twice, and what the replica alone has logged is', async () => {
  assert.notEqual(baseline, '');
  const logs = states.main?.allSegments() ?? [];
  const sum = logs.reduce((count, { segment }) => count + segment.transactions, 0);
  assert.equal(BigInt(sum), gtidsIn(logs).count(), 'each transaction is archived once');
  assert.ok(gtidsIn(logs).equals(GtidSet.parse(gtids)));
  assert.ok(logsOf(states.main, replica.serverUuid).length > 0);
  assert.equal(states.main?.timelines().length, 1);
});

test('with redundancy 2 each transaction behind the baseline lies in the logs of both servers', async () => {
  const [primary, heir] = [rig.source, replica].map(({ serverUuid }) =>
    gtidsIn(logsOf(states.s3, serverUuid)),
  );
  assert.ok(primary !== undefined && heir !== undefined);
  const behind = primary.subtract(GtidSet.parse(baseline));
  assert.ok(behind.count() > 50n);
  assert.ok(behind.isSubsetOf(heir));
  assert.ok(primary.union(heir).equals(GtidSet.parse(gtids)));
});

test('a restore takes the cheapest cover of the logs of both servers, and equals the source', async () => {
  const [once, twice] = [await plan('--store', 'main'), await plan('--store', 's3')];
  assert.equal(once.expectedGtids, twice.expectedGtids);
  assert.ok(once.segments.length > 8);
  assert.ok(twice.segments.length < once.segments.length);
  assert.deepEqual([...new Set(twice.segments.map(({ serverUuid }) => serverUuid))], [replica.serverUuid]);
  assert.ok(twice.verdict.reasons.some((it) => it.code === 'other-logs' && it.because === 'cheaper'));
  const together = await plan();
  assert.deepEqual(
    together.segments.map(({ sha256, stores }) => [sha256, stores.includes('s3')]),
    twice.segments.map(({ sha256 }) => [sha256, true]),
  );
  for (const store of ['main', 's3']) {
    const { code, outcome } = await restore('--store', store);
    assert.deepEqual([code, outcome.falloverCount], [0, 0]);
    await assertTruth(outcome);
  }
});

/** Changes one bit of an object in S3, at a share of its length. @returns what puts it back */
async function flipInS3(key: string, share: number): Promise<() => Promise<void>> {
  const file = join(clouds.folders.s3, key);
  const whole = await readFile(file);
  const altered = Buffer.from(whole);
  const at = Math.floor(whole.length * share);
  altered[at] = (altered[at] ?? 0) ^ 1;
  await writeFile(file, altered);
  return () => writeFile(file, whole);
}

test('where the cheapest copy is damaged in its middle the logs of the other server are used, and that is said', async () => {
  const chosen = (await plan('--store', 's3')).segments.find(({ lengthBytes }) => lengthBytes > 8_000_000);
  assert.ok(chosen);
  const putBack = await flipInS3(chosen.object.key, 0.8);
  const { code, stderr, outcome } = await restore('--store', 's3');
  await putBack();
  assert.equal(code, 75, stderr);
  assert.deepEqual(
    outcome.fallovers.map(({ key, from, to }) => [key, from, to]),
    [[chosen.object.key, 's3', 's3']],
  );
  assert.match(outcome.fallovers[0]?.reason ?? '', new RegExp(`comes from ${rig.source.serverUuid}/binlog`));
  await assertTruth(outcome);
});

test('where the log that names the last transaction is damaged, the end is read from the other server, and that is said', async () => {
  const putBack = await flipInS3(await archiveBack(), 0.5);
  const planned = await pitrail(
    ['--config', rig.configFile, 'plan', '--to', 'latest', '--json'].concat(['--store', 's3']),
  );
  assert.equal(planned.code, 75, planned.stderr);
  assert.match(planned.stderr, new RegExp(`comes from ${rig.source.serverUuid}/binlog`));
  const { code, outcome } = await restore('--store', 's3');
  await putBack();
  assert.equal(code, 75);
  assert.equal(outcome.falloverCount, 1);
  await assertTruth(outcome);
});

test('what an old writer adds to a store that has not got the handoff is left out by name, and the exit code says so', async () => {
  await replica.run('STOP REPLICA');
  await placeOrders(rig.source, 3, 99);
  const lost = GtidSet.parse(await rig.source.gtidExecuted()).subtract(GtidSet.parse(gtids));
  await rig.archive(['spare']);
  const run = await pitrail(['--config', rig.configFile, 'plan', '--to', 'latest', '--json']);
  assert.equal(run.code, 75, run.stderr);
  const told = run.stderr.split('\n').filter((line) => line.startsWith('passed over store spare: '));
  assert.equal(told.length, 1);
  assert.ok(told[0]?.includes(`lacks ${lost}`), run.stderr);
  const planned = GtidSet.parse(documentOf<RestorePlan>(run).expectedGtids);
  assert.ok(planned.equals(GtidSet.parse(gtids)));
});
