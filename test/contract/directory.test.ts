import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { bodyOf, crcOf, gather, keysUnder } from './store-bodies.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('directory', async () => {
  const folder = await testFolder('pt-dir');
  const parent = join(folder.path, 'disk');
  const directory = join(parent, 'store');
  await mkdir(parent);
  return {
    open: () => openDirectoryStore({ id: 'main', directory }),
    checksumOf: (bytes) => ({ kind: 'crc32', hex: crcOf(bytes) }),
    fileOf: (key) => join(directory, key),
    leftovers: () => temporaries(directory),
    vanish: () => rename(parent, `${parent}-away`),
    comeBack: () => rename(`${parent}-away`, parent),
    stop: () => folder.remove(),
  };
});

async function temporaries(directory: string): Promise<string[]> {
  return readdir(join(directory, '.pitrail', 'tmp'));
}

let folder: TestFolder;
let directory: string;
const open = () => openDirectoryStore({ id: 'main', directory });

before(async () => {
  folder = await testFolder('pt-dir');
  directory = join(folder.path, 'store');
  await mkdir(directory);
});

after(() => folder.remove());

test('symbolic links lead nowhere: not out of the store, not to an object', async () => {
  const outside = join(folder.path, 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'secret'), 'not in the store');
  await symlink(outside, join(directory, 'linked'));
  await symlink(join(outside, 'secret'), join(directory, 'secret'));
  const store = open();
  await assert.rejects(gather(store.read('linked/secret')), { kind: 'refused', code: 'LinkOutOfStore' });
  await assert.rejects(store.create('linked/new', bodyOf(randomBytes(1))), { code: 'LinkOutOfStore' });
  await assert.rejects(store.head('linked/secret'), { code: 'LinkOutOfStore' });
  await assert.rejects(gather(store.read('secret')), { code: 'ObjectMissing' });
  assert.equal(await store.head('secret'), undefined);
  assert.deepEqual(await keysUnder(store, ''), []);
  assert.deepEqual(await readdir(outside), ['secret']);
  // A name that is taken is taken, by whatever.
  assert.deepEqual(await store.create('secret', bodyOf(randomBytes(1))), { status: 'exists' });
  await rm(join(directory, 'linked'));
  await rm(join(directory, 'secret'));
});

test('the store may be named by a link itself', async () => {
  const link = join(folder.path, 'link');
  await symlink(directory, link);
  const store = openDirectoryStore({ id: 'main', directory: link });
  assert.equal((await store.create('by-link/object', bodyOf(randomBytes(10)))).status, 'created');
  assert.equal((await open().head('by-link/object'))?.lengthBytes, 10);
});

test('what a killed writer left is no object, and is removed once it is old', async () => {
  await open().create('tmp/one', bodyOf(randomBytes(10)));
  const tmp = join(directory, '.pitrail', 'tmp');
  const [old, young] = [join(tmp, '999999-old'), join(tmp, '999999-young')];
  await writeFile(old, 'half of an object');
  await writeFile(young, 'half of another');
  const twoDaysAgo = new Date(Date.now() - 48 * 3600 * 1000);
  await utimes(old, twoDaysAgo, twoDaysAgo);
  const store = open();
  await store.create('tmp/two', bodyOf(randomBytes(10)));
  assert.deepEqual(await temporaries(directory), ['999999-young']);
  assert.deepEqual(await keysUnder(store, 'tmp/'), ['tmp/one', 'tmp/two']);
  await rm(young);
});

test('without its sidecar an object is whole, only its metadata is gone', async () => {
  const store = open();
  const bytes = randomBytes(100);
  await store.create('bare/object', bodyOf(bytes), { metadata: { a: 'b' } });
  const sidecar = join(directory, '.pitrail', 'metadata', 'bare', 'object.json');
  assert.match(await readFile(sidecar, 'utf8'), /"a":"b"/);
  for (const broken of ['{"metadata":', '[]', '']) {
    await writeFile(sidecar, broken);
    const info = { key: 'bare/object', lengthBytes: 100, metadata: {}, checksum: null };
    assert.deepEqual(await store.head('bare/object'), info);
  }
  await rm(sidecar);
  assert.equal((await store.head('bare/object'))?.checksum, null);
  assert.ok((await gather(store.read('bare/object'))).equals(bytes));
});

test('a folder and a special file under a key are no objects', async () => {
  const store = open();
  await store.create('folder/object', bodyOf(randomBytes(1)));
  assert.equal(await store.head('folder'), undefined);
  await assert.rejects(gather(store.read('folder')), { code: 'ObjectMissing' });
  await assert.rejects(gather(store.read('folder/object/below')), { code: 'ObjectMissing' });
  const below = store.create('folder/object/below', bodyOf(randomBytes(1)));
  await assert.rejects(below, { kind: 'refused', code: 'KeyUnderObject' });
});

test('a store whose path is a file is unavailable; one whose folder is absent is empty', async () => {
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  const broken = openDirectoryStore({ id: 'main', directory: file });
  await assert.rejects(broken.create('a', bodyOf(randomBytes(1))), { kind: 'unavailable' });
  await assert.rejects(keysUnder(broken, ''), { kind: 'unavailable' });
  const fresh = openDirectoryStore({ id: 'main', directory: join(folder.path, 'fresh') });
  assert.deepEqual(await keysUnder(fresh, ''), []);
  assert.equal(await fresh.head('a'), undefined);
  assert.equal((await fresh.create('a', bodyOf(randomBytes(1)))).status, 'created');
  assert.deepEqual(await keysUnder(fresh, ''), ['a']);
});

test('an object cut short while it is read is corrupt, not short', async () => {
  const store = open();
  await store.create('cut/object', bodyOf(randomBytes(5 * 1024 * 1024)));
  const reading = async () => {
    for await (const chunk of store.read('cut/object')) {
      if (chunk.length > 0) await writeFile(join(directory, 'cut', 'object'), 'short now');
    }
  };
  await assert.rejects(reading(), { kind: 'corrupt', code: 'StoredDiffers' });
});
