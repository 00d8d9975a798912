import { strict as assert } from 'node:assert';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { parse } from 'yaml';
import type { StoreConfig } from '../../src/config/types.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { canarySecret } from '../support/canary.ts';
import { isAllowed, type Policy, s3Policy } from '../support/iam.ts';
import { type S3Account, startS3, type TestS3 } from '../support/s3.ts';
import { type RestoreRig, startRestoreRig } from './restore-rig.ts';
import { restoreFrom, storeEverything } from './role-work.ts';

const BUCKET = 'shop-pitr';
const PREFIX = 'prod';
const ROLES = ['archiver', 'restore', 'retention'] as const;
type RoleName = (typeof ROLES)[number];

const accounts = Object.fromEntries(
  ROLES.map((role) => [role, { accessKeyId: `pitrail-${role}`, secretAccessKey: canarySecret() }]),
) as Readonly<Record<RoleName, S3Account>>;
for (const role of ROLES) {
  process.env[`TEST_${role}_ACCESS`] = accounts[role].accessKeyId;
  process.env[`TEST_${role}_SECRET`] = accounts[role].secretAccessKey;
}

let s3: TestS3;
let rig: RestoreRig;

before(async () => {
  s3 = await startS3(BUCKET, { users: Object.values(accounts), versions: 'kept' });
  const root = s3.client();
  const versioning = { Status: 'Enabled' } as const;
  await root.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: versioning }));
  await root.send(
    new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: JSON.stringify(await bucketPolicy()) }),
  );
  root.destroy();
  rig = await startRestoreRig({ stores: [writtenStore('archiver')] });
});
after(async () => {
  await rig.stop();
  await s3.stop();
});

/** The files of docs/iam as one bucket policy: each statement for the account of its role. */
async function bucketPolicy(): Promise<unknown> {
  const statements = await Promise.all(
    ROLES.map(async (role) => {
      const { Statement } = await s3Policy(role, BUCKET, PREFIX);
      return Statement.map((it) => ({ ...it, Principal: { AWS: [accounts[role].accessKeyId] } }));
    }),
  );
  return { Version: '2012-10-17', Statement: statements.flat() };
}

function writtenStore(role: RoleName): unknown {
  const credentials = {
    accessKeyId: { env: `TEST_${role}_ACCESS` },
    secretAccessKey: { env: `TEST_${role}_SECRET` },
  };
  const { endpoint, region } = s3;
  return {
    id: 's3',
    s3: { bucket: BUCKET, region, prefix: PREFIX, endpoint, pathStyle: true, ...credentials },
  };
}

/** The store of the rig's configuration, with the credentials of another role. */
function storeAs(role: RoleName): StoreConfig {
  const found = rig.cluster.stores.find(({ id }) => id === 's3');
  if (found?.kind !== 's3') throw new Error('the rig has an S3 store');
  const credentials = {
    accessKeyId: { env: `TEST_${role}_ACCESS` },
    secretAccessKey: { env: `TEST_${role}_SECRET` },
  };
  return { ...found, credentials };
}

const denied = { name: /AccessDenied|Forbidden|403/ };

test('an archiver under its policy archives binlogs and a base backup, in one request and in parts', {
  timeout: 240_000,
}, async () => {
  await storeEverything(rig, 's3');
});

test('an archiver cannot delete anything, nor any version', async () => {
  const client = s3.client(accounts.archiver);
  try {
    for (const Key of await keys()) {
      await assert.rejects(client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key })), denied, Key);
    }
    for (const { Key, VersionId } of await versions()) {
      const one = new DeleteObjectCommand({ Bucket: BUCKET, Key, VersionId });
      await assert.rejects(client.send(one), denied, Key);
    }
    await assert.rejects(
      client.send(
        new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: 'Suspended' } }),
      ),
      denied,
    );
  } finally {
    client.destroy();
  }
});

test('what an archiver stored stays readable, whatever it does later', async () => {
  const client = s3.client(accounts.archiver);
  const [Key = ''] = await keys();
  try {
    const put = { Bucket: BUCKET, Key, Body: 'something else' };
    await assert.rejects(client.send(new PutObjectCommand({ ...put, IfNoneMatch: '*' })), {
      name: 'PreconditionFailed',
    });
    // This server knows no conditions, so without the header it lets an archiver write a further version:
    // the first one stays. At S3 the policy itself denies it, as the next test shows.
    const before = (await versions()).find((it) => it.Key === Key);
    await client.send(new PutObjectCommand(put));
    const root = s3.client();
    const VersionId = before?.VersionId;
    const old = await root.send(new GetObjectCommand({ Bucket: BUCKET, Key, VersionId }));
    assert.notEqual(await old.Body?.transformToString(), 'something else');
    const newest = (await versions()).find((it) => it.Key === Key)?.VersionId;
    await root.send(new DeleteObjectCommand({ Bucket: BUCKET, Key, VersionId: newest }));
    root.destroy();
  } finally {
    client.destroy();
  }
});

