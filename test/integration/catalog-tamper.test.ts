import { strict as assert } from 'node:assert';
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Catalog, openCatalog } from '../../src/catalog/catalog.ts';
import type { CatalogHead } from '../../src/catalog/chain.ts';
import { AppError } from '../../src/domain/errors.ts';
import { catalogKey } from '../../src/domain/object-keys.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { testFolder } from '../support/folder.ts';
import { layCatalog } from './catalog-samples.ts';

interface Laid {
  readonly file: (sequence: number) => string;
  readonly edit: (sequence: number, from: string | RegExp, to: string) => Promise<void>;
  readonly head: CatalogHead;
}

/** Lays a catalog of ten entries, changes it, and gives what a fresh reader then says. */
async function afterChange(
  change: (laid: Laid) => Promise<void>,
  read: (catalog: Catalog, head: CatalogHead) => Promise<unknown> = (catalog) => catalog.read(),
): Promise<unknown> {
  const folder = await testFolder();
  const head = await layCatalog(folder.path, 10);
  const file = (sequence: number) => join(folder.path, catalogKey(sequence));
  const edit = async (sequence: number, from: string | RegExp, to: string) => {
    const text = await readFile(file(sequence), 'utf8');
    assert.notEqual(text.replace(from, to), text, 'the change changes something');
    await writeFile(file(sequence), text.replace(from, to));
  };
  try {
    await change({ file, edit, head });
    const catalog = openCatalog(openDirectoryStore({ id: 'main', directory: folder.path }), {
      cluster: 'shop',
    });
    return await read(catalog, head).catch((error: unknown) => error);
  } finally {
    await folder.remove();
  }
}

function assertBroken(outcome: unknown, sequence: number, reason: string): void {
  assert(outcome instanceof AppError, `the change was not found: ${JSON.stringify(outcome)}`);
  assert.equal(outcome.code, 'CatalogBroken', outcome.message);
  assert.equal(outcome.kind, 'corrupt');
  assert.deepEqual([outcome.facts['sequence'], outcome.facts['reason']], [sequence, reason], outcome.message);
  assert.match(outcome.message, new RegExp(`broken at sequence ${sequence}:`));
}

