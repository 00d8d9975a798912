import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { stringify } from 'yaml';
import type { AppError } from '../../src/domain/errors.ts';
import { connectMysql, type MysqlSession } from '../../src/mysql/session.ts';
import type { TlsChoice } from '../../src/mysql/tcp-options.ts';
import { assertNoCanary, canarySecret } from '../support/canary.ts';
import { type Certificate, makeAuthority } from '../support/certificates.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { createRoleUser, createUser, type TestUser } from '../support/mysql-users.ts';
import { agreedVersion, allowOldTls, startOldMysql } from '../support/old-tls.ts';
import { documentOf, pitrail } from './cli-run.ts';

const ours = makeAuthority('pitrail test');
const theirs = makeAuthority('somebody else');

let folder: TestFolder;
let server: TestMysql;
let account: TestUser;

before(async () => {
  folder = await testFolder();
  await present(ours.issue(['localhost', '127.0.0.1']));
  // The server itself must trust what it shows.
  await writeFile(join(folder.path, 'both.pem'), ours.cert + theirs.cert);
  server = await startTestMysql({
    options: [
      `--ssl-cert=${join(folder.path, 'cert.pem')}`,
      `--ssl-key=${join(folder.path, 'key.pem')}`,
      `--ssl-ca=${join(folder.path, 'both.pem')}`,
    ],
  });
  account = await createUser(server, 'far', []);
});
after(async () => {
  await server.stop();
  await folder.remove();
});

async function present({ cert, key }: Certificate): Promise<void> {
  await writeFile(join(folder.path, 'cert.pem'), cert);
  await writeFile(join(folder.path, 'key.pem'), key, { mode: 0o600 });
}

/** Has the running server show another certificate from now on. */
async function presents(certificate: Certificate): Promise<void> {
  await present(certificate);
  await server.run('ALTER INSTANCE RELOAD TLS');
}

function connect(tls: TlsChoice, host = '127.0.0.1', port = server.port): Promise<MysqlSession> {
  return connectMysql({ host, port, tls }, account.user, account.password);
}

async function versionOf(connecting: Promise<MysqlSession>): Promise<string> {
  const session = await connecting;
  const [row] = await session.query<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_version'");
  await session.close();
  return row?.Value ?? '';
}

async function refusal(connecting: Promise<MysqlSession>): Promise<AppError> {
  const error = await connecting.then(
    () => assert.fail('it connected'),
    (it: AppError) => it,
  );
  assertNoCanary('the error', inspect(error, { depth: 9, showHidden: true }));
  return error;
}

const trusting = (verify: 'ca' | 'identity', caPem: string | null = ours.cert): TlsChoice => ({
  verify,
  caPem,
});

test('a certificate of the named authority is accepted, and TLS is 1.2 or later', async () => {
  assert.match(await versionOf(connect(trusting('ca'))), /^TLSv1\.[23]$/);
  assert.match(await versionOf(connect('required')), /^TLSv1\.[23]$/);
  assert.equal(await versionOf(connect('off')), '');
});

test('a certificate of any other authority is refused, also where it bears the right name', async () => {
  await presents(theirs.issue(['127.0.0.1', 'localhost']));
  for (const tls of [
    trusting('ca'),
    trusting('identity'),
    trusting('ca', null),
    trusting('identity', null),
  ]) {
    const { code, kind, message } = await refusal(connect(tls));
    assert.deepEqual([code, kind], ['MysqlNotProven', 'refused']);
    assert.match(message, /nothing was sent to it/);
  }
  assert.match(await versionOf(connect('required')), /^TLSv1/, 'asked for no proof, it gets none');
});

test('under verify: identity the certificate must bear the host that was asked for, and ca does not care', async () => {
  await presents(ours.issue(['db-1.example']));
  assert.match(await versionOf(connect(trusting('ca'))), /^TLSv1/);
  assert.match((await refusal(connect(trusting('identity')))).message, /does not match/);
  assert.match((await refusal(connect(trusting('identity'), 'localhost'))).message, /does not match/);
  await presents(ours.issue(['localhost']));
  assert.match(await versionOf(connect(trusting('identity'), 'localhost')), /^TLSv1/);
  assert.match((await refusal(connect(trusting('identity'), '127.0.0.1'))).message, /127\.0\.0\.1/);
  await presents(ours.issue(['127.0.0.1']));
  assert.match(await versionOf(connect(trusting('identity'), '127.0.0.1')), /^TLSv1/);
  assert.match((await refusal(connect(trusting('identity'), 'localhost'))).message, /localhost/);
});

test('a certificate that has expired proves nothing', async () => {
  await server.shutdown();
  await present(ours.issue(['127.0.0.1'], 'expired'));
  await server.start();
  const { code, message } = await refusal(connect(trusting('ca')));
  assert.equal(code, 'MysqlNotProven');
  assert.match(message, /expired/);
});

test('TLS 1.1 is refused whatever this process allows, and nothing was sent', async () => {
  const restore = allowOldTls();
  const old = await startOldMysql(ours.issue(['127.0.0.1']));
  try {
    for (const tls of [trusting('ca'), 'required'] as const) {
      const { code, message } = await refusal(connect(tls, '127.0.0.1', old.port));
      assert.equal(code, 'MysqlNotProven', message);
      assert.match(message, /version|protocol/i);
    }
    assert.equal(old.received(), 0);
  } finally {
    await old.stop();
    restore();
  }
});

