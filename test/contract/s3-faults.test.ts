import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { inspect } from 'node:util';
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { AppError } from '../../src/domain/errors.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { DEFAULT_TIMEOUTS } from '../../src/storage/s3/client.ts';
import { PART_BYTES } from '../../src/storage/s3/parts.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { assertNoCanary } from '../support/canary.ts';
import { startS3, type TestS3 } from '../support/s3.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { connectionsShared } from './connections.ts';
import { type HttpFaults, httpFaults, PASS, type SeenRequest, s3ErrorBody } from './http-fault.ts';
import { bodyOf, gather, keysUnder, sha256 } from './store-bodies.ts';

const MIB = 1024 * 1024;

let server: TestS3;
let cable: TcpProxy;
let faults: HttpFaults;
/** By way of a cable that can be cut. */
let wired: ObjectStore;
/** By way of a proxy that can make single requests fail. */
let faulty: ObjectStore;
/** Straight to the server. */
let direct: ObjectStore;
const caught: unknown[] = [];

before(async () => {
  server = await startS3();
  cable = await tcpProxy(server);
  faults = await httpFaults(server);
  wired = open(`http://127.0.0.1:${cable.port}`);
  faulty = open(faults.endpoint);
  direct = open(server.endpoint);
});

afterEach(async () => {
  cable.setWeather({ kind: 'clear' });
  faults.decide = () => PASS;
  const client = server.client();
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
  client.destroy();
  assert.deepEqual(Uploads ?? [], [], 'an upload was left behind');
});

after(async () => {
  for (const error of caught) {
    assertNoCanary('an error', inspect(error, { depth: 10, showHidden: true }));
    assertNoCanary('an error', JSON.stringify(error));
  }
  await Promise.all([wired, faulty, direct].map((store) => store.close()));
  await faults.stop();
  await cable.stop();
  await server.stop();
});

function open(endpoint: string, changes: Partial<Parameters<typeof openS3Store>[0]> = {}): ObjectStore {
  return openS3Store({
    id: 's3',
    bucket: server.bucket,
    region: server.region,
    endpoint,
    forcePathStyle: true,
    credentials: async () => server.credentials,
    timeouts: { connectMs: 1000, idleMs: 1500 },
    ...changes,
  });
}

async function refused(attempt: Promise<unknown>, kind: string, code: string): Promise<AppError> {
  const error = await attempt.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  caught.push(error);
  assert.ok(error instanceof AppError, inspect(error));
  assert.deepEqual([error.kind, error.code], [kind, code], error.message);
  return error;
}

async function assertStored(key: string, bytes: Uint8Array): Promise<void> {
  assert.equal(sha256(await gather(direct.read(key))), sha256(bytes));
}

const putting = (seen: SeenRequest): boolean => seen.method === 'PUT' && !seen.query.has('partNumber');
const completing = (seen: SeenRequest): boolean => seen.method === 'POST' && seen.query.has('uploadId');

test('a connection that is cut while a part goes up costs a retry, not a byte', async () => {
  for (const [index, size] of [3 * MIB, 5 * PART_BYTES + 11].entries()) {
    const bytes = randomBytes(size);
    cable.resetAfter('to-server', size / 2);
    const outcome = await wired.create(`cut-up/${index}`, bodyOf(bytes));
    assert.equal(outcome.status, 'created');
    await assertStored(`cut-up/${index}`, bytes);
  }
});

test('a connection that is cut while reading is taken up where it stopped, by reset and in order', async () => {
  const bytes = randomBytes(12 * MIB);
  await direct.create('cut-down/object', bodyOf(bytes));
  for (const after of [200_000, 3 * MIB, 7 * MIB]) cable.resetAfter('to-client', after);
  assert.ok((await gather(wired.read('cut-down/object'))).equals(bytes));

  const pieces: Uint8Array[] = [];
  let cut = false;
  for await (const chunk of wired.read('cut-down/object', { offset: 1000, lengthBytes: 9 * MIB })) {
    pieces.push(chunk);
    if (!cut) cable.cut();
    cut = true;
  }
  assert.ok(Buffer.concat(pieces).equals(bytes.subarray(1000, 1000 + 9 * MIB)));
});

test('an object that is replaced while it is read is corrupt, never a mixture', async () => {
  await direct.create('replaced/object', bodyOf(randomBytes(12 * MIB)));
  const client = server.client();
  const reading = async (): Promise<void> => {
    let replaced = false;
    for await (const chunk of wired.read('replaced/object')) {
      assert.ok(chunk.length > 0);
      if (replaced) continue;
      replaced = true;
      const other = new PutObjectCommand({
        Bucket: server.bucket,
        Key: 'replaced/object',
        Body: randomBytes(12 * MIB),
      });
      await client.send(other);
      cable.reset();
    }
  };
  await refused(reading(), 'corrupt', 'StoredDiffers');
  client.destroy();
});

