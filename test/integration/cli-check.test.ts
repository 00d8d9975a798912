import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { assertNoCanary } from '../support/canary.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { allowRotation, createRoleUser, createUser } from '../support/mysql-users.ts';
import { startTemporalServer, type TestTemporal } from '../support/temporal.ts';
import { type CliRun, documentOf, PITRAIL, pitrail } from './cli-run.ts';

interface Finding {
  readonly status: 'ok' | 'warning' | 'failed';
  readonly part: string;
  readonly message: string;
  readonly hint?: string;
  readonly code?: string;
}

interface StatusDocument {
  readonly clusters: readonly {
    readonly status: string;
    readonly sources: readonly {
      readonly id: string;
      readonly serverUuid: string | null;
      readonly archived: readonly {
        readonly pendingTransactions: number;
        readonly backlog: { readonly logs: number };
      }[];
      readonly workflow: { readonly status: string };
    }[];
    readonly problems: readonly { readonly code: string; readonly subject: string; readonly hint: string }[];
  }[];
}

interface Changes {
  readonly user?: string;
  readonly passwordFile?: string;
  readonly socket?: string;
  readonly directory?: string;
  readonly temporal?: string;
  /** The word none, or a file with a key. */
  readonly encryption?: string;
}

let folder: TestFolder;
let mysql: TestMysql;
let temporal: TestTemporal;
let worker: ChildProcess | null = null;
const said: string[] = [];

before(async () => {
  folder = await testFolder();
  [mysql, temporal] = await Promise.all([startTestMysql(), startTemporalServer()]);
  const account = await createRoleUser(mysql, 'pitrail', 'archiver', 'clone');
  await allowRotation(mysql, account);
  await secretFile('password', account.password);
  await secretFile('key', 'ab'.repeat(32));
});

after(async () => {
  worker?.kill('SIGTERM');
  if (worker !== null) await new Promise((resolve) => worker?.once('close', resolve));
  await Promise.all([mysql.stop(), temporal.stop()]);
  await folder.remove();
  assertNoCanary('everything that was printed', said.join('\n'));
});

