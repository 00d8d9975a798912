import { strict as assert } from 'node:assert';
import { chmod, cp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Catalog, openCatalog } from '../../src/catalog/catalog.ts';
import { generateSigningKeys, loadSigningKey, loadTrustedKey } from '../../src/catalog/keys.ts';
import { readPack } from '../../src/catalog/packs.ts';
import { AppError } from '../../src/domain/errors.ts';
import { catalogKey, catalogPackKey } from '../../src/domain/object-keys.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { testFolder } from '../support/folder.ts';
import { by, handoffBody, layCatalog, layPacks, SERVER, segmentBody } from './catalog-samples.ts';

/** A store that counts its reads, and fails after a creation when told to, as a lost answer does. */
function watchedStore(directory: string): ObjectStore & { reads: number; loseAnswers: number } {
  const inner = openDirectoryStore({ id: 'main', directory });
  return {
    id: inner.id,
    kind: inner.kind,
    location: inner.location,
    reads: 0,
    loseAnswers: 0,
    async create(key, body, options) {
      const outcome = await inner.create(key, body, options);
      if (this.loseAnswers === 0) return outcome;
      this.loseAnswers -= 1;
      throw new AppError({ code: 'StoreUnreachable', kind: 'unavailable', message: 'the answer was lost' });
    },
    read(key, options) {
      this.reads += 1;
      return inner.read(key, options);
    },
    head: (key, options) => inner.head(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    close: () => inner.close(),
  };
}

async function fresh(): Promise<{
  store: ReturnType<typeof watchedStore>;
  catalog: Catalog;
  remove: () => Promise<void>;
  path: string;
}> {
  const folder = await testFolder();
  const store = watchedStore(folder.path);
  return {
    store,
    catalog: openCatalog(store, { cluster: 'shop' }),
    remove: () => folder.remove(),
    path: folder.path,
  };
}

test('an append whose answer was lost is made once, by a retry of the same writer', async () => {
  const { store, catalog, remove } = await fresh();
  await catalog.init('shop', by('w1'));
  store.loseAnswers = 1;
  await assert.rejects(catalog.append(segmentBody(1), by('w1')), { kind: 'unavailable' });
  const entry = await catalog.append(segmentBody(1), { ...by('w1'), at: '2026-11-20T10:33:00.000000Z' });
  assert.equal(entry.sequence, 2);
  assert.equal(entry.writtenAt, by('w1').at, 'the entry that stands, not the second try');
  assert.equal((await openCatalog(store).read()).head.sequence, 2);
  await remove();
});

test('an append behind another writer goes to the next sequence after it was judged again', async () => {
  const { store, catalog, remove } = await fresh();
  await catalog.init('shop', by('w1'));
  const other = openCatalog(store);
  await other.append(segmentBody(1), by('w2'));
  const seen: number[] = [];
  const entry = await catalog.append(segmentBody(2), by('w1'), (state) => {
    seen.push(state.head.sequence);
    return { decision: 'append' };
  });
  assert.deepEqual(seen, [1, 2]);
  assert.equal(entry.sequence, 3);
  const found = await other.append(segmentBody(2), by('w2'), (state) => {
    const stands = state.segmentsOf(SERVER).find(({ segment }) => segment.binlog === 'binlog.000002');
    return stands === undefined ? { decision: 'append' } : { decision: 'stands', sequence: stands.sequence };
  });
  assert.equal(found.writer, 'w1', 'the entry that stands already');
  const veto = new AppError({ code: 'Diverged', kind: 'conflict', message: 'no' });
  await assert.rejects(
    catalog.append(segmentBody(3), by('w1'), () => {
      throw veto;
    }),
    veto,
  );
  assert.equal((await openCatalog(store).read()).head.sequence, 3, 'a veto writes nothing');
  await remove();
});

test('an entry that a careless store let another writer overwrite is not taken for written', async () => {
  const { store, catalog, remove, path } = await fresh();
  await catalog.init('shop', by('w1'));
  const rival = await testFolder();
  await cp(path, rival.path, { recursive: true });
  const rivals = openDirectoryStore({ id: 'main', directory: rival.path });
  await openCatalog(rivals).append(segmentBody(1), by('w2'));
  const second = catalogKey(2);
  const create = store.create.bind(store);
  // Checks the precondition before it writes, and not while: both writers hear `created`.
  store.create = async (key, body, options) => {
    const outcome = await create(key, body, options);
    if (key === second) await cp(join(rival.path, key), join(path, key), { force: true });
    return outcome;
  };
  const entry = await catalog.append(segmentBody(2), by('w1'));
  assert.equal(entry.sequence, 3, 'behind the entry that stands');
  assert.equal((await openCatalog(store).read()).head.sequence, 3);
  await rival.remove();
  await remove();
});

test('a writer of an older epoch is stopped, also where it has not seen the newer one', async () => {
  const { store, catalog, remove } = await fresh();
  await catalog.init('shop', by('old'));
  await openCatalog(store).append(handoffBody('shop-2'), by('new', 1));
  await assert.rejects(catalog.append(segmentBody(1), by('old', 0)), {
    code: 'StaleEpoch',
    kind: 'conflict',
  });
  await openCatalog(store).append(segmentBody(1), by('new', 1));
  const state = await openCatalog(store).read();
  assert.equal(state.epoch, 1);
  assert.deepEqual(
    state.handoffs().map(({ epoch, reason }) => ({ epoch, reason })),
    [{ epoch: 1, reason: 'operator' }],
  );
  await remove();
});

test('nobody writes ahead of a handoff that the store has not got', async () => {
  const { store, catalog, remove } = await fresh();
  await catalog.init('shop', by('w1'));
  const missing = { code: 'HandoffMissing', kind: 'conflict' };
  await assert.rejects(catalog.append(segmentBody(1), by('w1', 1)), missing);
  await assert.rejects(catalog.append(handoffBody('shop-2'), by('w1', 2)), missing);
  await assert.rejects(catalog.append(handoffBody('shop-2'), by('w1', 0)), { code: 'StaleEpoch' });
  assert.equal((await openCatalog(store).read()).head.sequence, 1);
  await remove();
});

test('an entry that no reader would take is never written', async () => {
  const { catalog, remove } = await fresh();
  await catalog.init('shop', by('w1'));
  const good = segmentBody(1);
  assert(good.kind === 'segment-archived');
  for (const change of [{ gtids: 'nonsense' }, { transactions: -1 }, { firstCommit: 'yesterday' }]) {
    const bad = { ...good, segment: { ...good.segment, ...change } };
    await assert.rejects(catalog.append(bad, by('w1')), { code: 'CatalogEntryMalformed', kind: 'bug' });
  }
  assert.equal((await catalog.read()).head.sequence, 1);
  await remove();
});

test('a refresh reads what is new, not the whole catalog again', async () => {
  const { store, catalog, path, remove } = await fresh();
  await layCatalog(path, 300);
  await catalog.read();
  store.reads = 0;
  const state = await catalog.read();
  assert.equal(state.head.sequence, 300);
  assert(store.reads <= 3, `${store.reads} reads`);
  await remove();
});

test('the thousandth entry leaves a pack, which stands for its entries and is never trusted blindly', async () => {
  const { store, catalog, path, remove } = await fresh();
  const [entry, pack] = [
    (n: number) => join(path, catalogKey(n)),
    (n: number) => join(path, catalogPackKey(n)),
  ];
  await layCatalog(path, 999);
  await catalog.append(segmentBody(999), by('w1'));
  await catalog.append(segmentBody(1000), by('w1'));
  assert.equal((await readPack(store, 1, null)).status, 'read');
  await assert.rejects(stat(pack(2)), { code: 'ENOENT' });
  await rm(entry(500));
  const read = async () => {
    store.reads = 0;
    const reader = openCatalog(store);
    const { head } = await reader.read();
    return { sequence: head.sequence, damaged: reader.damagedPacks };
  };
  assert.deepEqual(await read(), { sequence: 1001, damaged: [] }, 'from the pack');
  assert(store.reads < 20, `${store.reads} reads`);
  await assert.rejects(
    openCatalog(store).read({ through: 'entries' }),
    (error) => error instanceof AppError && error.facts['sequence'] === 500,
  );
  await remove();
});

test('a pack that is damaged or gone costs speed, and is told; the entries are the truth', async () => {
  const { store, catalog, path, remove } = await fresh();
  await layCatalog(path, 999);
  await catalog.append(segmentBody(999), by('w1'));
  await catalog.append(segmentBody(1000), by('w1'));
  const pack = join(path, catalogPackKey(1));
  await chmod(pack, 0o600);
  for (const bytes of [Buffer.from('no zstd'), Buffer.alloc(0)]) {
    await writeFile(pack, bytes);
    const reader = openCatalog(store);
    assert.equal((await reader.read()).head.sequence, 1001);
    assert.deepEqual(reader.damagedPacks, [1]);
  }
  await rm(pack);
  const reader = openCatalog(store);
  assert.equal((await reader.read()).head.sequence, 1001);
  assert.deepEqual(reader.damagedPacks, []);
  await rm(join(path, catalogKey(500)));
  await assert.rejects(
    openCatalog(store).read(),
    (error) => error instanceof AppError && error.facts['sequence'] === 500,
  );
  await remove();
});

test('where a key is demanded, an entry without its signature is corrupt', async () => {
  const { store, path, remove } = await fresh();
  const [secret, open, foreign] = [join(path, 'k'), join(path, 'k.pub'), join(path, 'f')];
  await generateSigningKeys(secret, open);
  await generateSigningKeys(foreign, `${foreign}.pub`);
  const signingKey = await loadSigningKey(secret);
  const trustedKey = await loadTrustedKey(open);
  const signed = openCatalog(store, { signingKey, trustedKey });
  await signed.init('shop', by('w1'));
  await signed.append(segmentBody(1), by('w1'));
  assert.equal((await openCatalog(store, { trustedKey }).read()).head.sequence, 2);
  await openCatalog(store, { signingKey: await loadSigningKey(foreign) }).append(segmentBody(2), by('w1'));
  const broken = (error: unknown) =>
    error instanceof AppError && error.facts['sequence'] === 3 && error.facts['reason'] === 'signature';
  await assert.rejects(signed.read(), broken);
  await assert.rejects(openCatalog(store, { trustedKey }).read(), broken);
  await chmod(secret, 0o644);
  await assert.rejects(loadSigningKey(secret), { code: 'SigningKeyTooOpen', kind: 'refused' });
  await writeFile(secret, 'no key', { mode: 0o600 });
  await chmod(secret, 0o600);
  await assert.rejects(loadSigningKey(secret), { code: 'NotAnEd25519Key', kind: 'config' });
  await remove();
});

test('fifty thousand entries are read in seconds, by a request for each thousand', {
  timeout: 180_000,
}, async () => {
  const { store, path, remove } = await fresh();
  await layPacks(path, 50);
  const start = performance.now();
  const state = await openCatalog(store).read();
  const seconds = (performance.now() - start) / 1000;
  assert.equal(state.head.sequence, 50_000);
  assert.equal(state.archivedThrough(1).toString(), `${SERVER}:1-499990`);
  assert(store.reads < 100, `${store.reads} reads`);
  assert(seconds < 30, `${seconds} s`);
  await remove();
});