test('a store behind a partition is unavailable within the time limit, not for ever', async () => {
  await direct.create('partition/object', bodyOf(randomBytes(100)));
  cable.setWeather({ kind: 'hold' });
  const start = performance.now();
  await refused(wired.head('partition/object'), 'unavailable', 'StoreUnreachable');
  assert.ok(performance.now() - start < 30_000);
  cable.setWeather({ kind: 'refuse' });
  await refused(wired.create('partition/new', bodyOf(randomBytes(10))), 'unavailable', 'StoreUnreachable');
  await refused(gather(wired.read('partition/object')), 'unavailable', 'StoreUnreachable');
  await refused(keysUnder(wired, ''), 'unavailable', 'StoreUnreachable');
});

test('a read that stalls in the middle goes on once bytes flow again', async () => {
  const bytes = randomBytes(12 * MIB);
  await direct.create('stall/object', bodyOf(bytes));
  const pieces: Uint8Array[] = [];
  let held = false;
  for await (const chunk of wired.read('stall/object')) {
    pieces.push(chunk);
    if (held) continue;
    held = true;
    cable.setWeather({ kind: 'hold' });
    setTimeout(() => cable.setWeather({ kind: 'clear' }), 2500);
  }
  assert.ok(Buffer.concat(pieces).equals(bytes));
});

test('a bit that flips on the way up is found by the server, and sent again', async () => {
  for (const [index, size] of [2 * MIB, 3 * PART_BYTES].entries()) {
    const bytes = randomBytes(size);
    cable.flipByteAfter('to-server', size - MIB);
    const outcome = await wired.create(`flip-up/${index}`, bodyOf(bytes)).catch((error: unknown) => {
      // The server may call the altered request unsigned; then nothing is stored.
      assert.ok(error instanceof AppError, inspect(error));
      caught.push(error);
      return undefined;
    });
    if (outcome === undefined) assert.equal(await direct.head(`flip-up/${index}`), undefined);
    else await assertStored(`flip-up/${index}`, bytes);
  }
});

test('passing errors of the server are ridden out: 503, 500, 429, 409', async () => {
  const passing: [number, string][] = [
    [503, 'SlowDown'],
    [500, 'InternalError'],
    [429, 'TooManyRequests'],
    [409, 'ConditionalRequestConflict'],
  ];
  for (const [status, code] of passing) {
    for (const size of [1000, PART_BYTES + 1000]) {
      const key = `passing/${status}-${size}`;
      const bytes = randomBytes(size);
      let failures = 0;
      faults.decide = (seen) => {
        if ((!putting(seen) && !completing(seen)) || failures === 2) return PASS;
        failures += 1;
        return { kind: 'answer', status, body: s3ErrorBody(code) };
      };
      assert.equal((await faulty.create(key, bodyOf(bytes))).status, 'created', key);
      assert.equal(failures, 2, key);
      await assertStored(key, bytes);
    }
  }
});

test('an error inside an answer of 200 is an error: retried, then unavailable, the upload aborted', async () => {
  const bytes = randomBytes(PART_BYTES + 5);
  const inside = { kind: 'answer', status: 200, body: s3ErrorBody('InternalError') } as const;
  faults.decide = (seen) => (completing(seen) && seen.before === 0 ? inside : PASS);
  assert.equal((await faulty.create('inside/once', bodyOf(bytes))).status, 'created');
  await assertStored('inside/once', bytes);

  faults.decide = (seen) => (completing(seen) ? inside : PASS);
  await refused(faulty.create('inside/always', bodyOf(bytes)), 'unavailable', 'StoreUnreachable');
  assert.equal(await direct.head('inside/always'), undefined);
});

test('errors that stay end in unavailable, with nothing left behind', async () => {
  for (const [status, code] of [
    [503, 'SlowDown'],
    [409, 'ConditionalRequestConflict'],
  ] as const) {
    faults.decide = (seen) =>
      putting(seen) || completing(seen) ? { kind: 'answer', status, body: s3ErrorBody(code) } : PASS;
    await refused(faulty.create('stays/small', bodyOf(randomBytes(10))), 'unavailable', 'StoreUnreachable');
    await refused(
      faulty.create('stays/large', bodyOf(randomBytes(PART_BYTES + 1))),
      'unavailable',
      'StoreUnreachable',
    );
  }
  assert.deepEqual(await keysUnder(direct, 'stays/'), []);
});

