/**
 * Promises: a stand-in that is lost stops nothing for good. The store that it stood in for gets the
 * handoffs that it lacks, counts itself again once it holds all that was ever called archived, and not
 * before; the lost one is filled when it wakes up, and both end equal.
 */
import assert from 'node:assert/strict';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogState } from '../../src/catalog/fold.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { archivedGtids } from '../../src/domain/routing/catalog-view.ts';
import { readAudit } from '../../src/telemetry/audit.ts';
import { documentOf, pitrail } from '../integration/cli-run.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
/** The store that counts, and the one that nobody waits for. */
let p: FarStore;
let c: FarStore;
let worker: Awaited<ReturnType<ArchiveWorld['startWorker']>>;

before(async () => {
  [p, c] = await Promise.all([startFarStore('p'), startFarStore('c')]);
  world = await startArchiveWorld({
    main: { ...p.entry, directory: undefined },
    stores: [{ ...c.entry, policy: 'catch-up' }],
  });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await createShop(world.mysql);
});

after(async () => {
  await world.stop();
  await Promise.all([p.stop(), c.stop()]);
});

const read = ({ bucket }: FarStore): Promise<CatalogState> => openCatalog(bucket).read();
const heldBy = async (store: FarStore): Promise<GtidSet> => archivedGtids(viewOf('', await read(store)));
const circuitOf = async (store: string) =>
  (await world.status()).stores.find((it) => it.store === store)?.circuit.kind;

const auditFile = () => join(world.dir, 'scratch', 'audit.jsonl');

async function closeLog(): Promise<void> {
  await placeOrders(world.mysql, 5, Date.now());
  await world.mysql.run('FLUSH BINARY LOGS');
}

async function hasAll(store: FarStore): Promise<boolean> {
  const names = (await read(store)).allSegments().map(({ segment }) => segment.binlog);
  return String(names) === String(await world.closed());
}

async function cut({ cable }: FarStore): Promise<void> {
  cable.setWeather({ kind: 'refuse' });
  cable.reset();
}

async function isCounted(): Promise<boolean> {
  return (await world.status()).backlog.logs === 0;
}

async function routes(store: FarStore): Promise<string[]> {
  return (await read(store)).handoffs().map(({ epoch, route, reason }) => {
    assert.ok(route.kind === 'store');
    return `${epoch} ${route.from} to ${route.to}: ${reason}`;
  });
}

let acknowledged = GtidSet.EMPTY;

test('the store that counts dies, another one stands in, and that one dies as well: nothing counts, and status says why', async () => {
  await closeLog();
  await soon('both have all', async () => (await hasAll(p)) && (await hasAll(c)));
  const backup = await world.pitrail('backup', '--json');
  assert.equal(backup.code, 0, backup.stderr + backup.stdout);
  await soon('both have all', async () => (await hasAll(p)) && (await hasAll(c)));
  const asked = await world.pitrail('handoff', '--store', 'p', '--dry-run');
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stdout, /shop-1: c would count in the place of p: it holds all/);
  // The audit log cannot be written: that is told, and stops nothing.
  await mkdir(auditFile(), { recursive: true });
  await cut(p);
  await closeLog();
  await soon('c stands in', async () => (await world.status()).standIns.length === 1);
  await closeLog();
  await soon('c has all', async () => (await hasAll(c)) && (await isCounted()));
  await soon('the audit is missed', async () => (await world.status()).auditFailure !== null);
  assert.equal((await world.status()).unaudited.length, 1);
  acknowledged = await heldBy(c);
  assert.ok(!acknowledged.isSubsetOf(await heldBy(p)), 'some of it lies in c only');
  await cut(c);
  await closeLog();
  await soon('both are given up', async () => (await circuitOf('c')) !== 'closed');
  await soon('it is said', async () => (await world.status()).noStandIns.length === 1);
  const [unmet] = (await world.status()).noStandIns;
  assert.equal(unmet?.store, 'p');
  assert.deepEqual(unmet?.reasons, [
    { store: 'p', reason: 'circuit-open', missingGtids: '' },
    { store: 'c', reason: 'circuit-open', missingGtids: '' },
  ]);
  await soon('nothing counts', async () => (await world.status()).lastFailure !== null);
  const status = await world.pitrail('status');
  assert.equal(status.code, 75, status.stdout);
  assert.match(status.stdout, /no store can count in the place of p or for itself: p has failed, too; c has/);
  const none = await world.pitrail('handoff', '--store', 'p', '--dry-run');
  assert.equal(none.code, 3, none.stdout + none.stderr);
  assert.match(none.stdout, /no store could count in the place of p:\n {2}p has failed, too/);
  // The next worker knows the handoff from nobody but the workflow.
  worker.kill('SIGKILL');
  await worker.exited;
  assert.deepEqual(await routes(p), []);
});

