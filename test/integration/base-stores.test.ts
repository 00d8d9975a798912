/**
 * Promises: a store that fails holds no base backup up: the others get it whole, and it is told which store
 * lacks it; no catalog names a base that was not read back there; `sync` makes both stores equal.
 */
import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { repositoryIn } from '../../src/archiving/repositories.ts';
import { captureCoordinates } from '../../src/backup/capture.ts';
import { executeClone } from '../../src/backup/execute.ts';
import { prepareBackup } from '../../src/backup/prepare.ts';
import { validateAndRegister } from '../../src/backup/register.ts';
import { uploadBackup } from '../../src/backup/upload.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { AppError } from '../../src/domain/errors.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import { claimDataFolder, releaseDataFolder } from '../../src/restoring/data-folder.ts';
import { fetchBase } from '../../src/restoring/fetch-base.ts';
import { syncStores } from '../../src/syncing/sync-stores.ts';
import { verifyStore } from '../../src/verifying/verify-store.ts';
import { startTestMysql } from '../support/mysql.ts';
import { addNoise, tableChecksums } from '../support/workload.ts';
import { type BackupRig, newRequest, startBackupRig, takeBackup } from './base-rig.ts';
import { readerOf } from './reader.ts';

const CHILD = new URL('base-child.ts', import.meta.url).pathname;
const signal = new AbortController().signal;