test('a part that is refused ends the upload at once', async () => {
  faults.decide = (seen) =>
    seen.query.get('partNumber') === '2'
      ? { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied') }
      : PASS;
  const error = await refused(
    faulty.create('part/object', bodyOf(randomBytes(6 * PART_BYTES))),
    'refused',
    'StoreDenied',
  );
  assert.ok(error.message.includes('s3:PutObject'));
  assert.equal(await direct.head('part/object'), undefined);
});

test('an upload that cannot be aborted says so, beside what went wrong', async () => {
  let uploadId = '';
  faults.decide = (seen) => {
    uploadId = seen.query.get('uploadId') ?? uploadId;
    if (seen.query.has('partNumber'))
      return { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied') };
    return seen.method === 'DELETE'
      ? { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied') }
      : PASS;
  };
  const error = await refused(
    faulty.create('abort/object', bodyOf(randomBytes(2 * PART_BYTES))),
    'refused',
    'StoreDenied',
  );
  assert.match(error.message, /could not be removed/);
  assert.equal(error.facts['uploadId'], uploadId);
  assert.match(String(error.facts['abort']), /s3:AbortMultipartUpload/);
  // The lifecycle rule's work, for the check after each test.
  const client = server.client();
  await client.send(
    new AbortMultipartUploadCommand({ Bucket: server.bucket, Key: 'abort/object', UploadId: uploadId }),
  );
  client.destroy();
});

/** Parts of uploads that are neither completed nor aborted, as the server lists them. */
async function openParts(): Promise<string[]> {
  const client = server.client();
  try {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
    const listed = Uploads.map(async ({ Key, UploadId }) => {
      const { Parts = [] } = await client.send(
        new ListPartsCommand({ Bucket: server.bucket, Key, UploadId }),
      );
      return Parts.map(({ PartNumber }) => `${Key} ${PartNumber}`);
    });
    return (await Promise.all(listed)).flat();
  } finally {
    client.destroy();
  }
}

test('parts that a store which was away could not remove are removed before the next upload', async () => {
  for (const [index, next] of [10, PART_BYTES + 1].entries()) {
    const key = `away/${index}`;
    faults.decide = ({ query, method }) =>
      query.get('partNumber') === '2' || method === 'DELETE' ? { kind: 'break' } : PASS;
    const bytes = randomBytes(2 * PART_BYTES);
    const error = await refused(faulty.create(key, bodyOf(bytes)), 'unavailable', 'StoreUnreachable');
    assert.match(error.message, /could not be removed/);
    assert.deepEqual(await openParts(), [`${key} 1`]);
    await refused(
      faulty.create('away/too-early', bodyOf(randomBytes(10))),
      'unavailable',
      'StoreUnreachable',
    );
    assert.deepEqual(await openParts(), [`${key} 1`]);
    faults.decide = () => PASS;
    await faulty.create(`${key}-next`, bodyOf(randomBytes(next)));
    assert.deepEqual(await openParts(), []);
    assert.equal((await faulty.create(key, bodyOf(bytes))).status, 'created');
    await assertStored(key, bytes);
  }
});

test('small objects share connections: one after the other a single one, all at once no more than 64', async () => {
  const keeping = await startS3(undefined, { connections: 'kept' });
  const line = await tcpProxy(keeping);
  const store = open(`http://127.0.0.1:${line.port}`, {
    credentials: async () => keeping.credentials,
    timeouts: DEFAULT_TIMEOUTS,
  });
  try {
    await connectionsShared(store, line);
  } finally {
    await store.close();
    await line.stop();
    await keeping.stop();
  }
});

test('when the answer to a creation is lost, the object is found to exist, and is whole', async () => {
  for (const size of [1000, PART_BYTES + 1000]) {
    const key = `lost/${size}`;
    const bytes = randomBytes(size);
    let lost = false;
    faults.decide = (seen) => {
      if (lost || (!putting(seen) && !completing(seen))) return PASS;
      lost = true;
      return { kind: 'lose-answer' };
    };
    const outcome = await faulty.create(key, bodyOf(bytes));
    assert.ok(lost);
    assert.ok(outcome.status === 'exists' || outcome.status === 'created');
    await assertStored(key, bytes);
  }
});

test('a server that breaks the connection at a conditional request: exists where one stands, else unavailable', async () => {
  const bytes = randomBytes(3 * MIB);
  await direct.create('breaks/there', bodyOf(bytes));
  faults.decide = (seen) => (putting(seen) || completing(seen) ? { kind: 'break' } : PASS);
  for (const size of [3 * MIB, PART_BYTES + 1]) {
    const outcome = await faulty.create('breaks/there', bodyOf(randomBytes(size)));
    assert.deepEqual(outcome, { status: 'exists' });
    const missing = faulty.create('breaks/missing', bodyOf(randomBytes(size)));
    await refused(missing, 'unavailable', 'StoreUnreachable');
  }
  await assertStored('breaks/there', bytes);
});

test('a read whose connection breaks goes on though the store refuses some requests after it', async () => {
  const bytes = randomBytes(12 * MIB);
  await direct.create('refuses/object', bodyOf(bytes));
  const pieces: Uint8Array[] = [];
  let broken = false;
  for await (const chunk of wired.read('refuses/object')) {
    pieces.push(chunk);
    if (broken) continue;
    broken = true;
    cable.reset();
    cable.setWeather({ kind: 'refuse' });
    setTimeout(() => cable.setWeather({ kind: 'clear' }), 1500);
  }
  assert.ok(Buffer.concat(pieces).equals(bytes));
});

test('a listing that fails on its second page throws; it is never taken for the whole', async () => {
  for (let index = 0; index < 1010; index += 10) {
    const keys = Array.from({ length: 10 }, (_, digit) => `pages/${index + digit}`);
    await Promise.all(keys.map((key) => direct.create(key, bodyOf(Buffer.from('x')))));
  }
  faults.decide = (seen) =>
    seen.query.has('continuation-token')
      ? { kind: 'answer', status: 500, body: s3ErrorBody('InternalError') }
      : PASS;
  await refused(keysUnder(faulty, 'pages/'), 'unavailable', 'StoreUnreachable');
});

test('a store that ignores the precondition is refused, even where only uploads in parts ignore it', async () => {
  const created = { kind: 'answer-instead', status: 200, body: '' } as const;
  faults.decide = (seen) => (putting(seen) ? created : PASS);
  await refused(probeStore(faulty), 'refused', 'NoPreconditions');

  const completed =
    '<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>';
  faults.decide = (seen) =>
    completing(seen) ? { kind: 'answer-instead', status: 200, body: completed } : PASS;
  const error = await refused(probeStore(faulty), 'refused', 'NoPreconditions');
  assert.match(error.message, /parts/);
  // The store that only said so keeps the parts; a store that did so has none.
  const client = server.client();
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
  for (const { Key, UploadId } of Uploads ?? []) {
    await client.send(new AbortMultipartUploadCommand({ Bucket: server.bucket, Key, UploadId }));
  }
  client.destroy();
});

test('refused credentials, a missing bucket and missing permissions each have their name', async () => {
  const wrong = open(server.endpoint, {
    credentials: async () => ({ ...server.credentials, secretAccessKey: 'not the secret' }),
  });
  const denied = await refused(wrong.create('a', bodyOf(randomBytes(1))), 'refused', 'StoreDenied');
  assert.match(denied.message, /s3:PutObject.*SignatureDoesNotMatch/);
  await wrong.close();

  const elsewhere = open(server.endpoint, { bucket: 'no-such-bucket' });
  await refused(elsewhere.create('a', bodyOf(randomBytes(1))), 'config', 'BucketMissing');
  await refused(gather(elsewhere.read('a')), 'config', 'BucketMissing');
  await refused(keysUnder(elsewhere, ''), 'config', 'BucketMissing');
  await elsewhere.close();

  const accessDenied = { kind: 'answer', status: 403, body: s3ErrorBody('AccessDenied') } as const;
  faults.decide = () => accessDenied;
  const permissions: [() => Promise<unknown>, string][] = [
    [() => faulty.create('a', bodyOf(randomBytes(1))), 's3:PutObject'],
    [() => faulty.create('a', bodyOf(randomBytes(PART_BYTES + 1))), 's3:PutObject'],
    [() => gather(faulty.read('a')), 's3:GetObject'],
    [() => faulty.head('a'), 's3:GetObject'],
    [() => keysUnder(faulty, ''), 's3:ListBucket'],
  ];
  for (const [attempt, permission] of permissions) {
    const error = await refused(attempt(), 'refused', 'StoreDenied');
    assert.ok(error.message.includes(permission), error.message);
    assert.equal(error.facts['permission'], permission);
  }
});

test('credentials that cannot be read are a configuration error, and are asked for again', async () => {
  let ready = false;
  const store = open(server.endpoint, {
    credentials: async () => {
      if (ready) return server.credentials;
      throw new AppError({ code: 'SecretMissing', kind: 'config', message: 'NAME is not set' });
    },
  });
  await refused(store.head('a'), 'config', 'SecretMissing');
  ready = true;
  assert.equal(await store.head('a'), undefined);
  await store.close();
});