async function secretFile(name: string, text: string): Promise<string> {
  const file = join(folder.path, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

async function configWith(changes: Changes = {}): Promise<string> {
  const file = join(folder.path, 'pitrail.yaml');
  const source = {
    id: 'shop-1',
    socket: changes.socket ?? mysql.socket,
    user: changes.user ?? 'pitrail',
    password: { file: changes.passwordFile ?? 'password' },
    binlogDir: mysql.binlogDir,
  };
  const cluster = {
    sources: [source],
    stores: [{ id: 'main', directory: changes.directory ?? 'store' }],
    encryption: changes.encryption === 'none' ? 'none' : { keyFile: changes.encryption ?? 'key' },
  };
  await writeFile(
    file,
    stringify({ temporal: { address: changes.temporal ?? temporal.address }, clusters: { shop: cluster } }),
  );
  return file;
}

async function ask(command: readonly string[], changes: Changes = {}): Promise<CliRun> {
  const ended = await pitrail([...command, '--config', await configWith(changes)]);
  said.push(ended.stdout, ended.stderr);
  return ended;
}

async function findings(
  changes: Changes = {},
): Promise<{ code: number | null; all: readonly Finding[]; failed: readonly Finding[] }> {
  const ended = await ask(['check', '--json'], changes);
  const { findings: all } = documentOf<{ findings: readonly Finding[] }>(ended);
  return { code: ended.code, all, failed: all.filter(({ status }) => status === 'failed') };
}

async function startWorker(): Promise<void> {
  const child = spawn(PITRAIL, ['worker', '--config', await configWith()], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  worker = child;
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += String(text);
    said.push(String(text));
  });
  for (let waitedMs = 0; !stderr.includes('works on'); waitedMs += 100) {
    assert(waitedMs < 60_000 && child.exitCode === null, `the worker is not ready: ${stderr}`);
    await sleep(100);
  }
}

test('without a worker check fails with 75, names each queue, and finds all else in order', {
  timeout: 120_000,
}, async () => {
  const { code, all, failed } = await findings();
  assert.equal(code, 75, JSON.stringify(failed));
  assert.deepEqual(
    failed.map(({ part }) => part),
    [
      'worker control.local',
      'worker store.local',
      'worker host.local',
      'worker transfer.local',
      'worker restore.local',
    ],
  );
  for (const { hint } of failed) assert.match(hint ?? '', /pitrail worker --roles/);
  const good = (text: RegExp) =>
    assert(
      all.some(({ status, message }) => status === 'ok' && text.test(message)),
      String(text),
    );
  for (const text of [
    /gtid_mode is ON/,
    /log_bin is ON/,
    /binlog_format is ROW/,
    /has the privileges it needs, and no more/,
  ])
    good(text);
  for (const text of [
    /clone plugin is active/,
    /can be rotated/,
    /takes hard links/,
    /creates objects only where none exists/,
  ])
    good(text);
  for (const text of [/encryption key .* can be read/, /Temporal answers at/, /^mysqld /]) good(text);
  assert(
    all.some(
      ({ status, message, hint }) =>
        status === 'warning' && /holds no repository yet/.test(message) && /pitrail apply/.test(hint ?? ''),
    ),
  );
});

test('too few privileges fail with the statement that grants them; too many are a warning', {
  timeout: 120_000,
}, async () => {
  const poor = await createUser(mysql, 'poor', ['REPLICATION CLIENT']);
  const rich = await createUser(mysql, 'rich', ['ALL PRIVILEGES']);
  await secretFile('poor', poor.password);
  await secretFile('rich', rich.password);
  const few = await findings({ user: 'poor', passwordFile: 'poor' });
  assert.equal(few.code, 3);
  const missing = few.failed.find(({ code }) => code === 'PrivilegesMissing');
  assert.match(missing?.message ?? '', /poor lacks .*REPLICATION SLAVE/);
  assert.match(missing?.hint ?? '', /^GRANT .*REPLICATION SLAVE.* ON \*\.\* TO/);
  const many = await findings({ user: 'rich', passwordFile: 'rich' });
  assert(
    many.all.some(
      ({ status, message }) => status === 'warning' && /rich may do more than it needs/.test(message),
    ),
    JSON.stringify(many.all),
  );
});

test('what does not answer, is open to others or is somebody else’s fails by its own name', {
  timeout: 120_000,
}, async () => {
  const parts = async (changes: Changes) =>
    (await findings(changes)).failed.map(({ part, code }) => `${part} ${code}`);
  assert(
    (await parts({ socket: join(folder.path, 'none.sock') })).some((it) =>
      it.startsWith('source shop/shop-1 '),
    ),
  );
  assert((await parts({ temporal: '127.0.0.1:1' })).includes('temporal TemporalUnreachable'));
  assert((await parts({ directory: 'none/none/store' })).some((it) => it.startsWith('store shop/main ')));
  await secretFile('wrong', 'wrong');
  assert((await parts({ passwordFile: 'wrong' })).some((it) => it.startsWith('source shop/shop-1 Mysql')));
  await chmod(join(folder.path, 'key'), 0o644);
  const exposed = await findings();
  await chmod(join(folder.path, 'key'), 0o600);
  assert.equal(exposed.code, 3);
  assert(exposed.failed.some(({ part, code }) => part === 'keys shop' && code === 'KeyFileExposed'));
});

test('status and backups of an empty store are refused by name', { timeout: 120_000 }, async () => {
  const backups = await ask(['backups']);
  assert.equal(backups.code, 3);
  assert.match(backups.stderr, /holds no repository[\s\S]*pitrail apply/);
  const status = await ask(['status', '--json']);
  assert.equal(status.code, 3, status.stdout);
  const [cluster] = documentOf<StatusDocument>(status).clusters;
  const codes = cluster?.problems.map(({ code }) => code);
  assert.deepEqual([cluster?.status, codes], ['degraded', ['RepositoryMissing', 'NotArchiving']]);
});

test('with a worker archiving works, and status tells how far the archive is', {
  timeout: 240_000,
}, async () => {
  await startWorker();
  const applied = await ask(['apply']);
  assert.equal(applied.code, 0, applied.stderr);
  await mysql.run(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.t (id INT PRIMARY KEY)',
    'FLUSH BINARY LOGS',
    'INSERT INTO shop.t VALUES (1)',
  );
  const archived = await ask(['archive', '--once']);
  assert.equal(archived.code, 0, archived.stderr);
  const status = await ask(['status', '--json']);
  const [cluster] = documentOf<StatusDocument>(status).clusters;
  const [source] = cluster?.sources ?? [];
  assert.equal(source?.serverUuid, mysql.serverUuid);
  assert.equal(source?.workflow.status, 'running');
  assert.equal(source?.archived[0]?.backlog.logs, 0, 'all that is closed is archived');
  assert(Number(source?.archived[0]?.pendingTransactions) >= 1, 'the open log is not');
  assert.deepEqual(
    cluster?.problems.map(({ code }) => code),
    ['NoBackup'],
  );
  assert.equal(status.code, 3, 'nothing can be restored yet');
  const words = await ask(['status']);
  assert.match(words.stdout, /source shop-1 in main: archived through binlog\.[0-9]+.*pending/);
  assert.match(
    words.stdout,
    /PROBLEM main: main holds no base backup[\s\S]*hint: Take a base backup: pitrail backup/,
  );
  const backups = await ask(['backups', '--json']);
  assert.equal(backups.code, 0);
  assert.deepEqual(documentOf<{ backups: readonly unknown[] }>(backups).backups, []);
});

test('with every part in place check has no failure', { timeout: 120_000 }, async () => {
  const backup = await ask(['backup']);
  assert.equal(backup.code, 0, backup.stderr);
  const checked = await findings();
  assert.deepEqual([checked.code, checked.failed], [0, []]);
  const said = checked.all.flatMap(({ status, message }) => (status === 'ok' ? [message] : []));
  assert(said.some((message) => /newest binlog \(binlog\.[0-9]+\) opens with the key/.test(message)));
  assert(said.some((message) => /newest base backup \([^)]+\) opens with the key/.test(message)));
  assert(said.includes('every closed binlog is archived'), said.join('\n'));
});