test('the store is back while its stand-in is dead: it gets the handoff, all that was archived, and counts', async () => {
  p.cable.setWeather({ kind: 'clear' });
  worker = await world.startWorker();
  await soon('p counts itself', async () => (await world.status()).standIns.length === 0);
  assert.ok(acknowledged.isSubsetOf(await heldBy(p)), 'no transaction is archived any less');
  await closeLog();
  await soon('archiving goes on', async () => (await hasAll(p)) && (await isCounted()));
  assert.deepEqual((await world.status()).noStandIns, []);
  assert.notEqual(await circuitOf('c'), 'closed');
  const made = ['2 p to c: circuit-open', '3 c to p: switch-back'];
  assert.deepEqual(await routes(p), made);
  assert.deepEqual(await routes(c), made.slice(0, 1));
  await soon('it is validated', async () =>
    (await read(p)).handoffResults().some(({ handoffEpoch }) => handoffEpoch === 3),
  );
  const results = (await read(p)).handoffResults();
  assert.deepEqual(
    results.map(({ handoffEpoch, verdict }) => `${handoffEpoch} ${verdict}`),
    ['3 validated'],
  );
  assert.equal((await world.status()).unaudited.length, 2);
  await rmdir(auditFile());
  await soon('it is audited', async () => (await world.status()).unaudited.length === 0);
  const audit = await readAudit(auditFile());
  const told = audit.flatMap(({ event }) =>
    event.action === 'handoff' ? [`${event.from} to ${event.to}`] : [],
  );
  assert.deepEqual(told, ['p to c', 'c to p']);
});

test('all that was ever called archived is restored from the store that came back', async () => {
  const truth = await tableChecksums(world.mysql);
  const executed = await world.mysql.gtidExecuted();
  const config = join(world.dir, 'rescue.yaml');
  const keyFile = join(world.dir, 'key');
  const shop = { stores: [p.entry], encryption: { keyFile }, restore: { scratchDir: 'rescue' } };
  await writeFile(config, stringify({ clusters: { shop } }));
  const targetDir = join(world.dir, 'restored');
  const args = ['--config', config, 'restore', '--direct', '--to', 'latest', '--target-dir', targetDir];
  const run = await pitrail([...args, '--json']);
  assert.equal(run.code, 0, run.stderr + run.stdout);
  const { gtidExecuted, dataDir } = documentOf<{ gtidExecuted: string; dataDir: string }>(run);
  assert.ok(acknowledged.isSubsetOf(GtidSet.parse(gtidExecuted)));
  assert.equal(gtidExecuted, executed);
  const restored = await startRestored(dataDir);
  assert.deepEqual(await tableChecksums(restored), truth);
  await restored.stop();
});

test('the lost stand-in wakes up: it is filled, fenced by the same handoffs, and both are equal', async () => {
  c.cable.setWeather({ kind: 'clear' });
  await soon('c has all', () => hasAll(c));
  await closeLog();
  await soon('both have all', async () => (await hasAll(p)) && (await hasAll(c)));
  assert.deepEqual(await routes(c), await routes(p));
  assert.deepEqual((await world.status()).standIns, []);
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
  const verified = await world.pitrail('verify', '--deep');
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const executed = GtidSet.parse(await world.mysql.gtidExecuted());
  assert.ok(executed.equals(await heldBy(p)) && executed.equals(await heldBy(c)));
});
