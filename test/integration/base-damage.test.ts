import { strict as assert } from 'node:assert';
import { copyFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { captureCoordinates } from '../../src/backup/capture.ts';
import { executeClone } from '../../src/backup/execute.ts';
import { prepareBackup } from '../../src/backup/prepare.ts';
import { validateAndRegister } from '../../src/backup/register.ts';
import type { RegisteredBackup } from '../../src/backup/state.ts';
import { uploadBackup } from '../../src/backup/upload.ts';
import { AppError } from '../../src/domain/errors.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { claimDataFolder } from '../../src/restoring/data-folder.ts';
import { type FetchOptions, fetchBase } from '../../src/restoring/fetch-base.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { type BackupRig, newRequest, startBackupRig, takeBackup } from './base-rig.ts';
import { readerOf } from './reader.ts';

type Stored = RegisteredBackup['registered'][number];

describe('a damaged base backup', () => {
  let rig: BackupRig;
  let stored: Stored;
  let path: string;
  let tries = 0;
  before(async () => {
    rig = await startBackupRig();
    const { registered } = await takeBackup(rig.ctx);
    assert.ok(registered[0]);
    stored = registered[0];
    path = join(rig.folder.path, 'store', stored.object.key);
  });
  after(() => rig.stop());

  const optionsFor = async (change: Partial<FetchOptions> = {}): Promise<FetchOptions> => {
    tries += 1;
    const [repository] = rig.repositories.all;
    assert.ok(repository);
    const { repositoryId } = await repository.catalog.read();
    return {
      reader: readerOf({ store: repository.store, key: rig.repositories.key, repositoryId }),
      base: { ...stored, stores: ['main'] },
      folder: await claimDataFolder({
        targetDir: join(rig.folder.path, `target-${tries}`),
        restoreId: 'one',
        neededBytes: 1,
      }),
      signal: new AbortController().signal,
      onProgress: () => undefined,
      ...change,
    };
  };

  /** Fails with one of the codes, and leaves nothing in the target. */
  const assertRefused = async (options: FetchOptions, kind: string, ...codes: string[]): Promise<void> => {
    await assert.rejects(fetchBase(options), (error) => {
      assert.ok(error instanceof AppError, String(error));
      assert.equal(error.kind, kind);
      assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
      return true;
    });
    assert.deepEqual(await readdir(options.folder.targetDir), []);
  };

  it('is refused where it is cut, or a byte is another, with nothing left behind', async () => {
    const whole = join(rig.folder.path, 'whole');
    await copyFile(path, whole);
    const size = stored.object.lengthBytes;
    for (const length of [0, 1, 100, Math.floor(size / 2), size - 1]) {
      await truncate(path, length);
      await assertRefused(await optionsFor(), 'corrupt', 'SealTruncated', 'NotSealed', 'SealBroken');
      await copyFile(whole, path);
    }
    const bytes = await readFile(whole);
    for (const at of [10, Math.floor(size / 3), size - 5]) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await writeFile(path, altered);
      await assert.rejects(fetchBase(await optionsFor()), (error) => error instanceof AppError);
    }
    await copyFile(whole, path);
    await fetchBase(await optionsFor());
  });

  it('is refused where the catalog says another digest, length, backup or key', async () => {
    const { backup } = stored;
    const tarSha256 = 'a'.repeat(64) as typeof backup.tarSha256;
    await assertRefused(
      await optionsFor({ base: { ...stored, stores: ['main'], backup: { ...backup, tarSha256 } } }),
      'corrupt',
      'PlaintextDiffers',
    );
    await assertRefused(
      await optionsFor({
        base: { ...stored, stores: ['main'], backup: { ...backup, tarBytes: backup.tarBytes + 512 } },
      }),
      'corrupt',
      'PlaintextTooShort',
    );
    await assertRefused(
      await optionsFor({
        base: { ...stored, stores: ['main'], backup: { ...backup, tarBytes: backup.tarBytes - 512 } },
      }),
      'corrupt',
      'PlaintextTooLong',
    );
    const backupId = newRequest().backupId;
    await assertRefused(
      await optionsFor({ base: { ...stored, stores: ['main'], backup: { ...backup, backupId } } }),
      'corrupt',
      'WrongContext',
    );
    const key = await generateKeyFile(join(rig.folder.path, 'other-key'));
    const [repository] = rig.repositories.all;
    assert.ok(repository);
    const { repositoryId } = await repository.catalog.read();
    const reader = readerOf({ store: repository.store, key, repositoryId });
    await assertRefused(await optionsFor({ reader }), 'refused', 'WrongKey');
  });

  it('is never registered where a store gives back other bytes', async () => {
    const uploaded = await untilUploaded(rig);
    const object = join(rig.folder.path, 'store', `backups/${uploaded.backupId}/base.tar.zst.enc`);
    const bytes = await readFile(object);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
    await writeFile(object, bytes);
    await assert.rejects(validateAndRegister(rig.ctx, uploaded), { kind: 'corrupt' });
    for (const { catalog } of rig.repositories.all) {
      assert.equal((await catalog.read()).backup(uploaded.backupId), undefined);
    }
  });

  it('does not overwrite what stands under its key', async () => {
    const prepared = await prepareBackup(rig.ctx, newRequest());
    const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
    const folder = join(rig.folder.path, 'store', 'backups', prepared.backupId);
    await mkdir(folder, { recursive: true });
    await copyFile(path, join(folder, 'base.tar.zst.enc'));
    await assert.rejects(uploadBackup(rig.ctx, captured), { code: 'BackupConflict', kind: 'conflict' });
    assert.deepEqual(await readFile(join(folder, 'base.tar.zst.enc')), await readFile(path));
  });

  it('reaches the other stores where one fails, and that one alone is tried again', async () => {
    const prepared = await prepareBackup(rig.ctx, newRequest());
    const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
    const [main, s3] = rig.repositories.all;
    assert.ok(main && s3);
    const creates: string[] = [];
    const counting = (store: ObjectStore): ObjectStore =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'create') creates.push(target.id);
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    const all = [main, s3].map(({ store, catalog }) => ({ catalog, store: counting(store) }));
    const ctx = { ...rig.ctx, repositories: { ...rig.repositories, all } };
    await rig.s3.kill();
    const short = await uploadBackup(ctx, captured);
    const named = (list: readonly { readonly store: string }[]) => list.map(({ store }) => store);
    assert.deepEqual([named(short.objects), named(short.left)], [['main'], ['s3']]);
    assert.deepEqual(
      creates.filter((store) => store === 'main'),
      ['main'],
      'the store that works was served once',
    );
    await rig.s3.start();
    const before = creates.length;
    const uploaded = await uploadBackup(ctx, captured);
    assert.deepEqual(creates.slice(before), ['s3'], 'the store that had it was left alone');
    assert.deepEqual(
      uploaded.objects.map(({ store }) => store),
      ['main', 's3'],
    );
    await validateAndRegister(ctx, uploaded);
  });
});

async function untilUploaded(rig: BackupRig) {
  const prepared = await prepareBackup(rig.ctx, newRequest());
  const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
  return uploadBackup(rig.ctx, captured);
}