describe('a base backup while a store is away', () => {
  let rig: BackupRig;
  let runs = 0;
  before(async () => {
    rig = await startBackupRig();
    // Enough to be under way for some time.
    await rig.source.run(
      'CREATE DATABASE d',
      'CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)',
    );
    await addNoise(rig.source, 40);
  });
  after(() => rig.stop());
  beforeEach(() => {
    runs += 1;
  });

  type Taken = Awaited<ReturnType<typeof takeBackup>>;

  const idsIn = async (store: string): Promise<string[]> => {
    const { catalog } = repositoryIn(rig.repositories, store);
    return (await catalog.read()).backups().map(({ backup }) => backup.backupId);
  };

  const assertOnlyInMain = async ({ registered, left, backupId }: Taken): Promise<void> => {
    assert.deepEqual(
      registered.map(({ store }) => store),
      ['main'],
    );
    assert.deepEqual(
      left.map(({ store, code }) => [store, code]),
      [['s3', 'StoreUnreachable']],
    );
    assert.ok((await idsIn('main')).includes(backupId));
    assert.deepEqual(
      await readdir(join(rig.config.stagingDir, 'backups')),
      [],
      'nothing is left on the host',
    );
  };

  /** The base in the one store is the whole server, by its own word. */
  const assertRestoresFrom = async (store: string, backupId: string): Promise<void> => {
    const { store: home, catalog } = repositoryIn(rig.repositories, store);
    const state = await catalog.read();
    const { backup, object } = state.backups().find((it) => it.backup.backupId === backupId) ?? assert.fail();
    const targetDir = join(rig.folder.path, `restored-${runs}-${store}`);
    const folder = await claimDataFolder({ targetDir, restoreId: 'one', neededBytes: backup.tarBytes });
    const reader = readerOf({ store: home, key: rig.repositories.key, repositoryId: state.repositoryId });
    const base = { backup, object, stores: [home.id] };
    await fetchBase({ reader, base, folder, signal, onProgress: () => undefined });
    await releaseDataFolder(folder);
    const restored = await startTestMysql({ dataDir: targetDir });
    assert.equal(await restored.gtidExecuted(), backup.coordinates.gtidExecuted);
    assert.deepEqual(await tableChecksums(restored), await tableChecksums(rig.source));
    await restored.stop();
    await rm(targetDir, { recursive: true });
  };

  const assertSyncMakesEqual = async (backupId: string): Promise<void> => {
    assert.ok(!(await idsIn('s3')).includes(backupId), 'no entry names what was not read back there');
    const [from, to] = [repositoryIn(rig.repositories, 'main'), repositoryIn(rig.repositories, 's3')];
    const { comparison, obstacles } = await syncStores({
      from,
      to,
      key: rig.repositories.key,
      sign: rig.ctx.sign,
      parallel: 1,
      signal,
      onPlanned: () => undefined,
      onProgress: () => undefined,
    });
    assert.deepEqual([comparison.verdict, obstacles], ['equal', []]);
    const views = [];
    for (const repository of [from, to]) {
      views.push(viewOf(repository.store.id, await repository.catalog.read({ through: 'entries' })));
      const verified = await verifyStore({
        repository,
        key: rig.repositories.key,
        depth: 'prove',
        parallel: 1,
        signal,
        onStart: () => undefined,
        onProgress: () => undefined,
      });
      assert.deepEqual(verified.status === 'verified' && verified.findings, []);
    }
    const [main, s3] = views;
    assert.ok(main && s3);
    assert.equal(compareCatalogs(main, s3).verdict, 'equal');
    await assertRestoresFrom('s3', backupId);
  };

  it('from before it begins goes to the other one, and sync brings it there', async () => {
    await rig.s3.kill();
    const began = performance.now();
    const taken = await takeBackup(rig.ctx);
    const seconds = (performance.now() - began) / 1000;
    await assertOnlyInMain(taken);
    await assertRestoresFrom('main', taken.backupId);
    assert.ok(seconds < 120, `${seconds} s`);
    await rig.s3.start();
    await assertSyncMakesEqual(taken.backupId);
  });

  it('that is killed in the middle of the upload goes to the other one, and sync brings it there', async () => {
    let killed: Promise<void> | null = null;
    let atBytes = 0;
    const onProgress = (doneBytes: number, totalBytes: number): void => {
      if (killed !== null || totalBytes === 0 || doneBytes < totalBytes / 2) return;
      atBytes = doneBytes;
      killed = rig.s3.kill();
    };
    const prepared = await prepareBackup(rig.ctx, newRequest());
    const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
    assert.deepEqual(captured.left, []);
    const uploaded = await uploadBackup({ ...rig.ctx, onProgress }, captured);
    assert.ok(killed !== null, 'the kill came in the middle');
    await killed;
    assert.ok(atBytes < uploaded.tarBytes, `${atBytes} of ${uploaded.tarBytes}`);
    const taken = await validateAndRegister(rig.ctx, uploaded);
    await assertOnlyInMain(taken);
    await assertRestoresFrom('main', taken.backupId);
    await rig.s3.start();
    await assertSyncMakesEqual(taken.backupId);
  });

  it('that is killed between upload and read-back names nothing, though the object lies there whole', async () => {
    const prepared = await prepareBackup(rig.ctx, newRequest());
    const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
    const uploaded = await uploadBackup(rig.ctx, captured);
    assert.equal(uploaded.objects.length, 2);
    await rig.s3.kill();
    const taken = await validateAndRegister(rig.ctx, uploaded);
    await assertOnlyInMain(taken);
    await rig.s3.start();
    await assertSyncMakesEqual(taken.backupId);
  });

  it('is registered nowhere where no store that counts is there, and leaves a base that goes on later', async () => {
    const policies = [
      { store: 'main', policy: 'catch-up' },
      { store: 's3', policy: 'required' },
    ] as const;
    const ctx = { ...rig.ctx, policies };
    const prepared = await prepareBackup(ctx, newRequest());
    const captured = await captureCoordinates(ctx, await executeClone(ctx, prepared));
    const uploaded = await uploadBackup(ctx, captured);
    await rig.s3.kill();
    const away = (error: unknown) => error instanceof AppError && error.kind === 'unavailable';
    await assert.rejects(validateAndRegister(ctx, uploaded), away);
    await assert.rejects(prepareBackup(ctx, newRequest()), away);
    assert.ok(!(await idsIn('main')).includes(uploaded.backupId));
    await rig.s3.start();
    const { registered, left } = await validateAndRegister(ctx, uploaded);
    assert.deepEqual([registered.length, left], [2, []]);
  });

  /** Takes the backup in a process of its own. @returns how it ended */
  const inChild = async (task: object, env: Record<string, string>) => {
    const file = join(rig.folder.path, `task-${runs}.json`);
    await writeFile(file, JSON.stringify({ config: rig.config, task }));
    const child: ChildProcess = spawn(process.execPath, [CHILD, file], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  };

  for (const point of ['backup.mid-upload', 'backup.uploaded', 'backup.registered'] as const) {
    it(`goes on where its own process is killed, too, at ${point}`, async () => {
      const request = newRequest();
      const historyDir = join(rig.folder.path, `history-${runs}`);
      await mkdir(historyDir);
      await rig.s3.kill();
      const task = { kind: 'backup', request, historyDir };
      assert.deepEqual(await inChild(task, { PITRAIL_FAULT: point }), [null, 'SIGKILL']);
      assert.deepEqual(await inChild(task, {}), [0, null]);
      assert.deepEqual((await idsIn('main')).filter((id) => id === request.backupId).length, 1);
      assert.deepEqual(await readdir(join(rig.config.stagingDir, 'backups')), []);
      await assertRestoresFrom('main', request.backupId);
      await rig.s3.start();
      await assertSyncMakesEqual(request.backupId);
    });
  }
});
