/** Promise: what lies in the bucket is what Google's own library says that it is, and the other way round. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type Bucket, Storage } from '@google-cloud/storage';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { CHUNK_BYTES } from '../../src/storage/gcs/upload.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { bodyOf, crc32cOf, gather } from './store-bodies.ts';

let server: TestGcs;
let store: ObjectStore;
let library: Bucket;

before(async () => {
  server = await startGcs();
  library = new Storage({ apiEndpoint: server.endpoint, projectId: 'test' }).bucket(server.bucket);
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

test('the library reads what was stored here, with its checksum, metadata and type', async () => {
  for (const size of SIZES) {
    const bytes = randomBytes(size);
    const metadata = { server_uuid: '3e11fa47', note: 'a "b"  c' };
    assert.equal((await store.create(`ours/a+b@${size}`, bodyOf(bytes), { metadata })).status, 'created');
    const file = library.file(`prod/shop/ours/a+b@${size}`);
    const [content] = await file.download({ validation: 'crc32c' });
    assert.ok(content.equals(bytes));
    const [found] = await file.getMetadata();
    assert.deepEqual(found.metadata, metadata);
    assert.equal(found.contentType, 'application/octet-stream');
    assert.equal(Buffer.from(found.crc32c ?? '', 'base64').toString('hex'), crc32cOf(bytes));
  }
});

test('what the library has stored is read here, and is not written over', async () => {
  for (const [index, size] of SIZES.entries()) {
    const bytes = randomBytes(size);
    await library.file(`prod/shop/theirs/${index}`).save(bytes, { resumable: size > 1000 });
    assert.ok((await gather(store.read(`theirs/${index}`))).equals(bytes));
    const info = await store.head(`theirs/${index}`);
    assert.deepEqual(info?.checksum, { kind: 'crc32c', hex: crc32cOf(bytes) });
    for (const transfer of ['as-needed', 'parts'] as const) {
      const again = await store.create(`theirs/${index}`, bodyOf(randomBytes(10)), { transfer });
      assert.deepEqual(again, { status: 'exists' });
    }
    assert.ok((await library.file(`prod/shop/theirs/${index}`).download())[0].equals(bytes));
  }
});