test('a key that does not open what is stored fails, though it can be loaded', {
  timeout: 120_000,
}, async () => {
  await secretFile('other-key', 'cd'.repeat(32));
  const other = await findings({ encryption: 'other-key' });
  assert.equal(other.code, 3);
  assert.deepEqual(
    other.failed.map(({ part, code }) => `${part} ${code}`),
    ['store shop/main WrongKey', 'store shop/main WrongKey'],
  );
  assert(
    other.all.some(({ status, message }) => status === 'ok' && /encryption key .*other-key/.test(message)),
  );
  const none = await findings({ encryption: 'none' });
  assert.equal(none.code, 3);
  assert.deepEqual(
    none.failed.map(({ code, message }) => [code, /sealed with a key/.test(message)]),
    [
      ['WrongKey', true],
      ['WrongKey', true],
    ],
  );
});

test('binlogs that wait while their server is about to purge them fail, with the time that is left', {
  timeout: 120_000,
}, async () => {
  assert.equal((await ask(['archive', '--pause'])).code, 0);
  const [open] = await mysql.query<{ File: string }>('SHOW BINARY LOG STATUS');
  const path = join(mysql.binlogDir, String(open?.File));
  await mysql.run('INSERT INTO shop.t VALUES (2)', 'FLUSH BINARY LOGS');
  await mysql.run('SET GLOBAL binlog_expire_logs_seconds = 36000');
  const closedAt = Date.now() / 1000 - 9 * 3600;
  await utimes(path, closedAt, closedAt);
  const late = await findings();
  assert.equal(late.code, 75);
  const [expires] = late.failed;
  assert.equal(expires?.code, 'BacklogExpires');
  assert(expires?.message.includes(String(open?.File)), expires?.message);
  assert.match(expires?.message ?? '', /may be purged in (59|60) min|may be purged in 1 h/);
  await mysql.run('SET GLOBAL binlog_expire_logs_seconds = 2592000');
  assert.equal((await ask(['archive', '--resume'])).code, 0);
  assert.equal((await ask(['archive', '--once'])).code, 0);
});

test('a server that is gone makes the status degraded, and the rest is told all the same', {
  timeout: 120_000,
}, async () => {
  await mysql.kill();
  const status = await ask(['status', '--json']);
  await mysql.start();
  const [cluster] = documentOf<StatusDocument>(status).clusters;
  const [source] = cluster?.sources ?? [];
  assert(cluster?.problems.some(({ subject }) => subject === 'shop-1'));
  assert.equal(source?.serverUuid, mysql.serverUuid, 'known from the workflow');
  assert.equal(source?.archived[0]?.pendingTransactions, null);
  assert.equal(status.code, 75, status.stdout);
});
