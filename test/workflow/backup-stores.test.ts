/**
 * Promises: a store that is away, or goes away in the middle, does not hold the base backup up; the command
 * ends degraded and says what brings it there; the surviving store restores; after `sync` both verify equal.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BackupProgress, TakeBackupResult } from '../../workflows/contracts/backup.ts';
import { startRestored } from '../integration/restore-rig.ts';
import { addNoise, createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

let world: ArchiveWorld;
let farStore: FarStore;

before(async () => {
  farStore = await startFarStore();
  world = await startArchiveWorld({ stores: [farStore.entry] });
  await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
  await createShop(world.mysql);
  // Enough to be under way for some time.
  await addNoise(world.mysql, 20);
  await archiveAll();
});
after(async () => {
  await world.stop();
  await farStore.stop();
});

async function archiveAll(): Promise<void> {
  const rotated = await world.pitrail('archive', '--rotate');
  assert.equal(rotated.code, 0, rotated.stderr);
  await soon('all is archived', async () => (await world.pitrail('archive', '--once')).code === 0);
}

function cutOff(): void {
  farStore.cable.setWeather({ kind: 'hold' });
  farStore.cable.reset();
}

async function bringBack(): Promise<void> {
  farStore.cable.setWeather({ kind: 'clear' });
  farStore.cable.reset();
  const once = await world.pitrail('archive', '--once');
  assert.equal(once.code, 0, once.stderr);
}

function assertOnlyInMain({ stores, lackedBy, completeness }: TakeBackupResult): void {
  assert.deepEqual(stores, ['main']);
  assert.deepEqual(
    lackedBy.map(({ store }) => store),
    ['far'],
  );
  assert.match(lackedBy[0]?.code ?? '', /^Store(Unreachable|Stalled)$/);
  assert.equal(completeness, 'complete', 'its binlogs are in the store that has it');
}

async function problems(): Promise<string[]> {
  const { stdout } = await world.pitrail('status', '--json');
  const { clusters } = JSON.parse(stdout) as {
    clusters: { problems: { code: string; subject: string }[] }[];
  };
  return (clusters[0]?.problems ?? []).map(({ code, subject }) => `${code} ${subject}`);
}

/** Fills the store that was away, and has both proven: each whole, and equal. */
async function assertSyncMakesEqual(): Promise<void> {
  assert.deepEqual(await problems(), ['BackupMissing far']);
  const synced = await world.pitrail('sync', '--from', 'main', '--to', 'far');
  assert.equal(synced.code, 0, synced.stderr + synced.stdout);
  const verified = await world.pitrail('verify', '--deep');
  assert.equal(verified.code, 0, verified.stderr + verified.stdout);
  assert.deepEqual(await problems(), []);
}

test('a store that is away when it begins is left behind, and the command says how it gets it', async () => {
  const first = await world.pitrail('backup', '--json');
  assert.equal(first.code, 0, first.stderr + first.stdout);
  assert.deepEqual((JSON.parse(first.stdout) as TakeBackupResult).stores, ['main', 'far']);
  cutOff();
  const taken = await world.pitrail('backup');
  assert.equal(taken.code, 75, taken.stderr + taken.stdout);
  assert.match(taken.stdout, /stored in main\n/);
  assert.match(taken.stdout, /far lacks it: .*\n.*pitrail sync --cluster shop --from main --to far\n/);
  await bringBack();
  await assertSyncMakesEqual();
});

/** The phase of the backup that runs. */
async function phase(): Promise<BackupProgress['phase'] | null> {
  for await (const { workflowId, status } of world.client.workflow.list({
    query: 'WorkflowType="takeBackup"',
  })) {
    if (status.name !== 'RUNNING') continue;
    return (await world.client.workflow.getHandle(workflowId).query<BackupProgress>('progress')).phase;
  }
  return null;
}

test('a store that goes away in the middle is left behind, and the other one restores without it', async () => {
  await placeOrders(world.mysql, 50);
  farStore.cable.setWeather({ kind: 'throttle', bytesPerSecond: 1_000_000 });
  const taking = world.pitrail('backup', '--json');
  await soon('it is being stored', async () => (await phase()) === 'sealAndUpload');
  const before = farStore.cable.passed('to-server');
  await soon('some of it is there', async () => farStore.cable.passed('to-server') - before > 3_000_000);
  assert.equal(await phase(), 'sealAndUpload', 'the cut comes in the middle');
  cutOff();
  const began = performance.now();
  const taken = await taking;
  const seconds = (performance.now() - began) / 1000;
  assert.equal(taken.code, 75, taken.stderr + taken.stdout);
  assert.ok(seconds < 100, `${seconds} s after the cut`);
  assertOnlyInMain(JSON.parse(taken.stdout) as TakeBackupResult);

  const truth = await tableChecksums(world.mysql);
  const executed = await world.mysql.gtidExecuted();
  const targetDir = join(world.dir, 'restored');
  await world.mysql.run('FLUSH BINARY LOGS');
  await soon(
    'the rest is in the folder',
    async () => String(await world.archived()) === String(await world.closed()),
  );
  const args = [
    'restore',
    '--direct',
    '--store',
    'main',
    '--to',
    'latest',
    '--target-dir',
    targetDir,
    '--json',
  ];
  const run = await world.pitrail(...args);
  assert.equal(run.code, 0, run.stderr + run.stdout);
  const { gtidExecuted, dataDir } = JSON.parse(run.stdout) as { gtidExecuted: string; dataDir: string };
  assert.equal(gtidExecuted, executed);
  const restored = await startRestored(dataDir);
  assert.deepEqual(await tableChecksums(restored), truth);
  await restored.stop();
  await rm(targetDir, { recursive: true });

  await bringBack();
  await assertSyncMakesEqual();
});
