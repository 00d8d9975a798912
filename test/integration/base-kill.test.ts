import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegisteredBackup } from '../../src/catalog/fold.ts';
import type { FaultPoint } from '../../src/process/fault.ts';
import { startTestMysql } from '../support/mysql.ts';
import { startWorkload, tableChecksums, type Workload } from '../support/workload.ts';
import type { ChildTask } from './base-child.ts';
import { type BackupRig, newRequest, startBackupRig, takeBackup } from './base-rig.ts';

const CHILD = new URL('base-child.ts', import.meta.url).pathname;
const MAX_TRIES = 6;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

describe('a base backup whose process is killed', () => {
  let rig: BackupRig;
  let workload: Workload;
  let runs = 0;
  before(async () => {
    rig = await startBackupRig();
    workload = await startWorkload(rig.source, { connections: 2, pauseMs: 20 });
  });
  after(async () => {
    await workload.stop();
    await rig.stop();
  });

  const start = async (task: ChildTask, env: Record<string, string> = {}): Promise<ChildProcess> => {
    runs += 1;
    const file = join(rig.folder.path, `task-${runs}.json`);
    await writeFile(file, JSON.stringify({ config: rig.config, task }));
    return spawn(process.execPath, [CHILD, file], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  };

  const ended = async (child: ChildProcess): Promise<Exit> => {
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, stderr };
  };

  const backupTask = async (): Promise<Extract<ChildTask, { kind: 'backup' }>> => {
    const historyDir = join(rig.folder.path, `history-${runs}`);
    await mkdir(historyDir);
    return { kind: 'backup', request: newRequest(), historyDir };
  };

  /** Runs the task again until it ends by itself, as Temporal would. */
  const finish = async (task: ChildTask): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      const { code, stderr } = await ended(await start(task));
      if (code === 0) return;
      assert.ok(attempt < MAX_TRIES, `the task did not come to its end: ${stderr}`);
      await sleep(500);
    }
  };

  const killedAt = async (task: ChildTask, point: FaultPoint): Promise<void> => {
    const exit = await ended(await start(task, { PITRAIL_FAULT: point }));
    assert.equal(exit.signal, 'SIGKILL', `${point} was not reached: ${exit.stderr}`);
  };

  /** Exactly one entry in each catalog, exactly one object, nothing staged, no server left. */
  const assertWhole = async ({
    request,
  }: Extract<ChildTask, { kind: 'backup' }>): Promise<RegisteredBackup[]> => {
    const found: RegisteredBackup[] = [];
    for (const { store, catalog } of rig.repositories.all) {
      const entries = (await catalog.read())
        .backups()
        .filter(({ backup }) => backup.backupId === request.backupId);
      assert.equal(entries.length, 1, store.id);
      found.push(...entries);
      const keys: string[] = [];
      for await (const { key } of store.list(`backups/${request.backupId}/`)) keys.push(key);
      assert.deepEqual(keys, [`backups/${request.backupId}/base.tar.zst.enc`]);
    }
    assert.deepEqual(await readdir(join(rig.config.stagingDir, 'backups')), []);
    return found;
  };

  const assertRestores = async ({ backup, object }: RegisteredBackup, storeId: string): Promise<void> => {
    const targetDir = join(rig.folder.path, `restored-${runs}`);
    const restoreId = `restore-${runs}`;
    await finish({
      kind: 'fetch',
      base: { backup, object, stores: [storeId] },
      storeId,
      targetDir,
      restoreId,
    });
    const restored = await startTestMysql({ dataDir: targetDir });
    assert.equal(await restored.gtidExecuted(), backup.coordinates.gtidExecuted);
    assert.ok(Object.keys(await tableChecksums(restored)).length >= 4);
    await restored.stop();
    await rm(targetDir, { recursive: true });
  };

  const points = [
    'backup.cloned',
    'backup.captured',
    'backup.mid-upload',
    'backup.uploaded',
    'backup.registered',
  ] as const;
  for (const point of points) {
    it(`at ${point} goes on and ends whole`, async () => {
      const task = await backupTask();
      await killedAt(task, point);
      await finish(task);
      const [, second] = await assertWhole(task);
      assert.ok(second);
      await assertRestores(second, 's3');
    });
  }

  it('at any moment goes on and ends whole', async () => {
    for (const afterMs of [600, 1000, 1500, 2200, 3000]) {
      const task = await backupTask();
      const child = await start(task);
      const exit = ended(child);
      await sleep(afterMs);
      child.kill('SIGKILL');
      await exit;
      await finish(task);
      const [first] = await assertWhole(task);
      assert.ok(first);
    }
  });

  for (const point of ['restore.mid-fetch', 'restore.fetched'] as const) {
    it(`while it is fetched, at ${point}, is fetched whole by the next try`, async () => {
      const { registered } = await takeBackup(rig.ctx);
      const [stored] = registered;
      assert.ok(stored);
      const { backup, object } = stored;
      const targetDir = join(rig.folder.path, `fetched-${runs}`);
      const task: ChildTask = {
        kind: 'fetch',
        base: { backup, object, stores: ['main'] },
        storeId: 'main',
        targetDir,
        restoreId: 'one',
      };
      await killedAt(task, point);
      assert.ok((await readdir(targetDir)).length > 0, 'the kill came in the middle');
      const foreign = await ended(await start({ ...task, restoreId: 'another' }));
      assert.match(foreign.stderr, /TargetInUse/);
      await finish(task);
      const restored = await startTestMysql({ dataDir: targetDir });
      assert.equal(await restored.gtidExecuted(), backup.coordinates.gtidExecuted);
      await restored.stop();
    });
  }
});
