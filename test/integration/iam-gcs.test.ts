/**
 * Promise: with the permissions of docs/iam/gcs each role can do its work, and needs every one of them.
 * fake-gcs-server asks for none, so a proxy in front of it asks for what Google documents ("IAM permissions
 * for JSON methods"): the accounts are stood in for, the requests and the server are real.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { StoreConfig } from '../../src/config/types.ts';
import type { AppError } from '../../src/domain/errors.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { probeStore } from '../../src/storage/probe.ts';
import { gcsErrorBody, type HttpFaults, httpFaults, PASS, type SeenRequest } from '../contract/http-fault.ts';
import { bodyOf, gather } from '../contract/store-bodies.ts';
import { startGcs, type TestGcs } from '../support/gcs.ts';
import { pitrail } from './cli-run.ts';
import { type RestoreRig, startRestoreRig } from './restore-rig.ts';
import { restoreFrom, storeEverything } from './role-work.ts';

const ROLES = ['archiver', 'restore'] as const;
type RoleName = (typeof ROLES)[number];

/** An account that has a role of docs/iam/gcs: what it may do, and what it was asked for. */
interface Account {
  readonly proxy: HttpFaults;
  readonly allowed: ReadonlySet<string>;
  readonly used: Set<string>;
}

let gcs: TestGcs;
let rig: RestoreRig;
let accounts: Readonly<Record<RoleName, Account>>;

before(async () => {
  gcs = await startGcs('shop-pitr');
  const [archiver, restore] = await Promise.all(ROLES.map(accountOf));
  assert.ok(archiver !== undefined && restore !== undefined);
  accounts = { archiver, restore };
  rig = await startRestoreRig({ stores: [writtenStore('archiver')] });
});
after(async () => {
  await rig.stop();
  await Promise.all(ROLES.map((role) => accounts[role].proxy.stop()));
  await gcs.stop();
});

async function accountOf(role: RoleName): Promise<Account> {
  const file = join(import.meta.dirname, '../../docs/iam/gcs', `${role}.yaml`);
  const { includedPermissions } = parse(await readFile(file, 'utf8')) as {
    readonly includedPermissions: readonly string[];
  };
  const allowed = new Set(includedPermissions);
  const used = new Set<string>();
  const proxy = await httpFaults(gcs);
  proxy.decide = (request) => {
    for (const permission of permissionsFor(request)) {
      if (!allowed.has(permission)) {
        const message = `pitrail-${role} does not have ${permission} access to the Google Cloud Storage object.`;
        return { kind: 'answer', status: 403, body: gcsErrorBody(403, 'forbidden', message) };
      }
      used.add(permission);
    }
    return PASS;
  };
  return { proxy, allowed, used };
}

/**
 * What Google asks for before it looks at any condition. The URL of an upload's session is its own permission.
 * Whoever would replace an object needs to be allowed to delete it.
 */
function permissionsFor({ method, path, query }: SeenRequest): string[] {
  if (query.has('upload_id')) return [];
  if (path.startsWith('/upload/')) {
    const stands = existsSync(join(gcs.folder, gcs.bucket, query.get('name') ?? ''));
    return stands ? ['storage.objects.create', 'storage.objects.delete'] : ['storage.objects.create'];
  }
  if (method === 'GET' && path.endsWith('/o')) return ['storage.objects.list'];
  if (method === 'GET') return ['storage.objects.get'];
  return [`storage.objects.${method === 'DELETE' ? 'delete' : 'update'}`];
}

function writtenStore(role: RoleName): unknown {
  const { endpoint } = accounts[role].proxy;
  return { id: 'gcs', gcs: { bucket: gcs.bucket, prefix: 'prod', endpoint, credentials: 'anonymous' } };
}

function storeAs(role: RoleName): StoreConfig {
  const found = rig.cluster.stores.find(({ id }) => id === 'gcs');
  if (found?.kind !== 'gcs') throw new Error('the rig has a GCS store');
  return { ...found, endpoint: accounts[role].proxy.endpoint };
}

/** Runs a command as a role, with this store alone. */
async function runAs(role: RoleName, ...args: readonly string[]) {
  const shop = { stores: [writtenStore(role)], encryption: { keyFile: join(rig.folder.path, 'key') } };
  const config = join(rig.folder.path, `${role}.yaml`);
  await writeFile(config, stringify({ clusters: { shop } }), { mode: 0o600 });
  return pitrail([...args, '--config', config, '--json']);
}

test('an archiver probes, archives binlogs and a base backup, in one request and in chunks', {
  timeout: 240_000,
}, async () => {
  await storeEverything(rig, 'gcs');
  const store = await openStore(storeAs('archiver'));
  try {
    assert.equal((await probeStore(store)).first, 'created');
    assert.equal(
      (await probeStore(store)).first,
      'exists',
      'denied to replace, it sees that the object stands',
    );
  } finally {
    await store.close();
  }
});

test('what an archiver stored it cannot replace, and other content is told from its own', async () => {
  const store = await openStore(storeAs('archiver'));
  try {
    const body = Buffer.from('something else');
    assert.deepEqual(await store.create('probe/precondition', bodyOf(body)), { status: 'exists' });
    assert.notDeepEqual(await gather(store.read('probe/precondition')), body);
  } finally {
    await store.close();
  }
});

test('a restorer restores and proves the whole archive, from this store alone', {
  timeout: 240_000,
}, async () => {
  await restoreFrom(rig, storeAs('restore'));
  const verified = await runAs('restore', 'verify', '--deep');
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});

test('a restorer cannot create anything, and is told which permission that takes', async () => {
  const store = await openStore(storeAs('restore'));
  try {
    const error = await store.create('mysql/x', bodyOf(Buffer.from('x'))).then(
      () => assert.fail('it was created'),
      (it: AppError) => it,
    );
    assert.deepEqual([error.code, error.facts['permission']], ['StoreDenied', 'storage.objects.create']);
    assert.equal(await store.head('mysql/x'), undefined);
  } finally {
    await store.close();
  }
});

test('every permission of a role was needed, and none beyond it', async () => {
  const verified = await runAs('archiver', 'verify');
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  for (const role of ROLES) {
    const { used, allowed } = accounts[role];
    assert.deepEqual([...used].sort(), [...allowed].sort(), role);
  }
});
