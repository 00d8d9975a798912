import assert from 'node:assert/strict';
import { mkdir, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isEnough, tryStore } from '../../../src/backup/left-behind.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { openDirectoryStore } from '../../../src/storage/directory.ts';
import { type TestFolder, testFolder } from '../../support/folder.ts';

const { signal } = new AbortController();
let folder: TestFolder;
before(async () => {
  folder = await testFolder('pt-left');
});
after(() => folder.remove());

/** A store whose folder can be taken away and brought back. */
async function storeIn(name: string) {
  const directory = join(folder.path, name);
  await mkdir(directory);
  return {
    store: openDirectoryStore({ id: name, directory }),
    async takeAway() {
      await rename(directory, `${directory}.away`);
      await writeFile(directory, '');
    },
    async bringBack() {
      await unlink(directory);
      await rename(`${directory}.away`, directory);
    },
  };
}

test('a store that fails three times in a row is left behind, and named with its reason', async () => {
  const { store, takeAway } = await storeIn('gone');
  await takeAway();
  let asked = 0;
  const outcome = await tryStore(store, signal, async () => {
    asked += 1;
    await store.head('catalog/x');
  });
  assert.ok(outcome.kind === 'left' && outcome.left.store === 'gone');
  assert.equal(outcome.left.code, 'StoreUnreachable');
  assert.equal(asked, 1, 'after the first failure only something small is asked for');
});

test('one that is back after its first failure gets all of it', async () => {
  const { store, takeAway, bringBack } = await storeIn('blink');
  await takeAway();
  let asked = 0;
  const outcome = await tryStore(store, signal, async () => {
    asked += 1;
    try {
      return await store.head('catalog/x');
    } catch (error) {
      await bringBack();
      throw error;
    }
  });
  assert.deepEqual([outcome, asked], [{ kind: 'done', value: undefined }, 2]);
});

test('what is no failure of the store is thrown at once', async () => {
  const { store } = await storeIn('well');
  const refused = new AppError({ code: 'OtherContent', kind: 'conflict', message: 'no' });
  await assert.rejects(
    tryStore(store, signal, () => Promise.reject(refused)),
    refused,
  );
});

test('a backup needs a store that counts: a required one, its stand-in, or any where none counts', () => {
  const policies = [
    { store: 'a', policy: 'required' },
    { store: 'b', policy: 'required' },
    { store: 'c', policy: 'catch-up' },
  ] as const;
  assert.equal(isEnough(['a'], policies, []), true);
  assert.equal(isEnough(['c'], policies, []), false);
  const standIns = [{ from: 'b', to: 'c' }];
  assert.equal(isEnough(['c'], policies, standIns), true);
  assert.equal(isEnough(['b'], policies, standIns), false, 'another one counts in its place');
  assert.equal(isEnough(['c'], policies.slice(2), []), true);
  assert.equal(isEnough([], policies.slice(2), []), false);
});
