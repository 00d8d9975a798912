/** Promise: what lies in the bucket is what anybody finds who asks the JSON API, and the other way round. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { CHUNK_BYTES } from '../../src/storage/gcs/upload.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { bodyOf, crc32cOf, gather } from './store-bodies.ts';

let server: TestGcs;
let store: ObjectStore;

before(async () => {
  server = await startGcs();
  store = openGcsStore({
    id: 'gcs',
    bucket: server.bucket,
    prefix: 'prod/shop',
    endpoint: server.endpoint,
    billedProject: null,
    credentials: { kind: 'anonymous' },
    protection: UNPROTECTED,
  });
});
after(async () => {
  await store.close();
  await server.stop();
});

const SIZES = [0, 1000, 2 * CHUNK_BYTES + 3];

/** The bytes of an object, without the library that the store uses. */
async function plainly(objectKey: string): Promise<Buffer> {
  const path = `/storage/v1/b/${server.bucket}/o/${encodeURIComponent(objectKey)}?alt=media`;
  const answer = await fetch(server.endpoint + path);
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

test('the JSON API gives what was stored here, with its checksum, metadata and type', async () => {
  for (const size of SIZES) {
    const bytes = randomBytes(size);
    const metadata = { server_uuid: '3e11fa47', note: 'a "b"  c' };
    assert.equal((await store.create(`ours/a+b@${size}`, bodyOf(bytes), { metadata })).status, 'created');
    assert.ok((await plainly(`prod/shop/ours/a+b@${size}`)).equals(bytes));
    const found = await server.resource(`prod/shop/ours/a+b@${size}`);
    assert.deepEqual(found['metadata'], metadata);
    assert.equal(found['contentType'], 'application/octet-stream');
    assert.equal(Buffer.from(String(found['crc32c']), 'base64').toString('hex'), crc32cOf(bytes));
  }
});

test('what somebody else has stored is read here, and is not written over', async () => {
  for (const [index, size] of SIZES.entries()) {
    const bytes = randomBytes(size);
    await server.replace(`prod/shop/theirs/${index}`, bytes);
    assert.ok((await gather(store.read(`theirs/${index}`))).equals(bytes));
    const info = await store.head(`theirs/${index}`);
    assert.deepEqual(info?.checksum, { kind: 'crc32c', hex: crc32cOf(bytes) });
    for (const transfer of ['as-needed', 'parts'] as const) {
      const again = await store.create(`theirs/${index}`, bodyOf(randomBytes(10)), { transfer });
      assert.deepEqual(again, { status: 'exists' });
    }
    assert.ok((await plainly(`prod/shop/theirs/${index}`)).equals(bytes));
  }
});
