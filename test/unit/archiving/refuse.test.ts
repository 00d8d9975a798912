/** Promise: a store that cannot take the note of a refusal now keeps it from no other store. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recordRefusal } from '../../../src/archiving/refuse.ts';
import { openCatalog } from '../../../src/catalog/catalog.ts';
import { parseBinlogName, parseServerUuid } from '../../../src/domain/identity.ts';
import { openDirectoryStore } from '../../../src/storage/directory.ts';
import { testFolder } from '../../support/folder.ts';

let folder: Awaited<ReturnType<typeof testFolder>>;
before(async () => {
  folder = await testFolder('pt-refuse');
});
after(() => folder.remove());

const refusal = {
  serverUuid: parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562'),
  binlog: parseBinlogName('binlog.000007'),
  reason: 'ArchiveGap',
  detail: 'something is missing',
};

function by(epoch: number) {
  return { writer: 'test/1/host', epoch, at: '2026-11-20T10:00:00.000000Z' };
}

/** A store in a folder; one of epoch 0 has no repository. */
async function storeOf(id: string, epoch: number) {
  const store = openDirectoryStore({ id, directory: join(folder.path, id) });
  const catalog = openCatalog(store);
  if (epoch > 0) await catalog.init('c', by(1));
  for (let next = 2; next <= epoch; next += 1) {
    const route = { kind: 'store', from: id, to: `other-${next}` } as const;
    await catalog.append({ kind: 'handoff', route, reason: 'circuit-open', detail: '' }, by(next));
  }
  return { store, catalog };
}

test('stores that lack a handoff, or the repository, are named with their reasons; the others have it, once', async () => {
  const stores = [await storeOf('empty', 0), await storeOf('behind', 1), await storeOf('whole', 2)];
  const { written, later } = await recordRefusal(stores, refusal, () => by(2));
  assert.deepEqual(written, ['whole']);
  assert.deepEqual(
    later.map(({ store, failure }) => [store, failure.code]),
    [
      ['empty', 'RepositoryMissing'],
      ['behind', 'HandoffMissing'],
    ],
  );
  const again = await recordRefusal(stores, refusal, () => by(2));
  assert.deepEqual(again, { written, later });
  const whole = await stores.at(-1)?.catalog.read();
  assert.deepEqual(
    whole?.deadLetters().map(({ binlog, reason }) => [binlog, reason]),
    [['binlog.000007', 'ArchiveGap']],
  );
});

test('a writer that a handoff has ended is told so, and not passed over', async () => {
  const newer = await storeOf('newer', 3);
  await assert.rejects(
    recordRefusal([newer], refusal, () => by(2)),
    { code: 'StaleEpoch' },
  );
});
