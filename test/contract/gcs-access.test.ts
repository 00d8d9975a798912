import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { inspect } from 'node:util';
import { AppError } from '../../src/domain/errors.ts';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { CHUNK_BYTES } from '../../src/storage/gcs/upload.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { assertNoCanary, canarySecret } from '../support/canary.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { gcsErrorBody, type HttpFaults, httpFaults, PASS, type SeenRequest } from './http-fault.ts';
import { bodyOf, gather, keysUnder } from './store-bodies.ts';

let folder: TestFolder;
let server: TestGcs;
/** In front of the store. */
let faults: HttpFaults;
/** Google's token server, as far as a federation speaks with it; each test says what it answers. */
let tokens: HttpFaults;
let stores: ObjectStore[] = [];
const caught: unknown[] = [];

before(async () => {
  folder = await testFolder('pt-gcs-access');
  server = await startGcs();
  faults = await httpFaults(server);
  tokens = await httpFaults(server);
});

afterEach(async () => {
  faults.decide = () => PASS;
  await Promise.all(stores.map((store) => store.close()));
  stores = [];
});

after(async () => {
  for (const error of caught) {
    assertNoCanary('an error', inspect(error, { depth: 10, showHidden: true }));
    assertNoCanary('an error', JSON.stringify(error));
  }
  await Promise.all([faults.stop(), tokens.stop()]);
  await server.stop();
  await folder.remove();
});

type Config = Parameters<typeof openGcsStore>[0];

function open(changes: Partial<Config>): ObjectStore {
  const store = openGcsStore({
    id: 'gcs',
    bucket: server.bucket,
    prefix: 'prod',
    endpoint: faults.endpoint,
    billedProject: null,
    credentials: { kind: 'anonymous' },
    protection: UNPROTECTED,
    timeouts: { connectMs: 1000, idleMs: 1500 },
    ...changes,
  });
  stores.push(store);
  return store;
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

/** Watches every request to the store. */
function seenRequests(): SeenRequest[] {
  const seen: SeenRequest[] = [];
  faults.decide = (request) => {
    seen.push(request);
    return PASS;
  };
  return seen;
}

/** Uses every method, and both ways to create. */
async function useAll(store: ObjectStore, name: string): Promise<void> {
  for (const size of [10, CHUNK_BYTES + 1]) {
    const key = `${name}/${size}`;
    const bytes = randomBytes(size);
    assert.equal((await store.create(key, bodyOf(bytes))).status, 'created');
    assert.ok((await gather(store.read(key))).equals(bytes));
    assert.equal((await store.head(key))?.lengthBytes, size);
  }
  assert.equal((await keysUnder(store, `${name}/`)).length, 2);
}

/** A key of a service account in a universe of its own, where it signs its tokens itself and asks no server. */
function serviceAccount(): { readonly text: string; readonly publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = {
    type: 'service_account',
    client_email: 'pitrail@example.iam.test',
    private_key_id: canarySecret(),
    private_key: privateKey,
    universe_domain: 'universe.test',
  };
  return { text: JSON.stringify(key), publicKey };
}

function claimsOf(authorization: string | undefined, publicKey: string): Readonly<Record<string, unknown>> {
  const [head = '', body = '', signature = ''] = (authorization ?? '').replace(/^Bearer /, '').split('.');
  const signed = Buffer.from(`${head}.${body}`);
  const key = createPublicKey(publicKey);
  assert.ok(verify('RSA-SHA256', signed, key, Buffer.from(signature, 'base64url')), 'the key has signed it');
  return JSON.parse(Buffer.from(body, 'base64url').toString());
}

/** Says that a token of a federation is to be had at `tokens`. */
async function federation(): Promise<string> {
  const file = join(folder.path, 'subject-token');
  await writeFile(file, canarySecret(), { mode: 0o600 });
  return JSON.stringify({
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/test',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${tokens.endpoint}/v1/token`,
    credential_source: { file },
  });
}

test('every request carries a token that the service account has signed, for reading and writing storage alone', async () => {
  const { text, publicKey } = serviceAccount();
  const seen = seenRequests();
  await useAll(open({ credentials: { kind: 'given', read: async () => text } }), 'signed');
  // A session is its own permission: its URL goes without a token.
  const proven = seen.filter(({ query }) => !query.has('upload_id'));
  assert.equal(proven.length, 7);
  for (const { headers, method, path } of proven) {
    const { iss, scope } = claimsOf(headers.authorization, publicKey);
    assert.equal(iss, 'pitrail@example.iam.test', `${method} ${path}`);
    assert.equal(scope, 'https://www.googleapis.com/auth/devstorage.read_write');
  }
});

/** Runs with variables of the environment set, and puts them back. */
async function withEnvironment(variables: Readonly<Record<string, string>>, act: () => Promise<void>) {
  Object.assign(process.env, variables);
  try {
    await act();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

test('no token follows an upload to where the server says that it goes on', async () => {
  const { text } = serviceAccount();
  const elsewhere = await httpFaults(server);
  const seen: SeenRequest[] = [];
  elsewhere.decide = (request) => {
    seen.push(request);
    return { kind: 'answer', status: 403, body: gcsErrorBody(403, 'forbidden') };
  };
  const headers = { location: `${elsewhere.endpoint}/anything` };
  faults.decide = () => ({ kind: 'answer', status: 200, body: '', headers });
  const store = open({ credentials: { kind: 'given', read: async () => text } });
  const creating = store.create('a', bodyOf(Buffer.from('x')), { transfer: 'parts' });
  await refused(creating, 'refused', 'StoreDenied');
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['PUT', 'DELETE'],
  );
  for (const request of seen) assert.equal(request.headers.authorization, undefined);
  await elsewhere.stop();
});

test('anonymous sends no token, whatever lies about on this host', async () => {
  const seen = seenRequests();
  const lies = {
    GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json',
    STORAGE_EMULATOR_HOST: 'http://127.0.0.1:9',
  };
  await withEnvironment(lies, () => useAll(open({}), 'anonymous'));
  assert.ok(seen.length >= 8);
  for (const { headers } of seen) assert.equal(headers.authorization, undefined);
});

test('without credentials in the configuration those are taken that Google Cloud finds, or none is a configuration error', async () => {
  const { text, publicKey } = serviceAccount();
  const file = join(folder.path, 'ambient.json');
  const seen = seenRequests();
  await writeFile(file, text, { mode: 0o600 });
  await withEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: file }, async () => {
    assert.equal(await open({ credentials: { kind: 'default' } }).head('a'), undefined);
  });
  assert.equal(claimsOf(seen[0]?.headers.authorization, publicKey)['iss'], 'pitrail@example.iam.test');

  await writeFile(file, canarySecret());
  for (const path of [file, join(folder.path, 'nowhere.json')]) {
    await withEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: path }, async () => {
      const error = await refused(
        open({ credentials: { kind: 'default' } }).head('a'),
        'config',
        'CredentialsMissing',
      );
      assert.ok(!error.message.includes('cAnA'), error.message);
    });
  }
  assert.equal(seen.length, 1, 'nothing is asked for as nobody');
});

