import { strict as assert } from 'node:assert';
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  abandonDataFolder,
  claimDataFolder,
  emptyDataFolder,
  neededBytes,
  releaseDataFolder,
} from '../../../src/restoring/data-folder.ts';
import { testFolder } from '../../support/folder.ts';

describe('claimDataFolder', () => {
  it('takes an absent or an empty folder, and finds its own again', async () => {
    const dir = await testFolder();
    const absent = { targetDir: join(dir.path, 'new'), restoreId: 'one', neededBytes: 10 };
    const claimed = await claimDataFolder(absent);
    await writeFile(join(claimed.targetDir, 'ibdata1'), 'half');
    assert.deepEqual(await claimDataFolder(absent), claimed);
    assert.deepEqual((await readdir(dir.path)).sort(), ['new', 'new.pitrail']);
    await mkdir(join(dir.path, 'empty'));
    await claimDataFolder({ ...absent, targetDir: join(dir.path, 'empty/') });
    assert.ok((await readdir(dir.path)).includes('empty.pitrail'));
    await dir.remove();
  });

  it('refuses a folder with content, and changes nothing', async () => {
    const dir = await testFolder();
    const targetDir = join(dir.path, 'mysql');
    await mkdir(targetDir);
    await writeFile(join(targetDir, 'ibdata1'), 'precious');
    const work = claimDataFolder({ targetDir, restoreId: 'one', neededBytes: 10 });
    await assert.rejects(work, { code: 'TargetNotEmpty', kind: 'refused' });
    assert.deepEqual(await readdir(dir.path), ['mysql']);
    assert.deepEqual(await readdir(targetDir), ['ibdata1']);
    await dir.remove();
  });

  it('refuses a folder of another restore, a link, a file, a missing parent', async () => {
    const dir = await testFolder();
    const claim = (name: string, restoreId = 'two') =>
      claimDataFolder({ targetDir: join(dir.path, name), restoreId, neededBytes: 10 });
    const first = await claim('taken', 'one');
    await assert.rejects(claim('taken'), { code: 'TargetInUse' });
    await assert.rejects(abandonDataFolder({ ...first, restoreId: 'two' }), { code: 'TargetInUse' });
    await assert.rejects(emptyDataFolder({ ...first, restoreId: 'two' }), { code: 'TargetInUse' });
    await symlink(dir.path, join(dir.path, 'link'));
    await assert.rejects(claim('link'), { code: 'TargetNotFolder' });
    await writeFile(join(dir.path, 'file'), '');
    await assert.rejects(claim('file'), { code: 'TargetNotFolder' });
    await assert.rejects(claim('no/parent'), { code: 'TargetParentMissing' });
    await dir.remove();
  });

  it('lets one of many restores win that start at once', async () => {
    const dir = await testFolder();
    const ids = Array.from({ length: 12 }, (_, n) => `restore-${n}`);
    const results = await Promise.allSettled(
      ids.map((restoreId) => claimDataFolder({ targetDir: join(dir.path, 't'), restoreId, neededBytes: 1 })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'TargetInUse');
    }
    await dir.remove();
  });

  it('refuses before it begins where the disk is too small', async () => {
    const dir = await testFolder();
    const targetDir = join(dir.path, 'new');
    const work = claimDataFolder({ targetDir, restoreId: 'one', neededBytes: neededBytes(2 ** 52, 5) });
    await assert.rejects(work, { code: 'DiskTooSmall', kind: 'refused' });
    assert.deepEqual(await readdir(dir.path), []);
    assert.equal(neededBytes(1000, 5), 1105);
    await dir.remove();
  });

  it('leaves a folder that was there before, empty, when it is given up', async () => {
    const dir = await testFolder();
    const targetDir = join(dir.path, 'found');
    await mkdir(targetDir, { mode: 0o750 });
    const { ino } = await stat(targetDir);
    const folder = await claimDataFolder({ targetDir, restoreId: 'one', neededBytes: 10 });
    await writeFile(join(targetDir, 'ibdata1'), 'half');
    await abandonDataFolder(folder);
    assert.deepEqual(await readdir(dir.path), ['found']);
    assert.deepEqual(await readdir(targetDir), []);
    assert.equal((await stat(targetDir)).ino, ino);
    await dir.remove();
  });

  it('takes lost+found for content where no file system begins', async () => {
    const dir = await testFolder();
    const targetDir = join(dir.path, 'no-mount');
    await mkdir(join(targetDir, 'lost+found'), { recursive: true });
    const work = claimDataFolder({ targetDir, restoreId: 'one', neededBytes: 10 });
    await assert.rejects(work, { code: 'TargetNotEmpty' });
    await dir.remove();
  });

  it('leaves the data when it is released, and nothing when it is given up', async () => {
    const dir = await testFolder();
    const request = { targetDir: join(dir.path, 'new'), restoreId: 'one', neededBytes: 10 };
    const folder = await claimDataFolder(request);
    await writeFile(join(folder.targetDir, 'ibdata1'), 'whole');
    await releaseDataFolder(folder);
    await releaseDataFolder(folder);
    assert.deepEqual(await readdir(dir.path), ['new']);
    // Released: it is the user's now, and a restore that wakes up late does not touch it.
    await abandonDataFolder(folder);
    assert.deepEqual(await readdir(folder.targetDir), ['ibdata1']);
    const other = await claimDataFolder({ ...request, targetDir: join(dir.path, 'other') });
    await writeFile(join(other.targetDir, 'ibdata1'), 'half');
    await writeFile(join(other.workDir, 'replayed.json'), '{}');
    await abandonDataFolder(other);
    await abandonDataFolder(other);
    assert.deepEqual(await readdir(dir.path), ['new']);
    await dir.remove();
  });
});
