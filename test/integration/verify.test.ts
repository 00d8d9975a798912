import assert from 'node:assert/strict';
import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { firstSignature, type Repository, wallClock } from '../../src/archiving/repositories.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import { catalogKey } from '../../src/domain/object-keys.ts';
import { documentOf } from './cli-run.ts';
import { objectsIn, type SyncWorld, startSyncWorld } from './sync-world.ts';

let world: SyncWorld;
let binlogs: readonly string[];

before(async () => {
  world = await startSyncWorld();
  await world.archive(4);
  await world.backUp();
  const run = await world.run(['sync', '--from', 'main', '--to', 'spare']);
  assert.equal(run.code, 0, run.stderr);
  binlogs = [...(await objectsIn(world.folders.spare)).keys()]
    .filter((key) => key.startsWith('mysql/'))
    .sort();
});
after(() => world.stop());

interface VerifyDocument {
  readonly verdict: string;
  readonly stores: readonly {
    readonly status: string;
    readonly store: string;
    readonly segments: number;
    readonly unnamed: readonly string[];
    readonly findings: readonly { readonly key: string; readonly code: string; readonly detail: string }[];
    readonly ranges: readonly { readonly logs: number; readonly endsAt: { readonly kind: string } }[];
  }[];
  readonly problems: readonly { readonly code: string; readonly store: string; readonly message: string }[];
}

async function verify(
  ...args: readonly string[]
): Promise<{ code: number | null; document: VerifyDocument }> {
  // The S3 store of this world is empty; it has tests of its own below.
  const run = await world.run(['verify', '--json', ...args]);
  assert.ok(run.stdout !== '', run.stderr);
  return { code: run.code, document: documentOf<VerifyDocument>(run) };
}

