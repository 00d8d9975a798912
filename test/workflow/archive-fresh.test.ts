/**
 * Promise: archiving that begins while a required store is away goes on in the others right behind what
 * they hold, calls nothing archived meanwhile, and obeys a handoff that stood only in the one that was away.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { viewOf } from '../../src/catalog/view.ts';
import { parseServerUuid } from '../../src/domain/identity.ts';
import { compareCatalogs } from '../../src/domain/routing/compare.ts';
import { readServerFacts } from '../../src/mysql/facts.ts';
import { type ArchiveWorld, startArchiveWorld } from './archive-world.ts';
import { type FarStore, soon, startFarStore } from './far-store.ts';

const OTHER = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');

let world: ArchiveWorld;
let farStore: FarStore;
let worker: Awaited<ReturnType<ArchiveWorld['startWorker']>>;

before(async () => {
  farStore = await startFarStore();
  world = await startArchiveWorld({ stores: [farStore.entry] });
  worker = await world.startWorker();
  const applied = await world.pitrail('apply');
  assert.equal(applied.code, 0, applied.stderr);
});
after(async () => {
  await world.stop();
  await farStore.stop();
});

async function closeLog(): Promise<void> {
  await world.mysql.run("INSERT INTO d.t (v) VALUES ('x')", 'FLUSH BINARY LOGS');
}

const inBucket = () => openCatalog(farStore.bucket).read();

async function namesInBucket(): Promise<string[]> {
  return (await inBucket()).allSegments().map(({ segment }) => segment.binlog);
}

/** Ends workflow and worker, and cuts the bucket off: whoever begins then knows nothing of it. */
async function loseMemoryAndBucket(): Promise<void> {
  await world.entity().terminate('test');
  await worker.stop();
  farStore.cable.setWeather({ kind: 'hold' });
  farStore.cable.reset();
  worker = await world.startWorker();
}

function bringBack(): void {
  farStore.cable.setWeather({ kind: 'clear' });
  farStore.cable.reset();
}

async function archiveOnce() {
  const { code, stdout } = await world.pitrail('archive', '--once', '--json');
  return { code, document: JSON.parse(stdout) as { error?: { code: string; message: string } } };
}

test('the other store gets each log, nothing counts, and status and archive --once say why', async () => {
  for (let i = 0; i < 2; i += 1) await closeLog();
  await soon('both have all', async () => String(await namesInBucket()) === String(await world.closed()));
  const before = await namesInBucket();
  await loseMemoryAndBucket();
  for (let i = 0; i < 3; i += 1) await closeLog();
  const { code, document } = await archiveOnce();
  assert.equal(code, 75, JSON.stringify(document));
  assert.match(document.error?.message ?? '', /far/);
  await soon(
    'the folder has all',
    async () => String(await world.archived()) === String(await world.closed()),
  );
  const { segmentsArchived, archivedThrough, backlog, unasked, deadLetters, lastFailure } =
    await world.status();
  assert.deepEqual([segmentsArchived, archivedThrough, unasked], [0, null, ['far']]);
  assert.equal(backlog.logs, (await world.closed()).length, 'nothing is known of the bucket, so all waits');
  assert.deepEqual([deadLetters, lastFailure?.kind], [[], 'unavailable']);
  assert.ok((await world.staged()).length > 0, 'what the bucket lacks stays staged');
  const status = await world.pitrail('status', '--json');
  // 3: there is no base backup either.
  assert.equal(status.code, 3, status.stdout);
  assert.match(status.stdout, /"code":"StoreCircuitOpen","kind":"unavailable","subject":"far"/);
  assert.deepEqual(await namesInBucket(), before);
});

test('when it is back it is asked first, both hold the same, and archiving goes on', async () => {
  bringBack();
  assert.deepEqual(await archiveOnce().then(({ code }) => code), 0);
  assert.deepEqual(await namesInBucket(), await world.closed());
  const { verdict, differences } = compareCatalogs(
    viewOf('main', await world.catalog()),
    viewOf('far', await inBucket()),
  );
  assert.equal(verdict, 'equal', JSON.stringify(differences));
  const { unasked, hold } = await world.status();
  assert.deepEqual([unasked, hold], [[], { kind: 'held', epoch: 1 }]);
  await closeLog();
  assert.equal((await archiveOnce()).code, 0);
  await soon('nothing lies staged', async () => (await world.staged()).length === 0);
});

test('a handoff that stood only in the store that was away ends it: nothing that it wrote was called archived', async () => {
  const { serverUuid } = await readServerFacts(world.mysql.root);
  await openCatalog(farStore.bucket).append(
    {
      kind: 'handoff',
      route: {
        kind: 'source',
        from: { source: 'shop-1', serverUuid },
        to: { source: 'shop-2', serverUuid: OTHER },
        continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
      },
      reason: 'operator',
      detail: 'made where the folder could not be reached',
    },
    { writer: 'test/1/handoff', epoch: 2, at: '2026-11-20T10:00:00.000000Z' },
  );
  await loseMemoryAndBucket();
  await closeLog();
  assert.equal((await archiveOnce()).code, 75);
  await soon(
    'the folder takes it',
    async () => String(await world.archived()) === String(await world.closed()),
  );
  assert.equal((await world.status()).segmentsArchived, 0);
  bringBack();
  await soon('it stands by', async () => (await world.status()).phase === 'standing-by');
  const { hold, segmentsArchived, lastFailure } = await world.status();
  assert.deepEqual(hold, { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  assert.deepEqual([segmentsArchived, lastFailure?.code], [0, 'HandedAway']);
  assert.equal((await inBucket()).head.sequence, (await inBucket()).handoffs().at(-1)?.sequence);
  const once = await archiveOnce();
  assert.deepEqual([once.code, once.document.error?.code], [3, 'HandedAway']);
});
