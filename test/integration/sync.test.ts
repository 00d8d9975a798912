import assert from 'node:assert/strict';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { firstSignature, type Repository, wallClock } from '../../src/archiving/repositories.ts';
import { parseBinlogName } from '../../src/domain/identity.ts';
import type { SyncPlan } from '../../src/domain/routing/sync-plan.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { syncStores } from '../../src/syncing/sync-stores.ts';
import { documentOf } from './cli-run.ts';
import { objectsIn, type SyncWorld, startSyncWorld } from './sync-world.ts';

let world: SyncWorld;

before(async () => {
  world = await startSyncWorld();
  await world.archive(5);
  await world.backUp();
});
after(() => world.stop());

interface SyncDocument {
  readonly objects: number;
  readonly entries: number;
  readonly bytes: number;
  readonly obstacles: readonly { readonly kind: string }[];
  readonly comparison: { readonly verdict: string };
}

interface VerifyDocument {
  readonly verdict: string;
  readonly comparisons: readonly { readonly verdict: string; readonly stores: readonly string[] }[];
  readonly problems: readonly { readonly code: string; readonly store: string; readonly message: string }[];
}

async function sync(from: string, to: string, env: Record<string, string> = {}) {
  return world.run(['sync', '--from', from, '--to', to, '--json'], env);
}

async function wipe(store: 'spare' | 's3'): Promise<void> {
  const folder = world.folders[store];
  if (store === 'spare') return rm(folder, { recursive: true, force: true });
  for (const part of ['mysql', 'backups', 'catalog', 'probe']) {
    await rm(join(folder, part), { recursive: true, force: true });
  }
}

/** Both stores hold the same objects, byte for byte, and nothing else. */
async function assertSameBytes(store: 'spare' | 's3'): Promise<void> {
  const [main, other] = await Promise.all([objectsIn(world.folders.main), objectsIn(world.folders[store])]);
  assert.deepEqual([...other.keys()].sort(), [...main.keys()].sort());
  for (const [key, bytes] of main) assert.ok(bytes.equals(other.get(key) ?? Buffer.alloc(0)), key);
}

for (const store of ['spare', 's3'] as const) {
  test(`a new store (${store}) is filled with the same bytes, and proven equal`, async () => {
    const dry = await world.run(['sync', '--from', 'main', '--to', store, '--dry-run', '--json']);
    assert.equal(dry.code, 0, dry.stderr);
    const planned = documentOf<SyncDocument>(dry);
    assert.equal((await objectsIn(world.folders[store])).size, 0, 'a dry run changes nothing');
    const run = await sync('main', store);
    assert.equal(run.code, 0, run.stderr);
    const done = documentOf<SyncDocument>(run);
    assert.deepEqual(
      [done.entries, done.objects, done.bytes],
      [planned.entries, planned.objects, planned.bytes],
    );
    assert.equal(done.objects, (await objectsIn(world.folders.main)).size);
    assert.equal(done.comparison.verdict, 'equal');
    await assertSameBytes(store);
  });
}

test('a store that was away gets what it lacks, and nothing twice', async () => {
  await world.archive(2);
  const run = await sync('main', 'spare');
  assert.equal(run.code, 0, run.stderr);
  const { objects, entries } = documentOf<SyncDocument>(run);
  assert.deepEqual({ objects, entries }, { objects: 2, entries: 2 });
  const again = documentOf<SyncDocument>(await sync('main', 'spare'));
  assert.deepEqual([again.objects, again.entries, again.bytes], [0, 0, 0]);
  assert.equal((await sync('main', 's3')).code, 0);
  const verified = await world.run(['verify', '--deep', '--json']);
  assert.equal(verified.code, 0, verified.stdout);
  const { comparisons, verdict } = documentOf<VerifyDocument>(verified);
  assert.equal(verdict, 'whole');
  assert.deepEqual(
    comparisons.map(({ stores, verdict: one }) => [...stores, one]),
    [
      ['main', 'spare', 'equal'],
      ['main', 's3', 'equal'],
      ['spare', 's3', 'equal'],
    ],
  );
});

for (const store of ['spare', 's3'] as const) {
  test(`objects that somebody removed from ${store} are put back`, async () => {
    const keys = [...(await objectsIn(world.folders[store])).keys()].sort();
    const removed = [keys[0], keys.at(-1)].map(String);
    for (const key of removed) await rm(join(world.folders[store], key));
    const dry = await world.run(['sync', '--from', 'main', '--to', store, '--dry-run', '--json']);
    assert.deepEqual(documentOf<{ putBack: string[] }>(dry).putBack.sort(), removed);
    const run = await sync('main', store);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(documentOf<{ putBack: string[] }>(run).putBack.sort(), removed);
    await assertSameBytes(store);
    assert.equal((await world.run(['verify', '--deep'])).code, 0);
  });
}

interface Inspected {
  readonly changed: readonly { readonly key: string; readonly code: string }[];
  readonly looked: {
    readonly objects: number;
    readonly byChecksum: number;
    readonly byLength: number;
  };
}

