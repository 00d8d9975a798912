/** Promise: nothing is sent to a server that has not proven over TLS 1.2 or later that it is the store, nor to such a token server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import type { AppError } from '../../src/domain/errors.ts';
import { UNPROTECTED } from '../../src/storage/gcs/protection.ts';
import { openGcsStore } from '../../src/storage/gcs/store.ts';
import { CHUNK_BYTES } from '../../src/storage/gcs/upload.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { traceOfRun, withTrace } from '../../src/telemetry/trace.ts';
import { pitrail } from '../integration/cli-run.ts';
import { assertNoCanary, canarySecret } from '../support/canary.ts';
import { makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { agreedVersion, allowOldTls, startOldHttps } from '../support/old-tls.ts';
import { httpFaults, PASS, type SeenRequest } from './http-fault.ts';
import { bodyOf, gather } from './store-bodies.ts';

const ours = makeAuthority('pitrail test');
const theirs = makeAuthority('somebody else');

let folder: TestFolder;
let gcs: TestGcs;

before(async () => {
  folder = await testFolder('pt-gcs-tls');
  await writeFile(join(folder.path, 'ours.pem'), ours.cert);
  await writeFile(join(folder.path, 'theirs.pem'), theirs.cert);
  const certificate = ours.issue(['127.0.0.1']);
  gcs = await startGcs('pitrail', { tls: { certificate, caPem: ours.cert } });
});
after(async () => {
  await gcs.stop();
  await folder.remove();
});

type Config = Parameters<typeof openGcsStore>[0];

function configOf(caFile: string | null, endpoint = gcs.endpoint): Config {
  return {
    id: 'gcs',
    bucket: gcs.bucket,
    prefix: 'prod',
    endpoint,
    caFile: caFile === null ? null : join(folder.path, caFile),
    billedProject: null,
    credentials: { kind: 'anonymous' },
    protection: UNPROTECTED,
  };
}

async function probe(config: Config): Promise<unknown> {
  const store = openGcsStore(config);
  try {
    return await probeStore(store);
  } finally {
    await store.close();
  }
}

async function refusal(probing: Promise<unknown>): Promise<AppError> {
  const error = await probing.then(
    () => assert.fail('it was trusted'),
    (it: AppError) => it,
  );
  assertNoCanary('the error', inspect(error, { depth: 9, showHidden: true }));
  return error;
}

test('a store whose certificate the named authority signed is trusted, and no other, without a second try', async () => {
  await probe(configOf('ours.pem'));
  for (const ca of ['theirs.pem', null]) {
    const since = performance.now();
    const { code, kind } = await refusal(probe(configOf(ca)));
    assert.deepEqual([code, kind], ['StoreNotProven', 'refused'], String(ca));
    assert.ok(performance.now() - since < 5000, 'a certificate does not get better by waiting');
  }
});

test('a certificate must bear the name of the endpoint', async () => {
  const named = gcs.endpoint.replace('127.0.0.1', 'localhost');
  const { code, message } = await refusal(probe(configOf('ours.pem', named)));
  assert.equal(code, 'StoreNotProven');
  assert.match(message, /localhost/);
});

test('an authority that cannot be read is named before anything is sent', async () => {
  await writeFile(join(folder.path, 'empty.pem'), 'no certificate\n');
  for (const name of ['none.pem', 'empty.pem']) {
    assert.throws(() => openGcsStore(configOf(name)), { code: 'CaUnreadable', kind: 'config' });
  }
});

test('an upload in chunks and a ranged read go over the same proven connections', async () => {
  const store = openGcsStore(configOf('ours.pem'));
  try {
    const bytes = Buffer.alloc(CHUNK_BYTES + 5, 7);
    assert.equal((await store.create('chunked', bodyOf(bytes))).status, 'created');
    const tail = await gather(store.read('chunked', { offset: CHUNK_BYTES - 1 }));
    assert.ok(tail.equals(bytes.subarray(CHUNK_BYTES - 1)));
  } finally {
    await store.close();
  }
});

test('TLS 1.1 is refused whatever this process allows', async () => {
  const restore = allowOldTls();
  const old = await startOldHttps(ours.issue(['127.0.0.1']));
  try {
    assert.equal(await agreedVersion(old.port), 'TLSv1.1', 'a client without demands gets it');
    const { code, message } = await refusal(probe(configOf('ours.pem', `https://127.0.0.1:${old.port}`)));
    assert.equal(code, 'StoreNotProven', message);
    assert.equal(old.received(), 0);
  } finally {
    await old.stop();
    restore();
  }
});

/** A proxy that tunnels, as HTTPS_PROXY names it; what goes through it is for it to see only if it is not encrypted. */
async function tunnels(): Promise<{ url: string; targets: string[]; stop(): Promise<void> }> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = createServer().on('connect', ({ url = '' }, client: Socket) => {
    targets.push(url);
    const server = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    for (const socket of [client, server]) {
      sockets.add(socket.on('error', () => socket.destroy()));
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    targets,
    async stop() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

test('behind a proxy it is still the store that must prove itself', async () => {
  const proxy = await tunnels();
  process.env['HTTPS_PROXY'] = proxy.url;
  try {
    await probe(configOf('ours.pem'));
    assert.equal((await refusal(probe(configOf('theirs.pem')))).code, 'StoreNotProven');
    assert.equal((await refusal(probe(configOf(null)))).code, 'StoreNotProven');
    assert.ok(proxy.targets.length >= 3);
  } finally {
    delete process.env['HTTPS_PROXY'];
    await proxy.stop();
  }
});

/** Credentials of a federation whose tokens are to be had at a URL. */
async function federation(tokenUrl: string): Promise<string> {
  const file = join(folder.path, 'subject-token');
  await writeFile(file, canarySecret(), { mode: 0o600 });
  return JSON.stringify({
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/test',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: tokenUrl,
    credential_source: { file },
  });
}

test('a token server that does not prove itself is told nothing, and named', async () => {
  const tokenUrl = `${gcs.endpoint}/v1/token`;
  const credentials = { kind: 'given', read: () => federation(tokenUrl) } as const;
  const { code, kind, message } = await refusal(probe({ ...configOf('ours.pem'), credentials }));
  assert.deepEqual([code, kind], ['StoreNotProven', 'refused'], message);
  assert.match(message, /token server/);
});

test('the command line asks no token server over TLS 1.1, whatever Node is told to allow', async () => {
  const old = await startOldHttps(ours.issue(['127.0.0.1']));
  try {
    const path = (name: string) => join(folder.path, name);
    await writeFile(path('key.json'), await federation(`https://127.0.0.1:${old.port}/v1/token`), {
      mode: 0o600,
    });
    const gcsStore = `{ bucket: pitrail, endpoint: "${gcs.endpoint}", caFile: ours.pem, credentials: { file: key.json } }`;
    const shop = `{ stores: [{ id: gcs, gcs: ${gcsStore} }], encryption: none }`;
    await writeFile(path('pitrail.yaml'), `clusters: { shop: ${shop} }\n`);
    const env = {
      NODE_OPTIONS: '--tls-min-v1.0 --tls-cipher-list=DEFAULT:@SECLEVEL=0',
      NODE_EXTRA_CA_CERTS: path('ours.pem'),
    };
    const run = await pitrail(['status', '--config', path('pitrail.yaml'), '--json'], { env });
    assert.equal(run.code, 3, run.stdout + run.stderr);
    assert.match(run.stdout, /"StoreNotProven"/);
    assert.equal(old.received(), 0, 'the subject token stayed here');
  } finally {
    await old.stop();
  }
});

test('every request carries the trace of its run, in the user agent that audit logs keep', async () => {
  const plain = await startGcs();
  const faults = await httpFaults(plain);
  try {
    const seen: SeenRequest[] = [];
    faults.decide = (request) => {
      seen.push(request);
      return PASS;
    };
    const trace = traceOfRun('0199b8a1-0000-7abc-8def-0123456789ab');
    await withTrace(trace, () => probe(configOf(null, faults.endpoint)));
    await probe(configOf(null, faults.endpoint));
    const traced = seen.filter(({ headers }) => headers['user-agent'] === `pitrail trace/${trace.traceId}`);
    assert.ok(traced.some(({ query }) => query.has('upload_id')));
    for (const { headers } of traced) {
      assert.equal(headers['traceparent'], `00-${trace.traceId}-${trace.spanId}-01`);
    }
    const others = seen.filter((request) => !traced.includes(request));
    assert.ok(others.length > 0);
    for (const { headers } of others) {
      assert.deepEqual([headers['user-agent'], headers['traceparent']], ['pitrail', undefined]);
    }
  } finally {
    await faults.stop();
    await plain.stop();
  }
});