test('the conditions of the policies deny an overwrite, and allow every step of an upload', async () => {
  const archiver = [await s3Policy('archiver', BUCKET, PREFIX)];
  const bucket = await s3Policy('bucket', BUCKET, PREFIX);
  const everything: Policy = {
    Version: '2012-10-17',
    Statement: [{ Sid: 'All', Effect: 'Allow', Action: 's3:*', Resource: '*' }],
  };
  const resource = `arn:aws:s3:::${BUCKET}/${PREFIX}/mysql/x`;
  const put = (keys: Readonly<Record<string, string>>) => ({
    action: 's3:PutObject',
    resource,
    keys: { 'aws:SecureTransport': 'true', 's3:TlsVersion': '1.3', ...keys },
  });
  const creates = { 's3:ObjectCreationOperation': 'true' };
  const cases: readonly (readonly [string, ReturnType<typeof put>, boolean])[] = [
    ['PutObject with If-None-Match', put({ ...creates, 's3:if-none-match': '*' }), true],
    ['CompleteMultipartUpload with If-None-Match', put({ ...creates, 's3:if-none-match': '*' }), true],
    ['PutObject without it', put(creates), false],
    ['CreateMultipartUpload, UploadPart', put({ 's3:ObjectCreationOperation': 'false' }), true],
  ];
  for (const [what, request, allowed] of cases) {
    for (const policies of [archiver, [...archiver, bucket], [everything, bucket]]) {
      assert.equal(isAllowed(policies, request), allowed, what);
    }
  }
  for (const keys of [{ 'aws:SecureTransport': 'false' }, { 's3:TlsVersion': '1.1' }]) {
    const request = put({ ...creates, 's3:if-none-match': '*', ...keys });
    assert.equal(isAllowed([...archiver, bucket], request), false, JSON.stringify(keys));
  }
});

test('an archiver may do what archiving was just seen to do, and nothing more', async () => {
  const { Statement } = await s3Policy('archiver', BUCKET, PREFIX);
  const granted = new Set(Statement.flatMap(({ Action }) => Action));
  const needed = ['s3:PutObject', 's3:AbortMultipartUpload', 's3:GetObject', 's3:ListBucket'];
  assert.deepEqual([...granted].sort(), needed.sort());
});

test('a restorer restores, from this store alone', { timeout: 240_000 }, async () => {
  await restoreFrom(rig, storeAs('restore'));
});

test('a restorer cannot create, delete or lock anything', async () => {
  const store = await openStore(storeAs('restore'));
  const client = s3.client(accounts.restore);
  try {
    await assert.rejects(probeStore(store), { code: 'StoreDenied', kind: 'refused' });
    const [Key = ''] = await keys();
    await assert.rejects(client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key })), denied);
    await assert.rejects(client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x' })), denied);
  } finally {
    client.destroy();
    await store.close();
  }
});

test('retention reads the catalog, removes what is old, and can neither read nor fake an archive', async () => {
  const client = s3.client(accounts.retention);
  const all = await keys();
  const segment = all.find((key) => key.startsWith(`${PREFIX}/mysql/`)) ?? '';
  const entry = all.find((key) => key.startsWith(`${PREFIX}/catalog/`)) ?? '';
  try {
    await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: entry }));
    await assert.rejects(client.send(new GetObjectCommand({ Bucket: BUCKET, Key: segment })), denied);
    await assert.rejects(client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: entry })), denied);
    await assert.rejects(
      client.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${PREFIX}/mysql/forged`, Body: 'x' })),
      denied,
    );
    const VersionId = (await versions()).find(({ Key }) => Key === segment)?.VersionId;
    await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: segment, VersionId }));
    assert.ok(!(await keys()).includes(segment));
  } finally {
    client.destroy();
  }
});

test('nobody outside of the prefix is touched, and no role of Google Cloud that does not retain can delete', async () => {
  for (const role of ROLES) {
    const policy = await s3Policy(role, BUCKET, PREFIX);
    const keys = { 's3:if-none-match': '*', 's3:ObjectCreationOperation': 'true' };
    for (const action of ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:DeleteObjectVersion']) {
      const resource = `arn:aws:s3:::${BUCKET}/other/mysql/x`;
      assert.equal(isAllowed([policy], { action, resource, keys }), false, `${role} ${action}`);
    }
  }
  const folder = join(import.meta.dirname, '../../docs/iam/gcs');
  const files = (await readdir(folder)).sort();
  assert.deepEqual(
    files,
    ROLES.map((role) => `${role}.yaml`),
  );
  const permissions = async (role: RoleName) => {
    const role_ = parse(await readFile(join(folder, `${role}.yaml`), 'utf8')) as {
      readonly includedPermissions: readonly string[];
    };
    return role_.includedPermissions.map((it) => it.replace('storage.objects.', ''));
  };
  assert.deepEqual(await permissions('archiver'), ['create', 'get', 'list']);
  assert.deepEqual(await permissions('restore'), ['get', 'list']);
  assert.deepEqual(await permissions('retention'), ['create', 'delete', 'get', 'list']);
});

/** Keys of the present objects, as root sees them. */
async function keys(): Promise<string[]> {
  return [...new Set((await versions()).filter(({ IsLatest }) => IsLatest).map(({ Key }) => Key))];
}

async function versions(): Promise<{ Key: string; VersionId: string; IsLatest: boolean }[]> {
  const root = s3.client();
  try {
    const { Versions = [] } = await root.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
    return Versions.map(({ Key = '', VersionId = '', IsLatest = false }) => ({ Key, VersionId, IsLatest }));
  } finally {
    root.destroy();
  }
}