const CHANGES: readonly {
  readonly name: string;
  readonly sequence: number;
  readonly reason: string;
  readonly change: (laid: Laid) => Promise<void>;
}[] = [
  { name: 'an edited entry', sequence: 4, reason: 'link', change: ({ edit }) => edit(4, '9.7.4', '9.7.5') },
  {
    name: 'an edited first entry',
    sequence: 1,
    reason: 'link',
    change: ({ edit }) => edit(1, '"createdBy":"test"', '"createdBy":"tost"'),
  },
  {
    name: 'an edited entry before the last',
    sequence: 9,
    reason: 'link',
    change: ({ edit }) => edit(9, '9.7.4', '9.7.5'),
  },
  {
    name: 'an edited link',
    sequence: 5,
    reason: 'link',
    change: ({ edit }) => edit(5, /"previous":"[0-9a-f]{4}/, '"previous":"0000'),
  },
  { name: 'a missing entry', sequence: 6, reason: 'missing', change: ({ file }) => rm(file(6)) },
  { name: 'a missing first entry', sequence: 1, reason: 'missing', change: ({ file }) => rm(file(1)) },
  {
    name: 'an entry moved to the end',
    sequence: 3,
    reason: 'missing',
    change: ({ file }) => rename(file(3), file(11)),
  },
  {
    name: 'two swapped entries',
    sequence: 3,
    reason: 'sequence',
    async change({ file }) {
      await rename(file(3), file(99));
      await rename(file(7), file(3));
      await rename(file(99), file(7));
    },
  },
  {
    name: 'an entry copied to the end',
    sequence: 11,
    reason: 'sequence',
    change: ({ file }) => copyFile(file(10), file(11)),
  },
  {
    name: 'an entry of another repository',
    sequence: 10,
    reason: 'repository',
    change: ({ edit }) => edit(10, '11111111-2222', '99999999-2222'),
  },
  {
    name: 'an epoch that no handoff raised',
    sequence: 3,
    reason: 'epoch',
    change: ({ edit }) => edit(3, '"epoch":0', '"epoch":7'),
  },
  { name: 'an empty entry', sequence: 8, reason: 'malformed', change: ({ file }) => writeFile(file(8), '') },
  { name: 'a cut entry', sequence: 8, reason: 'malformed', change: ({ edit }) => edit(8, /.{40}\n$/, '') },
  {
    name: 'an unknown field',
    sequence: 2,
    reason: 'malformed',
    change: ({ edit }) => edit(2, '{', '{"extra":1,'),
  },
  {
    name: 'a fraction for a number',
    sequence: 2,
    reason: 'malformed',
    change: ({ edit }) => edit(2, '4242', '4242.5'),
  },
  {
    name: 'a GTID set that is none',
    sequence: 2,
    reason: 'malformed',
    change: ({ edit }) => edit(2, ':1-10"', ':10-1"'),
  },
  {
    name: 'bytes that are no UTF-8',
    sequence: 2,
    reason: 'malformed',
    change: ({ file }) => writeFile(file(2), Buffer.from([0xff, 0xfe])),
  },
];

for (const { name, sequence, reason, change } of CHANGES) {
  test(`${name} is found and named`, async () => {
    assertBroken(await afterChange(change), sequence, reason);
  });
}

test('a removed end is found by who has seen it', async () => {
  const change = ({ file }: Laid) => rm(file(10));
  const expecting = (catalog: Catalog, head: CatalogHead) => catalog.read({ expectAtLeast: head });
  assertBroken(await afterChange(change, expecting), 10, 'rolled-back');
});

test('an edited end is found by who has seen it', async () => {
  const change = ({ edit }: Laid) => edit(10, '9.7.4', '9.7.5');
  const expecting = (catalog: Catalog, head: CatalogHead) => catalog.read({ expectAtLeast: head });
  assertBroken(await afterChange(change, expecting), 10, 'rolled-back');
});

test('an emptied store is found by who has seen it full', async () => {
  const change = async ({ file }: Laid) => {
    for (let sequence = 1; sequence <= 10; sequence += 1) await rm(file(sequence));
  };
  const expecting = (catalog: Catalog, head: CatalogHead) => catalog.read({ expectAtLeast: head });
  assertBroken(await afterChange(change, expecting), 1, 'rolled-back');
});

test('a reader that stays open finds a roll-back under it', async () => {
  const folder = await testFolder();
  await layCatalog(folder.path, 5);
  const catalog = openCatalog(openDirectoryStore({ id: 'main', directory: folder.path }));
  await catalog.read();
  await rm(join(folder.path, catalogKey(5)));
  assertBroken(await catalog.read().catch((error: unknown) => error), 5, 'rolled-back');
  await folder.remove();
});

test('an untouched catalog is read, and a known head is confirmed', async () => {
  const outcome = await afterChange(
    async () => undefined,
    async (catalog, head) => (await catalog.read({ expectAtLeast: head })).head.sequence,
  );
  assert.equal(outcome, 10);
});

test('what a later version wrote is refused, not called corrupt', async () => {
  for (const [from, to] of [
    ['"format":1', '"format":2'],
    ['"kind":"segment-archived"', '"kind":"drill-recorded"'],
  ] as const) {
    const outcome = await afterChange(({ edit }) => edit(10, from, to));
    assert(outcome instanceof AppError);
    assert.deepEqual([outcome.code, outcome.kind], ['NewerCatalogFormat', 'refused'], outcome.message);
  }
});

test('an empty store and another cluster are refused by name', async () => {
  const folder = await testFolder();
  const store = openDirectoryStore({ id: 'main', directory: folder.path });
  await assert.rejects(openCatalog(store).read(), { code: 'RepositoryMissing', kind: 'refused' });
  await layCatalog(folder.path, 2);
  await assert.rejects(openCatalog(store, { cluster: 'other' }).read(), {
    code: 'ForeignRepository',
    kind: 'refused',
  });
  await folder.remove();
});
