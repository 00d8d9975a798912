import { strict as assert } from 'node:assert';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pack } from 'tar-stream';
import { digestOfTar } from '../../../src/backup/adopt.ts';
import { listTarEntries, tarLength } from '../../../src/backup/tar-entries.ts';
import { packFolder } from '../../../src/backup/tar-pack.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { unpackInto } from '../../../src/restoring/fetch-base-unpack.ts';
import { testFolder } from '../../support/folder.ts';

const never = new AbortController().signal;

/** A folder that looks like a stopped clone. */
async function sampleData(dir: string): Promise<string> {
  const data = join(dir, 'clone');
  for (const folder of ['', '#innodb_redo', '#clone', '#innodb_temp', 'shop', 'mysql', 'empty']) {
    await mkdir(join(data, folder), { mode: 0o750 });
  }
  const files = {
    ibdata1: 'system',
    'auto.cnf': '[auto]',
    'server-key.pem': 'secret',
    'mysqld.pid': '1',
    ibtmp1: 'temporary',
    '#ib_16384_0.dblwr': 'doublewrite',
    '#innodb_redo/#ib_redo0': 'redo',
    '#innodb_redo/#ib_redo1_tmp': 'spare',
    '#clone/#view_status': 'status',
    '#innodb_temp/temp_1.ibt': 'temporary',
    'mysql/slow_log.CSV': '',
    'shop/orders.ibd': 'x'.repeat(3_000_000),
    [`shop/${'n'.repeat(140)}.ibd`]: 'a long name',
    // A schema may have any name; only the server's own files are left behind.
    'shop/auto.cnf.ibd': 'a table',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(data, name), text, { mode: 0o640 });
  return data;
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries.sort();
}

/** A tar with one entry of our choice. */
async function* tarWith(
  ...entries: Parameters<ReturnType<typeof pack>['entry']>[0][]
): AsyncGenerator<Uint8Array> {
  const tar = pack();
  for (const entry of entries) tar.entry(entry, '');
  tar.finalize();
  yield* tar as AsyncIterable<Uint8Array>;
}

async function isCorrupt(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(
    work,
    (error) => error instanceof AppError && error.code === code && error.kind === 'corrupt',
  );
}

describe('the tar of a base backup', () => {
  it('carries what a restored server needs, and comes out as it went in', async () => {
    const dir = await testFolder();
    const data = await sampleData(dir.path);
    const entries = await listTarEntries(data);
    const target = join(dir.path, 'target');
    await mkdir(target);
    const { files, bytes } = await unpackInto(target, packFolder(data, entries, never));
    const kept = [
      '#innodb_redo',
      '#innodb_redo/#ib_redo0',
      'empty',
      'ibdata1',
      'mysql',
      'mysql/slow_log.CSV',
      'shop',
      'shop/auto.cnf.ibd',
      `shop/${'n'.repeat(140)}.ibd`,
      'shop/orders.ibd',
    ];
    assert.deepEqual(await namesIn(target), kept.sort());
    assert.equal(files, 6);
    assert.equal(bytes, 3_000_000 + 'systemredoa long namea table'.length);
    assert.equal(await readFile(join(target, 'shop/orders.ibd'), 'utf8'), 'x'.repeat(3_000_000));
    assert.equal((await stat(join(target, 'ibdata1'))).mode & 0o777, 0o640);
    assert.equal((await stat(join(target, 'shop'))).mode & 0o777, 0o750);
    await dir.remove();
  });

  it('is the same each time, and as long as was foretold', async () => {
    const dir = await testFolder();
    const data = await sampleData(dir.path);
    await writeFile(join(data, 'shop', `${'n'.repeat(140)}.ibd`), '');
    const all = await listTarEntries(data);
    const entries = all.filter(({ name }) => name.length <= 100);
    const first = await digestOfTar(packFolder(data, entries, never));
    assert.deepEqual(await digestOfTar(packFolder(data, entries, never)), first);
    assert.equal(first.tarBytes, tarLength(entries));
    await dir.remove();
  });

  it('refuses links and sockets instead of following or dropping them', async () => {
    const dir = await testFolder();
    const data = await sampleData(dir.path);
    await symlink('/etc/passwd', join(data, 'shop', 'link.ibd'));
    await assert.rejects(listTarEntries(data), { code: 'UnsafeDataFile', kind: 'refused' });
    await dir.remove();
  });

  it('notices a file that changes under it', async () => {
    const dir = await testFolder();
    const data = await sampleData(dir.path);
    const entries = await listTarEntries(data);
    await writeFile(join(data, 'shop/orders.ibd'), 'short');
    await isCorrupt(digestOfTar(packFolder(data, entries, never)), 'DataFileChanged');
    await dir.remove();
  });

  it('stops where the signal says so', async () => {
    const dir = await testFolder();
    const data = await sampleData(dir.path);
    const entries = await listTarEntries(data);
    const stop = new AbortController();
    const work = (async () => {
      for await (const _ of packFolder(data, entries, stop.signal)) stop.abort(new Error('cancelled'));
    })();
    await assert.rejects(work, /cancelled/);
    await dir.remove();
  });

  it('unpacks nothing that could lead out of the folder', async () => {
    const dir = await testFolder();
    const target = join(dir.path, 'target');
    await mkdir(target);
    const hostile = [
      '../escaped',
      '/etc/escaped',
      'a/../../escaped',
      './x',
      'a//b',
      'a\\b',
      '.',
      'a/b/c/d/e/f/g/h/i',
    ];
    for (const name of hostile) {
      await isCorrupt(unpackInto(target, tarWith({ name, type: 'file' })), 'UnsafeTarEntry');
    }
    const link = { name: 'x', type: 'symlink', linkname: '/etc/passwd' } as const;
    await isCorrupt(unpackInto(target, tarWith(link)), 'UnsafeTarEntry');
    await isCorrupt(unpackInto(target, tarWith({ name: 'y', type: 'fifo' })), 'UnsafeTarEntry');
    await isCorrupt(
      unpackInto(target, tarWith({ name: 'z', type: 'file' }, { name: 'z', type: 'file' })),
      'UnsafeTarEntry',
    );
    assert.deepEqual(await readdir(dir.path), ['target']);
    await dir.remove();
  });

  it('refuses what is no tar, and passes on what its input throws', async () => {
    const dir = await testFolder();
    const junk = (async function* () {
      yield Buffer.alloc(4096, 0x55);
    })();
    await isCorrupt(unpackInto(dir.path, junk), 'TarBroken');
    const cut = (async function* () {
      for await (const chunk of tarWith({ name: 'whole', type: 'file' })) {
        yield chunk;
        throw new Error('connection lost');
      }
    })();
    await assert.rejects(unpackInto(dir.path, cut), /connection lost/);
    await dir.remove();
  });

  it('never makes a restored file readable by others', async () => {
    const dir = await testFolder();
    const data = join(dir.path, 'clone');
    const target = join(dir.path, 'target');
    await mkdir(data);
    await mkdir(target);
    await writeFile(join(data, 'open.ibd'), 'x');
    await chmod(join(data, 'open.ibd'), 0o666);
    await unpackInto(target, packFolder(data, await listTarEntries(data), never));
    assert.equal((await stat(join(target, 'open.ibd'))).mode & 0o007, 0);
    await dir.remove();
  });
});
