/** Promise: a mount point can be restored to, is left as it was where that fails, and is the file system that is measured. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runTool } from '../../src/process/run.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import type { MountReport } from './restore-mount-child.ts';
import { type RestoreRig, startRestoreRig } from './restore-rig.ts';

const CHILD = fileURLToPath(new URL('restore-mount-child.ts', import.meta.url));

let rig: RestoreRig;
/** Number of the transaction that creates a table which a later one fills. */
let created: number;

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await createShop(source);
  await rig.archive();
  await rig.backup();
  await source.run('CREATE TABLE shop.late (id INT)');
  created = Number(/:1-(\d+)/.exec(await source.gtidExecuted())?.[1]);
  await source.run('INSERT INTO shop.late VALUES (1)');
  await placeOrders(source, 20);
  await rig.archive();
});
after(() => rig.stop());

interface Mounted {
  /** Sizes of the file systems at the target and at the folder around it. */
  readonly target: string;
  readonly around: string;
  /** Shell command after the mounts; `$1` is the folder around the target. */
  readonly andThen?: string;
}

/** What the child does beside restoring: leaves a transaction out, finds a folder there before. */
interface Task {
  readonly skip?: string;
  readonly found?: string;
}

/** Runs the child in a mount namespace of its own, which ends with it and takes the file systems along. */
async function onMount(mounted: Mounted, task: Task = {}): Promise<MountReport> {
  const around = join(rig.folder.path, 'volumes');
  await mkdir(around, { recursive: true });
  const script = [
    `mount -t tmpfs -o size=${mounted.around} tmpfs "$1"`,
    'mkdir "$1/target"',
    `mount -t tmpfs -o size=${mounted.target} tmpfs "$1/target"`,
    mounted.andThen ?? 'true',
    'exec "$2" "$3" --config "$4" --target "$1/target" --skip "$5" --found "$6"',
  ].join(' && ');
  const { stdout } = await runTool(
    { program: 'unshare', args: ['--map-root-user', '--mount', 'sh', '-c', script, 'sh'] },
    [around, process.execPath, CHILD, rig.configFile, task.skip ?? '', task.found ?? ''],
    { timeoutMs: 120_000 },
  );
  return JSON.parse(stdout) as MountReport;
}

test('a mount point with lost+found counts as empty, holds all that grows, and keeps nothing of it', async () => {
  // The folder around it has room for the notes of the restore, and for nothing else.
  const report = await onMount({ target: '2g', around: '96m' }, { found: 'lost+found' });
  assert.equal(report.refused, null);
  assert.deepEqual([...report.growing].sort(), ['relay', 'tmp']);
  assert.deepEqual(report.checksums, await tableChecksums(rig.source));
  assert.ok(report.target.includes('lost+found'));
  assert.ok(!report.target.includes('#pitrail'));
  assert.deepEqual(report.beside, ['target']);
});

test('a restore that is given up empties the mount point, and leaves it and its lost+found', async () => {
  const skip = `${rig.source.serverUuid}:${created}`;
  const report = await onMount({ target: '2g', around: '96m' }, { skip, found: 'lost+found' });
  assert.equal(report.refused, 'ApplierFailed');
  assert.deepEqual(report.target, ['lost+found']);
  assert.deepEqual(report.beside, ['target']);
});

test('anything else on it is content', async () => {
  const report = await onMount({ target: '2g', around: '96m' }, { found: 'precious' });
  assert.equal(report.refused, 'TargetNotEmpty');
  assert.deepEqual(report.target, ['precious']);
});

test('the room is measured where the data come to lie, and where the notes do', async () => {
  const small = await onMount({ target: '16m', around: '2g' });
  assert.equal(small.refused, 'DiskTooSmall');
  const around = await onMount({ target: '2g', around: '16m' });
  assert.equal(around.refused, 'DiskTooSmall');
  for (const { target, beside } of [small, around]) {
    assert.deepEqual(target, []);
    assert.deepEqual(beside, ['target']);
  }
});

test('where nothing can be written beside it, the refusal names a folder inside', async () => {
  const report = await onMount({ target: '2g', around: '96m', andThen: 'mount -o remount,ro "$1"' });
  assert.equal(report.refused, 'TargetParentUnwritable');
  assert.match(report.hint ?? '', /target\/data/);
  assert.deepEqual(report.target, []);
});