test('a proxy of the environment is used', async () => {
  const seen = seenRequests();
  await withEnvironment({ HTTP_PROXY: faults.endpoint }, async () => {
    const store = open({ endpoint: server.endpoint });
    assert.equal((await store.create('by-proxy/object', bodyOf(randomBytes(10)))).status, 'created');
  });
  assert.equal(seen.length, 1);
});

test('where the credentials are not accepted any more, they are read anew, and the request is sent again', async () => {
  const [old, fresh] = [serviceAccount(), serviceAccount()];
  let read = 0;
  const store = open({
    credentials: { kind: 'given', read: async () => (read++ === 0 ? old.text : fresh.text) },
  });
  await store.create('rotated/object', bodyOf(Buffer.from('x')));
  faults.decide = ({ headers }) => {
    try {
      claimsOf(headers.authorization, fresh.publicKey);
      return PASS;
    } catch {
      return { kind: 'answer', status: 401, body: gcsErrorBody(401, 'authError', 'Invalid Credentials') };
    }
  };
  assert.equal((await gather(store.read('rotated/object'))).toString(), 'x');
  assert.equal(read, 2);
  faults.decide = () => ({ kind: 'answer', status: 401, body: gcsErrorBody(401, 'authError') });
  await refused(store.head('rotated/object'), 'refused', 'StoreDenied');
});

test('a token comes from the token server, once', async () => {
  const token = canarySecret();
  let asked = 0;
  tokens.decide = () => {
    asked += 1;
    const body = JSON.stringify({
      access_token: token,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3600,
    });
    return { kind: 'answer', status: 200, body };
  };
  const seen = seenRequests();
  const text = await federation();
  await useAll(open({ credentials: { kind: 'given', read: async () => text } }), 'federated');
  assert.equal(asked, 1);
  for (const { headers, query } of seen) {
    if (!query.has('upload_id')) assert.equal(headers.authorization, `Bearer ${token}`);
  }
});

