import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import type { AppError } from '../../src/domain/errors.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { openS3Store } from '../../src/storage/s3/store.ts';
import { traceOfRun, withTrace } from '../../src/telemetry/trace.ts';
import { assertNoCanary } from '../support/canary.ts';
import { makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { agreedVersion, allowOldTls, startOldHttps } from '../support/old-tls.ts';
import { startS3, type TestS3 } from '../support/s3.ts';

const ours = makeAuthority('pitrail test');
const theirs = makeAuthority('somebody else');

let folder: TestFolder;
let s3: TestS3;

before(async () => {
  folder = await testFolder();
  await writeFile(join(folder.path, 'ours.pem'), ours.cert);
  await writeFile(join(folder.path, 'theirs.pem'), theirs.cert);
  const certificate = ours.issue(['127.0.0.1']);
  s3 = await startS3('pitrail', { tls: { certificate, caPem: ours.cert } });
});
after(async () => {
  await s3.stop();
  await folder.remove();
});

async function probe(caFile: string | null, endpoint = s3.endpoint): Promise<unknown> {
  const store = openS3Store({
    ...{ id: 's3', bucket: s3.bucket, region: s3.region, endpoint, forcePathStyle: true },
    caFile: caFile === null ? null : join(folder.path, caFile),
    credentials: async () => s3.credentials,
  });
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

test('a store whose certificate the named authority signed is trusted, and no other', async () => {
  await probe('ours.pem');
  for (const ca of ['theirs.pem', null]) {
    const { code, kind } = await refusal(probe(ca));
    assert.deepEqual([code, kind], ['StoreNotProven', 'refused'], String(ca));
  }
});

test('a certificate must bear the name of the endpoint', async () => {
  const named = s3.endpoint.replace('127.0.0.1', 'localhost');
  const { code, message } = await refusal(probe('ours.pem', named));
  assert.equal(code, 'StoreNotProven');
  assert.match(message, /localhost/);
});

test('an authority that cannot be read is named before anything is sent', async () => {
  for (const [name, text] of [
    ['none.pem', null],
    ['empty.pem', 'no certificate\n'],
  ] as const) {
    if (text !== null) await writeFile(join(folder.path, name), text);
    assert.equal((await refusal(probe(name))).code, 'CaUnreadable');
  }
});

test('TLS 1.1 is refused whatever this process allows', async () => {
  const restore = allowOldTls();
  const old = await startOldHttps(ours.issue(['127.0.0.1']));
  try {
    assert.equal(await agreedVersion(old.port), 'TLSv1.1', 'a client without demands gets it');
    const { code, message } = await refusal(probe('ours.pem', `https://127.0.0.1:${old.port}`));
    assert.equal(code, 'StoreNotProven', message);
    assert.equal(old.received(), 0);
  } finally {
    await old.stop();
    restore();
  }
});

test("the store's own access log tells of which workflow run each request was a part", async () => {
  const trace = traceOfRun('0199b8a1-0000-7abc-8def-0123456789ab');
  await withTrace(trace, () => probe('ours.pem'));
  const lines = (await readFile(s3.accessLog, 'utf8')).split('\n');
  const traced = lines.filter((line) => line.includes(`trace/${trace.traceId}`));
  for (const request of ['PutObject', 'CreateMultipartUpload', 'UploadPart', 'GetObject', 'HeadObject']) {
    assert.ok(
      traced.some((line) => line.includes(`s3_${request} `)),
      request,
    );
  }
  assert.ok(
    traced.every((line) => line.includes(' pitrail ') && line.includes(' 200 ') !== line.includes(' 412 ')),
  );
});
