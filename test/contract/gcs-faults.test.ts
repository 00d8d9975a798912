import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { inspect } from 'node:util';
import { AppError } from '../../src/domain/errors.ts';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { CHUNK_BYTES } from '../../src/storage/gcs/upload.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts';
import { connectionsShared } from './connections.ts';
import { openSessions } from './gcs-sessions.ts';
import {
  type Fault,
  gcsErrorBody,
  type HttpFaults,
  httpFaults,
  PASS,
  type SeenRequest,
} from './http-fault.ts';
import { bodyOf, crc32cOf, gather, keysUnder, sha256 } from './store-bodies.ts';

const MIB = 1024 * 1024;

let server: TestGcs;
let cable: TcpProxy;
let faults: HttpFaults;
let sessions: () => string[];
/** By way of a cable that can be cut. */
let wired: ObjectStore;
/** By way of a proxy that can make single requests fail. */
let faulty: ObjectStore;
/** Straight to the server. */
let direct: ObjectStore;

before(async () => {
  server = await startGcs();
  cable = await tcpProxy(server);
  faults = await httpFaults(server);
  sessions = openSessions(faults);
  wired = open(`http://127.0.0.1:${cable.port}`);
  faulty = open(faults.endpoint);
  direct = open(server.endpoint);
});

afterEach(() => {
  cable.setWeather({ kind: 'clear' });
  faults.decide = () => PASS;
  assert.deepEqual(sessions(), [], 'an upload was left open');
});

after(async () => {
  await Promise.all([wired, faulty, direct].map((store) => store.close()));
  await faults.stop();
  await cable.stop();
  await server.stop();
});

function open(endpoint: string, changes: Partial<Parameters<typeof openGcsStore>[0]> = {}): ObjectStore {
  return openGcsStore({
    id: 'gcs',
    bucket: server.bucket,
    prefix: '',
    endpoint,
    billedProject: null,
    credentials: { kind: 'anonymous' },
    protection: UNPROTECTED,
    timeouts: { connectMs: 1000, idleMs: 1500 },
    ...changes,
  });
}

async function refused(attempt: Promise<unknown>, kind: string, code: string): Promise<AppError> {
  const error = await attempt.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError, inspect(error));
  assert.deepEqual([error.kind, error.code], [kind, code], error.message);
  return error;
}

async function assertStored(key: string, bytes: Uint8Array): Promise<void> {
  assert.equal(sha256(await gather(direct.read(key))), sha256(bytes));
}

const uploads = (type: string) => (seen: SeenRequest) =>
  seen.method === 'POST' && seen.query.get('uploadType') === type;
/** An object in one request. */
const putting = uploads('multipart');
const beginning = uploads('resumable');
const sending = (seen: SeenRequest): boolean => seen.method === 'PUT' && seen.query.has('upload_id');
const finishing = (seen: SeenRequest): boolean => sending(seen) && !rangeOf(seen).endsWith('/*');
const creating = (seen: SeenRequest): boolean => putting(seen) || finishing(seen);
const rangeOf = ({ headers }: SeenRequest): string => headers['content-range'] ?? '';

function failing(
  status: number,
  reason: string,
  message?: string,
): Extract<Fault, { readonly kind: 'answer' }> {
  return { kind: 'answer', status, body: gcsErrorBody(status, reason, message) };
}