test('a token server that refuses, fails or is silent: refused, unavailable, unavailable', async () => {
  const text = await federation();
  const fresh = () => open({ credentials: { kind: 'given', read: async () => text } });
  const refusal = JSON.stringify({ error: 'invalid_grant', error_description: 'the account is gone' });
  tokens.decide = () => ({ kind: 'answer', status: 400, body: refusal });
  const error = await refused(fresh().head('a'), 'refused', 'StoreDenied');
  assert.match(error.message, /invalid_grant/);
  tokens.decide = () => ({ kind: 'answer', status: 503, body: '{}' });
  await refused(keysUnder(fresh(), ''), 'unavailable', 'StoreUnreachable');
  tokens.decide = () => ({ kind: 'break' });
  await refused(gather(fresh().read('a')), 'unavailable', 'StoreUnreachable');
  for (const size of [1, CHUNK_BYTES + 1]) {
    await refused(fresh().create('a', bodyOf(randomBytes(size))), 'unavailable', 'StoreUnreachable');
  }
});

test('credentials that are none are a configuration error, which does not quote them, and are asked for again', async () => {
  const whole = serviceAccount();
  const broken = JSON.stringify({ ...JSON.parse(whole.text), private_key: canarySecret() });
  const unfit = [canarySecret(), `"${canarySecret()}"`, JSON.stringify({ key: canarySecret() }), broken];
  let text = '';
  const store = open({ credentials: { kind: 'given', read: async () => text } });
  for (text of unfit) {
    await refused(store.head('a'), 'config', 'CredentialsMissing');
    for (const transfer of ['as-needed', 'parts'] as const) {
      const creating = store.create('a', bodyOf(Buffer.from('x')), { transfer });
      await refused(creating, 'config', 'CredentialsMissing');
    }
  }
  text = whole.text;
  assert.equal(await store.head('a'), undefined);

  const missing = new AppError({ code: 'SecretMissing', kind: 'config', message: 'NAME is not set' });
  const unreadable = open({ credentials: { kind: 'given', read: () => Promise.reject(missing) } });
  await refused(unreadable.head('a'), 'config', 'SecretMissing');
});

test('where the requester pays, every request names the project', async () => {
  const seen = seenRequests();
  await useAll(open({ billedProject: 'our-project' }), 'billed');
  for (const { query } of seen) {
    if (!query.has('upload_id')) assert.equal(query.get('userProject'), 'our-project');
  }
});

test('retention is kept with each object, in both ways to create', async () => {
  const before = Date.now();
  const protection = { retention: { days: 30, mode: 'unlocked' }, hold: null } as const;
  await useAll(open({ protection }), 'retained');
  for (const size of [10, CHUNK_BYTES + 1]) {
    const { retention } = await server.resource(`prod/retained/${size}`);
    const { mode, retainUntilTime } = retention as { mode: string; retainUntilTime: string };
    assert.equal(mode, 'Unlocked');
    const days = (Date.parse(retainUntilTime) - before) / 86_400_000;
    assert.ok(days >= 30 && days < 30.1, retainUntilTime);
  }
});

test('a hold is asked for when the object is created, in both ways', async () => {
  // fake-gcs-server forgets holds: what is sent is looked at itself.
  const bodies: string[] = [];
  const listener = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      bodies.push(Buffer.concat(pieces).toString('latin1'));
      outgoing.writeHead(403).end(gcsErrorBody(403, 'forbidden'));
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  for (const [hold, field] of [
    ['event-based', 'eventBasedHold'],
    ['temporary', 'temporaryHold'],
  ] as const) {
    const store = open({ endpoint: `http://127.0.0.1:${port}`, protection: { retention: null, hold } });
    for (const transfer of ['as-needed', 'parts'] as const) {
      const attempt = store.create('a', bodyOf(Buffer.from('x')), { transfer });
      await refused(attempt, 'refused', 'StoreDenied');
      assert.ok(bodies.pop()?.includes(`"${field}":true`), `${hold} ${transfer}`);
    }
  }
  listener.closeAllConnections();
  listener.close();
});

test('a bucket that takes no retention refuses, and the hint says what it needs', async () => {
  const message = 'Object retention is not enabled on this bucket.';
  faults.decide = ({ method }) =>
    method === 'POST' ? { kind: 'answer', status: 400, body: gcsErrorBody(400, 'invalid', message) } : PASS;
  const store = open({ protection: { retention: { days: 1, mode: 'locked' }, hold: null } });
  for (const size of [1, CHUNK_BYTES + 1]) {
    const error = await refused(store.create('a', bodyOf(randomBytes(size))), 'refused', 'StoreRejected');
    assert.match(`${error.message} ${error.hint}`, /not enabled.*when a bucket is made/s);
  }
});