/** The bytes of an object of `main`, with the last one changed. */
async function alteredOf(key: string): Promise<Buffer> {
  const bytes = await readFile(join(world.folders.main, key));
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return bytes;
}

/** Each way to change an object without removing it, and what a sync finds without reading it. */
const CHANGES = [
  {
    store: 's3',
    what: 'overwritten with as many other bytes',
    code: 'other-checksum',
    change: async (key: string) => {
      const put = { Bucket: world.s3.bucket, Key: key, Body: await alteredOf(key) };
      await world.s3.client().send(new PutObjectCommand({ ...put, ChecksumAlgorithm: 'CRC32' }));
    },
    moveAway: async (key: string) => {
      await world.s3.client().send(new DeleteObjectCommand({ Bucket: world.s3.bucket, Key: key }));
    },
  },
  {
    store: 'spare',
    what: 'cut',
    code: 'other-length',
    change: (key: string) => truncate(join(world.folders.spare, key), 1000),
    moveAway: (key: string) => rm(join(world.folders.spare, key)),
  },
] as const;

for (const { store, what, code, change, moveAway } of CHANGES) {
  test(`an object in ${store} that was ${what} is named, never overwritten, and put back once it is moved away`, async () => {
    const [key = ''] = [...(await objectsIn(world.folders.main)).keys()].sort();
    await change(key);
    const changed = (await objectsIn(world.folders[store])).get(key);
    for (const args of [[], ['--dry-run']]) {
      const run = await world.run(['sync', '--from', 'main', '--to', store, '--json', ...args]);
      assert.equal(run.code, 4, run.stderr);
      assert.deepEqual(
        documentOf<Inspected>(run).changed.map((it) => [it.key, it.code]),
        [[key, code]],
      );
    }
    const people = await world.run(['sync', '--from', 'main', '--to', store]);
    assert.equal(people.code, 4);
    assert.match(people.stdout, new RegExp(`problem: ${key} in ${store}: .*catalog says`));
    assert.match(people.stdout, /hint: .*move it away/);
    assert.doesNotMatch(people.stdout, /the same digests/);
    assert.deepEqual((await objectsIn(world.folders[store])).get(key), changed);
    await moveAway(key);
    const again = await sync('main', store);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(documentOf<{ putBack: string[] }>(again).putBack, [key]);
    await assertSameBytes(store);
  });
}

test('a sync says of which objects it compared a checksum and of which the length alone, and claims no more', async () => {
  const objects = (await objectsIn(world.folders.main)).size;
  const looked = async (store: string) => documentOf<Inspected>(await sync('main', store)).looked;
  assert.deepEqual(await looked('s3'), { objects, byChecksum: objects, byLength: 0 });
  assert.deepEqual(await looked('spare'), { objects, byChecksum: 0, byLength: objects });
  const [key = ''] = [...(await objectsIn(world.folders.main)).keys()].sort();
  await writeFile(join(world.folders.spare, key), await alteredOf(key));
  const people = await world.run(['sync', '--from', 'main', '--to', 'spare']);
  assert.equal(people.code, 0, people.stderr);
  assert.match(people.stdout, /^the catalogs of main and spare name the same GTIDs and the same digests$/m);
  const [, deep = ''] =
    /with the length; that no byte was changed proves only pitrail (.*)$/m.exec(people.stdout) ?? [];
  assert.equal(deep, 'verify --deep --store spare');
  const proof = await world.run(deep.split(' '));
  assert.equal(proof.code, 4, proof.stdout);
  assert.match(proof.stdout, new RegExp(`problem: ${key} in spare`));
  await rm(join(world.folders.spare, key));
  assert.equal((await sync('main', 'spare')).code, 0);
  await assertSameBytes('spare');
});

for (const point of ['sync.mid-copy', 'sync.copied', 'sync.committed']) {
  for (const store of ['spare', 's3'] as const) {
    test(`a sync to ${store} killed at ${point} goes on where it was`, async () => {
      await wipe(store);
      const killed = await sync('main', store, { PITRAIL_FAULT: point });
      assert.equal(killed.code, null, 'killed');
      const run = await sync('main', store);
      assert.equal(run.code, 0, run.stderr);
      assert.equal(documentOf<SyncDocument>(run).comparison.verdict, 'equal');
      await assertSameBytes(store);
    });
  }
}

test('two syncs at once write each entry once', async () => {
  await wipe('spare');
  const runs = await Promise.all([sync('main', 'spare'), sync('main', 'spare')]);
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
  const repositories = await world.open();
  const [main, spare] = repositories.all as [Repository, Repository];
  const heads = await Promise.all([main, spare].map(({ catalog }) => catalog.read({ through: 'entries' })));
  assert.equal(heads[1]?.head.sequence, heads[0]?.head.sequence);
  await repositories.close();
  await assertSameBytes('spare');
});