test('that server does speak TLS 1.1 to a client that lets it', async () => {
  const restore = allowOldTls();
  const { startOldHttps } = await import('../support/old-tls.ts');
  const old = await startOldHttps(ours.issue(['127.0.0.1']));
  try {
    assert.equal(await agreedVersion(old.port), 'TLSv1.1');
  } finally {
    await old.stop();
    restore();
  }
});

test('a server without TLS is refused unless TLS is off by choice', async () => {
  const plain = await startTestMysql({ options: ['--tls-version='] });
  try {
    const secret = canarySecret();
    await plain.run(`CREATE USER far IDENTIFIED WITH caching_sha2_password BY '${secret}'`);
    for (const tls of [trusting('ca'), 'required'] as const) {
      const endpoint = { host: '127.0.0.1', port: plain.port, tls };
      const { code, kind } = await refusal(connectMysql(endpoint, 'far', secret));
      assert.deepEqual([code, kind], ['MysqlWithoutTls', 'refused']);
    }
  } finally {
    await plain.stop();
  }
});

test("MySQL's own authority is enough: ca.pem of the data folder", async () => {
  const own = await startTestMysql();
  try {
    const far = await createUser(own, 'far', []);
    const caPem = await readFile(join(own.dataDir, 'ca.pem'), 'utf8');
    const endpoint = { host: '127.0.0.1', port: own.port, tls: trusting('ca', caPem) };
    assert.match(await versionOf(connectMysql(endpoint, far.user, far.password)), /^TLSv1/);
  } finally {
    await own.stop();
  }
});

interface Finding {
  readonly status: string;
  readonly part: string;
  readonly code?: string;
  readonly message: string;
}

/** What check says of sources that differ in nothing but `tls`, by their ids. */
async function checked(
  choices: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): Promise<(id: string) => readonly Finding[]> {
  const sources = Object.entries(choices).map(([id, tls]) => ({
    ...{ id, host: '127.0.0.1', port: server.port, ...(tls === 'default' ? {} : { tls }) },
    ...{ user: 'pitrail', password: { file: 'password' }, binlogDir: server.binlogDir },
  }));
  const stores = [{ id: 'main', directory: 'store' }];
  const cluster = { sources, stores, encryption: { keyFile: 'sealing-key' } };
  const config = join(folder.path, 'pitrail.yaml');
  const temporal = { address: '127.0.0.1:1' };
  await writeFile(config, stringify({ temporal, clusters: { shop: cluster } }));
  const run = await pitrail(['check', '--json', '--config', config], { env });
  assertNoCanary('check', run.stdout + run.stderr);
  const { findings } = documentOf<{ findings: readonly Finding[] }>(run);
  return (id) => findings.filter(({ part }) => part === `source shop/${id}`);
}

function has(found: readonly Finding[], status: string, text: RegExp): void {
  const some = found.some((it) => it.status === status && text.test(it.message));
  assert(some, `${status} ${text}: ${JSON.stringify(found)}`);
}

test('check proves servers by default, and warns loudly of what is not proven', {
  timeout: 120_000,
}, async () => {
  await presents(ours.issue(['127.0.0.1']));
  const archiver = await createRoleUser(server, 'pitrail', 'archiver', 'clone');
  await writeFile(join(folder.path, 'password'), archiver.password, { mode: 0o600 });
  await writeFile(join(folder.path, 'ca.pem'), ours.cert);
  await writeFile(join(folder.path, 'sealing-key'), 'ab'.repeat(32), { mode: 0o600 });
  const of = await checked({
    unsaid: 'default',
    proven: { verify: 'identity', ca: 'ca.pem' },
    off: 'off',
    required: 'required',
    unverified: { verify: 'off' },
  });
  assert.deepEqual(
    of('unsaid').flatMap(({ code = [] }) => code),
    ['MysqlNotProven'],
  );
  has(of('proven'), 'ok', /answers at 127/);
  assert(!of('proven').some(({ message }) => /NOT|any certificate/.test(message)));
  has(of('off'), 'warning', /NOT ENCRYPTED/);
  has(of('required'), 'warning', /NOT PROVEN/);
  has(of('unverified'), 'warning', /NOT PROVEN/);
  for (const id of ['off', 'required', 'unverified']) has(of(id), 'ok', /answers at 127/);
});

test('a worker says at its start, in its log, what is not proven', { timeout: 120_000 }, async () => {
  // The configuration of the test before; nothing listens where it says that Temporal is.
  const run = await pitrail(['worker', '--config', join(folder.path, 'pitrail.yaml')]);
  assert.equal(run.code, 75, run.stderr);
  const lines = run.stderr.split('\n').filter((line) => line.startsWith('{'));
  const events = lines.map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
  const weak = events.filter(({ event }) => event === 'weak-transport');
  assert.deepEqual(
    weak.map(({ level, part }) => [level, part]),
    ['unsaid', 'off', 'required', 'unverified'].map((id) => ['warn', `source shop/${id}`]),
  );
});

test('an authority that the host trusts needs no file', { timeout: 120_000 }, async () => {
  // Where OpenSSL looks for them, on this host.
  const env = { SSL_CERT_FILE: join(folder.path, 'ca.pem') };
  const of = await checked({ unsaid: 'default', identity: { verify: 'identity' } }, env);
  for (const id of ['unsaid', 'identity']) has(of(id), 'ok', /answers at 127/);
  has(of('unsaid'), 'warning', /any certificate/);
});
