/** Promise: a guard around a store changes nothing that the store promises, and no guarded store hangs or exceeds its rate. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../src/domain/errors.ts';
import { catalogKey } from '../../src/domain/object-keys.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { guardByRules } from '../../src/storage/guard/guarded-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { testFolder } from '../support/folder.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { PLAIN_RULES } from '../support/store-rules.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { bodyOf, crcOf, gather } from './store-bodies.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('guarded directory', async () => {
  const folder = await testFolder('pt-guard');
  const parent = join(folder.path, 'disk');
  const directory = join(parent, 'store');
  await mkdir(parent);
  return {
    open: () => guardByRules(openDirectoryStore({ id: 'main', directory }), PLAIN_RULES),
    checksumOf: (bytes) => ({ kind: 'crc32', hex: crcOf(bytes) }),
    fileOf: (key) => join(directory, key),
    leftovers: () => readdir(join(directory, '.pitrail', 'tmp')),
    vanish: () => rename(parent, `${parent}-away`),
    comeBack: () => rename(`${parent}-away`, parent),
    stop: () => folder.remove(),
  };
});

const MIB = 1024 * 1024;

let server: TestS3;
let cable: TcpProxy;

before(async () => {
  server = await startS3();
  cable = await tcpProxy(server);
  const direct = openS3(server.endpoint);
  await direct.create(catalogKey(1), bodyOf(Buffer.from('{}')));
  await direct.close();
});
beforeEach(() => cable.setWeather({ kind: 'clear' }));
after(async () => {
  await cable.stop();
  await server.stop();
});

function openS3(endpoint: string): ObjectStore {
  return openS3Store({
    id: 's3',
    bucket: server.bucket,
    region: server.region,
    endpoint,
    forcePathStyle: true,
    credentials: async () => server.credentials,
  });
}

function guarded(limitBytesPerSecond: number | null = null): ObjectStore {
  return guardByRules(openS3(`http://127.0.0.1:${cable.port}`), { ...PLAIN_RULES, limitBytesPerSecond });
}

async function stalls(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await assert.rejects(work, (error) => error instanceof AppError && error.code === 'StoreStalled');
  return (performance.now() - began) / 1000;
}

test('a partitioned store fails within seconds: a question, an upload and a download that are under way', async () => {
  const store = guarded();
  const bytes = randomBytes(40 * MIB);
  await store.create('whole', bodyOf(bytes, MIB));
  const reading = store.read('whole')[Symbol.asyncIterator]();
  await reading.next();
  const sending = store.create('held', bodyOf(bytes, MIB), {
    onProgress: () => cable.setWeather({ kind: 'hold' }),
  });
  const seconds = await stalls(sending);
  assert.ok(seconds < 10, `${seconds} s for an upload`);
  const forDownload = await stalls(drain(reading));
  assert.ok(forDownload < 10, `${forDownload} s for a download`);
  const forHead = await stalls(store.head('whole'));
  assert.ok(forHead < 6, `${forHead} s for a question`);
  cable.reset();
  await store.close();
});

async function drain(iterator: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await iterator.next()).done !== true);
}

test('a slow store is waited for as long as it answers, and so is a slow body', async () => {
  const store = guarded();
  // A part of 8 MiB takes 2 s to send, and this server answers no question beside it.
  cable.setWeather({ kind: 'throttle', bytesPerSecond: 4 * MIB });
  const bytes = randomBytes(17 * MIB);
  await store.create('slow', bodyOf(bytes, MIB));
  cable.setWeather({ kind: 'clear' });
  assert.deepEqual(await gather(store.read('slow')), bytes);
  async function* lateBody(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, MIB);
    await sleep(6000);
    yield bytes.subarray(MIB, 2 * MIB);
  }
  assert.equal((await store.create('late', lateBody())).status, 'created');
  await store.close();
});

test('what goes to a store and what comes from it keeps to its limit, within 10 %, however many streams share it', async (t) => {
  const limit = 6 * MIB;
  const store = guarded(limit);
  const objects = Array.from({ length: 3 }, (_, i) => ({
    key: `limited/${i}`,
    bytes: randomBytes(12 * MIB),
  }));
  for (const [direction, work] of [
    ['to-server', (key: string, bytes: Buffer) => store.create(key, bodyOf(bytes, MIB))],
    ['to-client', (key: string) => gather(store.read(key))],
  ] as const) {
    const [began, passed] = [performance.now(), cable.passed(direction)];
    await Promise.all(objects.map(async ({ key, bytes }) => work(key, bytes)));
    const seconds = (performance.now() - began) / 1000;
    const rate = (cable.passed(direction) - passed) / seconds / limit;
    t.diagnostic(`${direction}: ${(rate * 100).toFixed(1)} % of the limit`);
    assert.ok(rate > 0.9 && rate < 1.1, `${rate} of the limit, ${direction}`);
  }
  await store.close();
});