/** A server that answers every request before it has read its body. */
async function refusing(
  fault: Extract<Fault, { kind: 'answer' }>,
  onRequest: () => void,
): Promise<{ readonly endpoint: string; stop(): Promise<void> }> {
  const listener = createServer((_, outgoing) => {
    onRequest();
    outgoing.writeHead(fault.status, { 'content-type': 'application/json' }).end(fault.body);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    async stop() {
      listener.closeAllConnections();
      listener.close();
      await once(listener, 'close');
    },
  };
}

test('small objects share connections: one after the other a single one, all at once no more than 64', async () => {
  const store = open(`http://127.0.0.1:${cable.port}`, { timeouts: { connectMs: 10_000, idleMs: 60_000 } });
  await connectionsShared(store, cable);
  await store.close();
});

test('a connection that is cut while bytes go up costs a retry, not a byte', async () => {
  for (const [index, size] of [3 * MIB, 5 * CHUNK_BYTES + 11].entries()) {
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
  // More than the buffers of all connections on the way hold.
  await direct.create('replaced/object', bodyOf(randomBytes(48 * MIB)));
  const reading = async (): Promise<void> => {
    let replaced = false;
    for await (const chunk of wired.read('replaced/object')) {
      assert.ok(chunk.length > 0);
      if (replaced) continue;
      replaced = true;
      await server.replace('replaced/object', randomBytes(48 * MIB));
      cable.reset();
    }
  };
  const error = await refused(reading(), 'corrupt', 'StoredDiffers');
  assert.match(error.message, /replaced while it was read/);
});

test('a store behind a partition is unavailable within the time limit, not for ever', async () => {
  await direct.create('partition/object', bodyOf(randomBytes(100)));
  cable.setWeather({ kind: 'hold' });
  const start = performance.now();
  await Promise.all([
    refused(wired.head('partition/object'), 'unavailable', 'StoreUnreachable'),
    refused(gather(wired.read('partition/object')), 'unavailable', 'StoreUnreachable'),
    refused(wired.create('partition/new', bodyOf(randomBytes(10))), 'unavailable', 'StoreUnreachable'),
    refused(keysUnder(wired, ''), 'unavailable', 'StoreUnreachable'),
  ]);
  assert.ok(performance.now() - start < 60_000);
  cable.setWeather({ kind: 'refuse' });
  await refused(wired.create('partition/new', bodyOf(randomBytes(10))), 'unavailable', 'StoreUnreachable');
  await refused(gather(wired.read('partition/object')), 'unavailable', 'StoreUnreachable');
  await refused(keysUnder(wired, ''), 'unavailable', 'StoreUnreachable');
});

test('a slow store is waited for as long as bytes flow', async () => {
  const bytes = randomBytes(24 * MIB);
  // A chunk that lies in the buffers of the connections is silence, too: seconds of it, at this rate.
  const patient = open(`http://127.0.0.1:${cable.port}`, { timeouts: { connectMs: 1000, idleMs: 6000 } });
  cable.setWeather({ kind: 'throttle', bytesPerSecond: 3 * MIB });
  assert.equal((await patient.create('slow/object', bodyOf(bytes))).status, 'created');
  assert.ok((await gather(patient.read('slow/object'))).equals(bytes));
  await patient.close();
});

test('a consumer that takes its time is no silent store', async () => {
  const bytes = randomBytes(12 * MIB);
  await direct.create('taken-slowly/object', bodyOf(bytes));
  const pieces: Uint8Array[] = [];
  for await (const chunk of wired.read('taken-slowly/object')) {
    // Longer than the store may be silent.
    if (pieces.length === 0) await new Promise((resolve) => setTimeout(resolve, 2500));
    pieces.push(chunk);
  }
  assert.ok(Buffer.concat(pieces).equals(bytes));
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

test('a bit that flips on the way up in one request is found by the server, and sent again', async () => {
  const bytes = randomBytes(2 * MIB);
  cable.flipByteAfter('to-server', MIB);
  assert.equal((await wired.create('flip-up/object', bodyOf(bytes))).status, 'created');
  await assertStored('flip-up/object', bytes);
});

test('the checksum of the whole goes with the last chunk, and what the server refuses for it is not there', async () => {
  const bytes = randomBytes(2 * CHUNK_BYTES + 5);
  const hashes: (string | undefined)[] = [];
  // As Google answers: fake-gcs-server does not look at the header.
  const mismatch = failing(
    400,
    'invalid',
    'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C "BBBBBB==".',
  );
  faults.decide = (seen) => {
    if (!sending(seen)) return PASS;
    hashes.push(seen.headers['x-goog-hash']?.toString());
    return finishing(seen) ? mismatch : PASS;
  };
  const error = await refused(faulty.create('hash/object', bodyOf(bytes)), 'unavailable', 'StoreUnreachable');
  assert.match(error.message, /altered on the way/);
  const whole = Buffer.from(crc32cOf(bytes), 'hex').toString('base64');
  assert.deepEqual(hashes, [undefined, undefined, `crc32c=${whole}`]);
  assert.equal(await direct.head('hash/object'), undefined);
});

test('a server that takes altered bytes is caught by what it says that it keeps', async () => {
  cable.flipByteAfter('to-server', CHUNK_BYTES + MIB);
  const altered = wired.create('flip-chunk/object', bodyOf(randomBytes(2 * CHUNK_BYTES)));
  await refused(altered, 'corrupt', 'StoredDiffers');
});

test('what a server keeps otherwise than it was sent is told, and not deleted: nothing here deletes', async () => {
  const bytes = randomBytes(1000);
  let deletions = 0;
  const altered = JSON.stringify({ size: '1000', crc32c: 'AAAAAA==' });
  faults.decide = (seen) => {
    if (seen.method === 'DELETE') deletions += 1;
    return creating(seen) ? { kind: 'answer-instead', status: 200, body: altered } : PASS;
  };
  for (const transfer of ['as-needed', 'parts'] as const) {
    const key = `kept-otherwise/${transfer}`;
    await refused(faulty.create(key, bodyOf(bytes), { transfer }), 'corrupt', 'StoredDiffers');
    await assertStored(key, bytes);
  }
  // The upload in chunks is cancelled.
  assert.equal(deletions, 1);
});

test('a refusal is told as it is, also where it comes before the bytes have gone', async () => {
  const denied = failing(403, 'forbidden', "Permission 'storage.objects.create' denied.");
  for (const size of [1, CHUNK_BYTES]) {
    let requests = 0;
    const early = await refusing(denied, () => {
      requests += 1;
    });
    const store = open(early.endpoint);
    const error = await refused(
      store.create('early/object', bodyOf(randomBytes(size))),
      'refused',
      'StoreDenied',
    );
    assert.match(error.message, /storage.objects.create/);
    assert.equal(requests, 1, 'it is not tried again');
    await store.close();
    await early.stop();
  }
});

test('a bit that flips on the way down is corrupt, in the last byte too', async () => {
  const bytes = randomBytes(3 * MIB);
  await direct.create('flip-down/object', bodyOf(bytes));
  for (const after of [MIB, 3 * MIB]) {
    cable.flipByteAfter('to-client', after);
    const error = await refused(gather(wired.read('flip-down/object')), 'corrupt', 'StoredDiffers');
    assert.match(error.message, /CRC32C/);
  }
  assert.ok((await gather(wired.read('flip-down/object'))).equals(bytes));
});

test('an answer of another length than the object has is not taken for it', async () => {
  const bytes = randomBytes(MIB);
  await direct.create('short/object', bodyOf(bytes));
  for (const options of [{}, { offset: 10, lengthBytes: 1000 }, { offset: 10 }]) {
    faults.decide = () => ({ kind: 'shorten', toBytes: 500 });
    await refused(gather(faulty.read('short/object', options)), 'unavailable', 'StoreUnreachable');
  }
});

test('passing errors of the server are ridden out at every step: 503, 500, 429, 408', async () => {
  const passing: [number, string][] = [
    [503, 'backendError'],
    [500, 'internalError'],
    [429, 'rateLimitExceeded'],
    [408, 'uploadBrokenConnection'],
  ];
  const steps: [string, number, (seen: SeenRequest) => boolean][] = [
    ['whole', 1000, putting],
    ['begin', CHUNK_BYTES + 1000, beginning],
    ['chunk', 2 * CHUNK_BYTES + 1000, (seen) => sending(seen) && !finishing(seen)],
    ['last', CHUNK_BYTES + 1000, finishing],
  ];
  for (const [status, reason] of passing) {
    for (const [step, size, isMeant] of steps) {
      const key = `passing/${status}-${step}`;
      const bytes = randomBytes(size);
      let failures = 0;
      faults.decide = (seen) => {
        if (!isMeant(seen) || failures === 2) return PASS;
        failures += 1;
        return failing(status, reason);
      };
      assert.equal((await faulty.create(key, bodyOf(bytes))).status, 'created', key);
      assert.equal(failures, 2, key);
      await assertStored(key, bytes);
    }
    for (const ask of [() => faulty.head('passing/429-whole'), () => keysUnder(faulty, 'passing/')]) {
      let failures = 0;
      faults.decide = () => (failures++ < 2 ? failing(status, reason) : PASS);
      await ask();
      assert.equal(failures, 3);
    }
  }
});

test('errors that stay end in unavailable, with nothing left behind', async () => {
  for (const isMeant of [creating, beginning, sending]) {
    let requests = 0;
    faults.decide = (seen) => {
      if (!isMeant(seen)) return PASS;
      requests += 1;
      return failing(503, 'backendError');
    };
    const large = faulty.create('stays/large', bodyOf(randomBytes(CHUNK_BYTES + 1)));
    await refused(large, 'unavailable', 'StoreUnreachable');
    assert.equal(requests, 5, 'the tries are bounded');
  }
  faults.decide = (seen) => (putting(seen) ? failing(503, 'backendError') : PASS);
  await refused(faulty.create('stays/small', bodyOf(randomBytes(10))), 'unavailable', 'StoreUnreachable');
  assert.deepEqual(await keysUnder(direct, 'stays/'), []);
});

test('a chunk that is refused ends the upload at once, and names the permission', async () => {
  const message =
    "pitrail@x.iam does not have storage.objects.create access. Permission 'storage.objects.create' denied.";
  let refusals = 0;
  faults.decide = (seen) => {
    if (!sending(seen) || !rangeOf(seen).startsWith(`bytes ${CHUNK_BYTES}-`)) return PASS;
    refusals += 1;
    return failing(403, 'forbidden', message);
  };
  const error = await refused(
    faulty.create('chunk/object', bodyOf(randomBytes(4 * CHUNK_BYTES))),
    'refused',
    'StoreDenied',
  );
  assert.equal(error.facts['permission'], 'storage.objects.create');
  assert.equal(refusals, 1);
  assert.equal(await direct.head('chunk/object'), undefined);
});

test('an upload that cannot be cancelled says so, beside what went wrong', async () => {
  faults.decide = (seen) => {
    if (seen.method === 'DELETE') return failing(503, 'backendError');
    return sending(seen) ? failing(403, 'forbidden') : PASS;
  };
  const large = faulty.create('cancel/object', bodyOf(randomBytes(2 * CHUNK_BYTES)));
  const error = await refused(large, 'refused', 'StoreDenied');
  assert.match(error.message, /could not be cancelled.*StoreUnreachable/);
  assert.deepEqual(sessions(), ['cancel/object']);
  // What a week would do, for the check after each test.
  sessions = openSessions(faults);
});

test('when the answer to a creation is lost, the object is found to exist, and is whole', async () => {
  for (const size of [1000, CHUNK_BYTES + 1000]) {
    const key = `lost/${size}`;
    const bytes = randomBytes(size);
    let lost = false;
    faults.decide = (seen) => {
      if (lost || !creating(seen)) return PASS;
      lost = true;
      return { kind: 'lose-answer' };
    };
    assert.deepEqual(await faulty.create(key, bodyOf(bytes)), { status: 'exists' });
    assert.ok(lost);
    await assertStored(key, bytes);
  }
});

test('a chunk whose answer is lost is sent again as it was, and the upload goes on behind it', async () => {
  const bytes = randomBytes(3 * CHUNK_BYTES);
  const middle = `bytes ${CHUNK_BYTES}-${2 * CHUNK_BYTES - 1}/*`;
  let times = 0;
  faults.decide = (seen) => {
    if (!sending(seen) || rangeOf(seen) !== middle) return PASS;
    times += 1;
    // GCS ignores bytes that it has; fake-gcs-server would append them once more.
    const ignored = { range: `bytes=0-${2 * CHUNK_BYTES - 1}` };
    return times === 1
      ? { kind: 'lose-answer' }
      : { kind: 'answer', status: 308, body: '', headers: ignored };
  };
  assert.equal((await faulty.create('lost-chunk/object', bodyOf(bytes))).status, 'created');
  assert.equal(times, 2);
  await assertStored('lost-chunk/object', bytes);
});

test('a server that took a part of a chunk is sent the rest of it, and no byte twice', async () => {
  const bytes = randomBytes(2 * CHUNK_BYTES + 7);
  const ranges: string[] = [];
  faults.decide = (seen) => {
    if (!sending(seen)) return PASS;
    ranges.push(rangeOf(seen));
    // Nothing of the first chunk arrives at first, then its first MiB, which this test keeps itself.
    const taken = [undefined, `bytes=0-${MIB - 1}`][ranges.length - 1];
    if (ranges.length > 2) return PASS;
    return {
      kind: 'answer',
      status: 308,
      body: '',
      ...(taken === undefined ? {} : { headers: { range: taken } }),
    };
  };
  // The server has not the first MiB, and so the object is another: what counts here is what was sent.
  await refused(faulty.create('partly/object', bodyOf(bytes)), 'corrupt', 'StoredDiffers');
  assert.deepEqual(ranges, [
    `bytes 0-${CHUNK_BYTES - 1}/*`,
    `bytes 0-${CHUNK_BYTES - 1}/*`,
    `bytes ${MIB}-${CHUNK_BYTES - 1}/*`,
    `bytes ${CHUNK_BYTES}-${2 * CHUNK_BYTES - 1}/*`,
    `bytes ${2 * CHUNK_BYTES}-${bytes.length - 1}/${bytes.length}`,
  ]);
});

test('an upload whose server forgets bytes that it had is given up', async () => {
  faults.decide = (seen) => {
    if (!sending(seen) || !rangeOf(seen).startsWith(`bytes ${CHUNK_BYTES}-`)) return PASS;
    return { kind: 'answer', status: 308, body: '', headers: { range: `bytes=0-${MIB - 1}` } };
  };
  const large = faulty.create('forgets/object', bodyOf(randomBytes(3 * CHUNK_BYTES)));
  await refused(large, 'unavailable', 'StoreUnreachable');
  assert.equal(await direct.head('forgets/object'), undefined);
});

test('a server that breaks the connection at a conditional request: exists where one stands, else unavailable', async () => {
  const bytes = randomBytes(3 * MIB);
  await direct.create('breaks/there', bodyOf(bytes));
  faults.decide = (seen) => (creating(seen) ? { kind: 'break' } : PASS);
  for (const size of [3 * MIB, CHUNK_BYTES + 1]) {
    const outcome = await faulty.create('breaks/there', bodyOf(randomBytes(size)));
    assert.deepEqual(outcome, { status: 'exists' });
    const missing = faulty.create('breaks/missing', bodyOf(randomBytes(size)));
    await refused(missing, 'unavailable', 'StoreUnreachable');
  }
  await assertStored('breaks/there', bytes);
});

test('an account that may create and not delete is told that an object stands there, not that it is denied', async () => {
  await direct.create('denied/there', bodyOf(randomBytes(10)));
  const message =
    'pitrail@x.iam does not have storage.objects.delete access to the Google Cloud Storage object.';
  faults.decide = (seen) => (creating(seen) || beginning(seen) ? failing(403, 'forbidden', message) : PASS);
  for (const size of [10, CHUNK_BYTES + 1]) {
    const outcome = await faulty.create('denied/there', bodyOf(randomBytes(size)));
    assert.deepEqual(outcome, { status: 'exists' });
    const error = await refused(
      faulty.create('denied/new', bodyOf(randomBytes(size))),
      'refused',
      'StoreDenied',
    );
    assert.equal(error.facts['permission'], 'storage.objects.delete');
  }
});

test('a listing that fails on its second page, or is none, throws; it is never taken for the whole', async () => {
  for (let index = 0; index < 1010; index += 10) {
    const keys = Array.from({ length: 10 }, (_, digit) => `pages/${index + digit}`);
    await Promise.all(keys.map((key) => direct.create(key, bodyOf(Buffer.from('x')))));
  }
  assert.equal((await keysUnder(faulty, 'pages/')).length, 1010);
  const second = (seen: SeenRequest): boolean => seen.query.has('pageToken');
  const notPages = ['null', '7', '{"kind":"storage#objects","items":[{}]}', '{"items":7}'];
  for (const body of ['', '{}', '<html>come back later</html>', ...notPages]) {
    faults.decide = (seen) => (second(seen) ? { kind: 'answer', status: 200, body } : PASS);
    await refused(keysUnder(faulty, 'pages/'), 'unavailable', 'StoreUnreachable');
  }
  faults.decide = (seen) => (second(seen) ? failing(500, 'internalError') : PASS);
  await refused(keysUnder(faulty, 'pages/'), 'unavailable', 'StoreUnreachable');
});

test('a store that ignores the precondition is refused, even where only uploads in chunks ignore it', async () => {
  await probeStore(direct);
  const { size, crc32c } = await server.resource('probe/precondition');
  const created = { kind: 'answer-instead', status: 200, body: JSON.stringify({ size, crc32c }) } as const;
  faults.decide = (seen) => (putting(seen) ? created : PASS);
  await refused(probeStore(faulty), 'refused', 'NoPreconditions');

  faults.decide = (seen) => (finishing(seen) ? created : PASS);
  const error = await refused(probeStore(faulty), 'refused', 'NoPreconditions');
  assert.match(error.message, /parts/);
});

test('a missing bucket and missing permissions each have their name', async () => {
  const elsewhere = open(server.endpoint, { bucket: 'no-such-bucket' });
  await refused(elsewhere.create('a', bodyOf(randomBytes(1))), 'config', 'BucketMissing');
  await refused(elsewhere.create('a', bodyOf(randomBytes(CHUNK_BYTES + 1))), 'config', 'BucketMissing');
  await refused(keysUnder(elsewhere, ''), 'config', 'BucketMissing');
  await elsewhere.close();
  // fake-gcs-server does not tell a missing bucket from a missing object; Google does.
  faults.decide = () => failing(404, 'notFound', 'The specified bucket does not exist.');
  await refused(gather(faulty.read('a')), 'config', 'BucketMissing');
  await refused(faulty.head('a'), 'config', 'BucketMissing');

  const permissions: [() => Promise<unknown>, string][] = [
    [() => faulty.create('a', bodyOf(randomBytes(1))), 'storage.objects.create'],
    [() => faulty.create('a', bodyOf(randomBytes(CHUNK_BYTES + 1))), 'storage.objects.create'],
    [() => gather(faulty.read('a')), 'storage.objects.get'],
    [() => faulty.head('a'), 'storage.objects.get'],
    [() => keysUnder(faulty, ''), 'storage.objects.list'],
  ];
  for (const [status, reason] of [
    [403, 'forbidden'],
    [401, 'authError'],
  ] as const) {
    faults.decide = () => failing(status, reason);
    for (const [attempt, permission] of permissions) {
      const error = await refused(attempt(), 'refused', 'StoreDenied');
      assert.ok(error.message.includes(permission), error.message);
      assert.equal(error.facts['permission'], permission);
    }
  }
});

test('readers that end early take nothing away from others', async () => {
  const bytes = randomBytes(12 * MIB);
  await direct.create('parallel/object', bodyOf(bytes));
  const whole = Promise.all(Array.from({ length: 3 }, () => gather(direct.read('parallel/object'))));
  for (let round = 0; round < 20; round++) {
    for await (const chunk of direct.read('parallel/object')) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
  for (const found of await whole) assert.ok(found.equals(bytes));
});