/** Damages a file for the time of a check. */
async function damaged(
  path: string,
  damage: (path: string) => Promise<void>,
  check: () => Promise<void>,
): Promise<void> {
  await copyFile(path, `${world.source.storeDir}.kept`);
  try {
    await damage(path);
    await check();
  } finally {
    await rm(path, { force: true });
    await rename(`${world.source.storeDir}.kept`, path);
  }
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

function spareFile(key: string): string {
  return join(world.folders.spare, key);
}

test('a whole store is told with its contiguous range, and every object proven', async () => {
  const { code, document } = await verify('--deep', '--store', 'spare');
  assert.equal(code, 0, JSON.stringify(document.problems));
  const [spare] = document.stores;
  assert.equal(document.verdict, 'whole');
  assert.equal(spare?.segments, binlogs.length);
  assert.deepEqual(
    spare?.ranges.map(({ logs, endsAt }) => ({ logs, ends: endsAt.kind })),
    [{ logs: binlogs.length, ends: 'end-of-archive' }],
  );
});

test('a store of the cluster that holds no repository is a problem, and the others are walked all the same', async () => {
  const { code, document } = await verify();
  assert.equal(code, 3);
  assert.deepEqual(
    document.stores.map(({ store, status }) => `${store} ${status}`),
    ['main verified', 'spare verified', 's3 failed'],
  );
  assert.deepEqual(
    document.problems.map((it) => `${it.store} ${it.code}`),
    ['s3 RepositoryMissing'],
  );
});

test('every flipped bit of an object is found by --deep, and named with its key', async () => {
  for (const key of [binlogs[1] ?? '', await backupKey()]) {
    await damaged(spareFile(key), flip, async () => {
      const { code, document } = await verify('--deep', '--store', 'spare');
      assert.equal(code, 4);
      const [spare] = document.stores;
      assert.deepEqual(
        spare?.findings.map((it) => [it.key, it.code]),
        [[key, 'other-content']],
      );
    });
  }
});

async function backupKey(): Promise<string> {
  const keys = [...(await objectsIn(world.folders.spare)).keys()];
  return keys.find((key) => key.startsWith('backups/')) ?? assert.fail();
}

test('a cut object and a missing one are found without reading any', async () => {
  await damaged(
    spareFile(binlogs[0] ?? ''),
    (path) => truncate(path, 1000),
    async () => {
      const { code, document } = await verify('--store', 'spare');
      assert.equal(code, 4);
      assert.deepEqual(
        document.stores[0]?.findings.map(({ code: one }) => one),
        ['other-length'],
      );
    },
  );
  await damaged(spareFile(binlogs[2] ?? ''), rm, async () => {
    for (const depth of [[], ['--deep']]) {
      const { code, document } = await verify('--store', 'spare', ...depth);
      assert.equal(code, 4);
      assert.deepEqual(
        document.stores[0]?.findings.map((it) => [it.key, it.code]),
        [[binlogs[2], 'missing']],
      );
    }
  });
});

test('two objects that were swapped are found, although each is whole', async () => {
  const [a, b] = [spareFile(binlogs[0] ?? ''), spareFile(binlogs[1] ?? '')];
  const swap = async () => {
    await rename(a, `${a}.swap`);
    await rename(b, a);
    await rename(`${a}.swap`, b);
  };
  await swap();
  try {
    const { code, document } = await verify('--deep', '--store', 'spare');
    assert.equal(code, 4);
    assert.deepEqual(document.stores[0]?.findings.map(({ key }) => key).sort(), binlogs.slice(0, 2));
  } finally {
    await swap();
  }
});

test('an edited entry breaks the catalog at its sequence', async () => {
  const edit = async (path: string) =>
    writeFile(path, (await readFile(path, 'utf8')).replace('"transactions":', '"transactions":1'));
  await damaged(spareFile(catalogKey(3)), edit, async () => {
    const { code, document } = await verify('--store', 'spare');
    assert.equal(code, 4);
    assert.deepEqual(
      document.problems.map((it) => it.code),
      ['CatalogBroken'],
    );
    assert.match(document.problems[0]?.message ?? '', /sequence 3/);
  });
});

test('what a store lacks is named with the sync that brings it, and is no damage', async () => {
  await world.archive(1);
  const run = await world.run(['verify', '--json']);
  const { problems } = documentOf<VerifyDocument>(run);
  const missing = problems.filter(({ code }) => code === 'Missing');
  assert.equal(missing.length, 1);
  assert.match(missing[0]?.message ?? '', /^spare lacks binlog\.\d+ .* which main holds\.$/);
  const people = await world.run(['verify']);
  assert.match(people.stdout, /hint: pitrail sync --from main --to spare/);
  assert.match(people.stdout, /only in main: [0-9a-f-]{36}:\d+/);
  assert.equal((await world.run(['sync', '--from', 'main', '--to', 'spare'])).code, 0);
});

test('an object that no entry names is told, and judged by nobody', async () => {
  const stray = spareFile('mysql/stray.zst.enc');
  await writeFile(stray, 'left by a crash');
  const { code, document } = await verify('--store', 'spare');
  await rm(stray);
  assert.equal(code, 0);
  assert.deepEqual(document.stores[0]?.unnamed, ['mysql/stray.zst.enc']);
});

test('an entry that says other things of an object than are in it is found by --deep, and by the comparison', async () => {
  const repositories = await world.open();
  const [main, spare] = repositories.all as [Repository, Repository];
  await world.archive(1);
  const archived = (await main.catalog.read()).allSegments().at(-1) ?? assert.fail();
  const { timeline, segment, object } = archived;
  await spare.store.create(object.key, main.store.read(object.key));
  const lie = { ...segment, transactions: segment.transactions + 1, eventDdl: 7 };
  await spare.catalog.append(
    { kind: 'segment-archived', timeline, segment: lie, object },
    firstSignature('test', wallClock(), (await spare.catalog.read()).epoch),
  );
  await repositories.close();
  const { code, document } = await verify('--deep', '--store', 'spare');
  assert.equal(code, 4);
  assert.deepEqual(
    document.stores[0]?.findings.map(({ detail }) => detail),
    [
      `its transactions is ${segment.transactions}, and the catalog says ${lie.transactions}`,
      `its eventDdl is ${segment.eventDdl}, and the catalog says 7`,
    ],
  );
  const compared = await verify();
  const differs = compared.document.problems.filter((it) => it.code === 'Differs');
  assert.match(differs[0]?.message ?? '', /segment\.eventDdl, segment\.transactions/);
});

test('two stores which each took a boundary of the same epoch are a conflict that names both heirs', async () => {
  assert.equal((await world.run(['sync', '--from', 'main', '--to', 's3', '--json'])).code, 0);
  const repositories = await world.open();
  const [main, , s3] = repositories.all as [Repository, Repository, Repository];
  const state = await main.catalog.read();
  const { segment } = state.allSegments()[0] ?? assert.fail();
  const from = { source: 'old', serverUuid: segment.serverUuid };
  const continuity = { kind: 'continues', timeline: 1, baselineGtids: '' } as const;
  const heirs = {
    left: parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562'),
    right: parseServerUuid('4e11fa47-71ca-11e1-9e33-c80aa9429562'),
  };
  for (const [{ catalog }, source] of [
    [main, 'left'],
    [s3, 'right'],
  ] as const) {
    const route = { kind: 'source', from, to: { source, serverUuid: heirs[source] }, continuity } as const;
    await catalog.append(
      { kind: 'handoff', route, reason: 'operator', detail: `to ${source}` },
      firstSignature('test', wallClock(), state.epoch + 1),
    );
  }
  await repositories.close();
  const { code, document } = await verify();
  assert.equal(code, 5);
  const conflicts = document.problems.filter((it) => it.code === 'HandoffsConflict');
  assert.deepEqual(
    conflicts.map(({ store }) => store),
    ['main, s3'],
  );
  const message = conflicts[0]?.message ?? '';
  assert.match(message, new RegExp(`epoch ${state.epoch + 1}, in main to source left .*${heirs.left}`));
  assert.match(message, new RegExp(`in s3 to source right .*${heirs.right}`));
  const refused = await world.run(['sync', '--from', 'main', '--to', 's3']);
  assert.equal(refused.code, 5, refused.stderr);
});