/** A store that does something before it creates an object. */
function beforeEachObject(store: ObjectStore, act: () => Promise<void>): ObjectStore {
  return {
    id: store.id,
    kind: store.kind,
    location: store.location,
    async create(key, body, options) {
      if (key.startsWith('mysql/')) await act();
      return store.create(key, body, options);
    },
    read: (key, options) => store.read(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    close: () => store.close(),
  };
}

test('a sync into which another writer writes is planned anew, and ends equal', async () => {
  await wipe('spare');
  const repositories = await world.open();
  const [main, spare] = repositories.all as [Repository, Repository];
  const plans: SyncPlan[] = [];
  const { serverUuid } = (await main.catalog.read()).allSegments()[0]?.segment ?? assert.fail();
  const refusal = {
    kind: 'segment-refused',
    serverUuid,
    binlog: parseBinlogName('binlog.000099'),
    reason: 'Test',
    detail: 'another writer',
  } as const;
  let writes = 0;
  const result = await syncStores({
    from: main,
    // While the first object is on its way, another process writes to the catalog.
    to: {
      catalog: spare.catalog,
      store: beforeEachObject(spare.store, async () => {
        writes += 1;
        if (writes > 1) return;
        const others = await world.open();
        await others.all[1]?.catalog.append(refusal, firstSignature('other', wallClock(), 1));
        await others.close();
      }),
    },
    key: repositories.key,
    sign: (epoch) => firstSignature('test', wallClock(), epoch),
    parallel: 2,
    signal: new AbortController().signal,
    onPlanned: (plan) => plans.push(plan),
    onProgress: () => undefined,
  });
  assert.equal(result.comparison.verdict, 'equal');
  assert.equal(plans.length, 2, 'planned anew once');
  const state = await spare.catalog.read({ through: 'entries' });
  assert.equal(state.allSegments().length, (await main.catalog.read()).allSegments().length);
  await repositories.close();
});

test('what its store altered is not copied, and what was copied before it stands', async () => {
  await wipe('spare');
  const objects = [...(await objectsIn(world.folders.main)).keys()]
    .filter((key) => key.startsWith('mysql/'))
    .sort();
  const victim = join(world.folders.main, objects[2] ?? '');
  const original = await readFile(victim);
  const altered = Buffer.from(original);
  altered[altered.length >> 1] = (altered[altered.length >> 1] ?? 0) ^ 1;
  await writeFile(victim, altered);
  try {
    const run = await sync('main', 'spare');
    assert.equal(run.code, 4, run.stderr);
    assert.match(run.stderr, /is not what was stored/);
    const copied = await objectsIn(world.folders.spare);
    assert.equal(copied.has(objects[2] ?? ''), false, 'a wrong byte makes no object');
    const before = await world.run(['verify', '--store', 'spare', '--deep', '--json']);
    assert.equal(before.code, 0, before.stdout);
  } finally {
    await writeFile(victim, original);
  }
  const run = await sync('main', 'spare');
  assert.equal(run.code, 0, run.stderr);
  await assertSameBytes('spare');
});

test('another object in the way is a conflict; the same plaintext sealed otherwise is adopted and told', async () => {
  await wipe('spare');
  const [key = ''] = [...(await objectsIn(world.folders.main)).keys()]
    .filter((it) => it.startsWith('mysql/'))
    .sort();
  const repositories = await world.open();
  const [main, spare] = repositories.all as [Repository, Repository];
  const body =
    (await main.catalog.read()).allSegments().find(({ object }) => object.key === key) ?? assert.fail();
  await spare.store.create(key, bytesOf(Buffer.from('a stranger')));
  const run = await sync('main', 'spare');
  assert.equal(run.code, 5, run.stderr);
  assert.match(run.stderr, /holds another object under/);
  assert.equal(
    String(await readFile(join(world.folders.spare, key))),
    'a stranger',
    'nothing was overwritten',
  );
  await wipe('spare');
  const sealed = await world.sealAnew(body.segment.binlog);
  await spare.store.create(key, bytesOf(sealed));
  const adopted = await sync('main', 'spare');
  assert.equal(adopted.code, 0, adopted.stderr);
  const verified = await world.run(['verify', '--deep', '--json']);
  assert.equal(verified.code, 0, verified.stdout);
  const { comparisons } = documentOf<{
    comparisons: { stores: string[]; differences: { kind: string }[] }[];
  }>(verified);
  const [mainSpare] = comparisons;
  assert.deepEqual(
    mainSpare?.differences.map(({ kind }) => kind),
    ['sealed-twice'],
  );
  await repositories.close();
});

async function* bytesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

test('a store that does not answer is told with exit code 75, and the sync goes on when it is back', async () => {
  await wipe('s3');
  await world.s3.kill();
  const run = await sync('main', 's3');
  assert.equal(run.code, 75, run.stderr);
  await world.s3.start();
  const again = await sync('main', 's3');
  assert.equal(again.code, 0, again.stderr);
  await assertSameBytes('s3');
});

test('a sync needs two stores that are configured', async () => {
  assert.equal((await sync('main', 'main')).code, 64);
  const unknown = await sync('main', 'elsewhere');
  assert.equal(unknown.code, 64);
  assert.match(unknown.stderr, /names no store "elsewhere"/);
  const empty = await world.run(['sync', '--from', 'main']);
  assert.equal(empty.code, 64);
});
