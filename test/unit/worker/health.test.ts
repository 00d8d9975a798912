import { strict as assert } from 'node:assert';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import type { PitrailConfig, StoreConfig } from '../../../src/config/types.ts';
import { generateKeyFile } from '../../../src/envelope/keys.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { checkKeys, checkQueue, checkStoreUses, judgeHealth } from '../../../src/worker/health.ts';
import { ALL_ROLES } from '../../../src/worker/roles.ts';
import { StoreBoard } from '../../../src/worker/store-board.ts';
import { type TestFolder, testFolder } from '../../support/folder.ts';

let folder: TestFolder;
let config: PitrailConfig;
let board: StoreBoard;
let nowMs = 1_000;

before(async () => {
  folder = await testFolder();
  const text = `clusters: { shop: {
    stores: [{ id: main, directory: main }, { id: other, directory: away/other }], encryption: { keyFile: key } } }`;
  config = parseConfig(text, join(folder.path, 'pitrail.yaml'));
  board = new StoreBoard(config, () => nowMs);
  await generateKeyFile(join(folder.path, 'key'));
});
after(() => folder.remove());

function storeConfig(id: string): StoreConfig {
  const found = config.clusters[0]?.stores.find((store) => store.id === id);
  if (found === undefined) throw new Error(`no store ${id}`);
  return found;
}

async function* body(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('x');
}

const statuses = () => checkStoreUses(board.uses()).map(({ name, status }) => `${name} ${status}`);

test('a store that nobody asked speaks neither for nor against the worker', () => {
  assert.deepEqual(statuses(), ['store shop/main unused', 'store shop/other unused']);
  assert.equal(judgeHealth(checkStoreUses(board.uses())).status, 'ready');
});

test('a store that answers is ok; one that does not is failing since then, until it answers again', async () => {
  const [main, other] = await Promise.all([openStore(storeConfig('main')), openStore(storeConfig('other'))]);
  await main.create('a', body());
  await assert.rejects(other.head('a'), { code: 'StoreUnreachable' });
  nowMs = 5_000;
  await assert.rejects(other.create('a', body()));
  const report = judgeHealth(checkStoreUses(board.uses()));
  assert.equal(report.status, 'not-ready');
  assert.match(
    report.reasons.join(),
    /^store shop\/other: failing since 1970-01-01T00:00:01.000Z, it never answered: .*away/,
  );
  await mkdir(join(folder.path, 'away'));
  await other.create('a', body());
  assert.deepEqual(statuses(), ['store shop/main ok', 'store shop/other ok']);
  assert.match(checkStoreUses(board.uses())[1]?.reason ?? '', /last answer 1970-01-01T00:00:05/);
  await rm(join(folder.path, 'away'), { recursive: true });
});

test('what is no fault of the store is not held against it', async () => {
  const main = await openStore(storeConfig('main'));
  const read = async (key: string) => {
    for await (const _ of main.read(key));
  };
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
    throw new Error('the source broke');
  }
  await assert.rejects(main.create('b', broken()), /the source broke/);
  await assert.rejects(read('missing'), { code: 'ObjectMissing' });
  await assert.rejects(main.create('c', body(), { lengthBytes: 5 }), { code: 'BodyLengthDiffers' });
  assert.equal((await main.create('a', body())).status, 'exists');
  assert.match(statuses()[0] ?? '', /ok$/);
});

test('a store of another configuration is nobody’s business here', async () => {
  const before = board.uses();
  await (await openStore({ ...storeConfig('main') })).head('a');
  assert.deepEqual(board.uses(), before);
});

test('a key that cannot be loaded makes every role but control not ready', async () => {
  const key = join(folder.path, 'key');
  assert.deepEqual(
    (await checkKeys(config, ALL_ROLES)).map(({ status }) => status),
    ['ok'],
  );
  await chmod(key, 0o644);
  const [exposed] = await checkKeys(config, ALL_ROLES);
  assert.equal(exposed?.status, 'failing');
  assert.match(exposed?.reason ?? '', /mode 0644/);
  assert.deepEqual(await checkKeys(config, [{ kind: 'control' }]), []);
  await rm(key);
  assert.equal((await checkKeys(config, [{ kind: 'restore' }]))[0]?.status, 'failing');
  await writeFile(key, '');
});

test('a queue is polled while its worker runs, and at no other time', () => {
  assert.equal(checkQueue('host.local', 'RUNNING').status, 'ok');
  for (const state of ['INITIALIZED', 'STOPPING', 'DRAINING', 'STOPPED', 'FAILED']) {
    assert.equal(checkQueue('host.local', state).status, 'failing', state);
  }
});
