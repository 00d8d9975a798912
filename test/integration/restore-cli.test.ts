/** Promise: the commands around a restore do what they say, and refuse by name what they cannot do. */
import assert from 'node:assert/strict';
import { access, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { LocateDocument, RestoreDocument } from '../../src/cli/quickstart/documents.ts';
import { generateKeyFile } from '../../src/envelope/keys.ts';
import { connectMysql } from '../../src/mysql/session.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import { startTestMysql } from '../support/mysql.ts';
import { createShop, placeOrders, tableChecksums } from '../support/workload.ts';
import { type CliRun, documentOf, pitrail } from './cli-run.ts';
import { type RestoreRig, startPitrail, startRestored, startRestoreRig } from './restore-rig.ts';

interface Located extends LocateDocument {
  readonly statements: readonly (LocateDocument['statements'][number] & {
    readonly op: string;
    readonly rows: number | null;
    readonly statement: string | null;
    readonly restore: string;
  })[];
}

let rig: RestoreRig;
let since: string;
let beforeAccident: Record<string, string>;

before(async () => {
  rig = await startRestoreRig();
  const { source } = rig;
  await createShop(source);
  await source.run(
    "CREATE USER 'app'@'localhost' IDENTIFIED BY 'app-password'",
    "GRANT SELECT ON shop.* TO 'app'@'localhost'",
  );
  await rig.archive();
  await rig.backup();
  since = new Date().toISOString();
  await placeOrders(source, 30);
  await source.run('DELETE FROM shop.order_lines WHERE line = 1');
  await rig.archive();
  beforeAccident = await tableChecksums(source);
  await source.run('DROP TABLE shop.order_lines', 'TRUNCATE TABLE shop.products');
  await placeOrdersWithoutLines();
  await source.run('CREATE DATABASE other', 'CREATE TABLE other.t (id INT)', 'DROP DATABASE other');
  await rig.archive();
});
after(() => rig.stop());

async function placeOrdersWithoutLines(): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    await rig.source.run(`INSERT INTO shop.orders (customer_id, placed_at) VALUES (${i + 1}, NOW(6))`);
  }
}

function run(...args: readonly string[]): Promise<CliRun> {
  return pitrail(['--config', rig.configFile, ...args]);
}

async function assertNothingAt(targetDir: string): Promise<void> {
  for (const path of [targetDir, `${targetDir}.pitrail`]) {
    await assert.rejects(access(path), { code: 'ENOENT' }, `${path} is left`);
  }
}

test('locate finds each kind of loss with its rows, and the restore just before it', async () => {
  const all = await run('locate', '--since', since, '--json');
  assert.equal(all.code, 0, all.stderr);
  const { statements } = documentOf<Located>(all);
  const deletes = statements.filter(({ op }) => op === 'delete');
  assert.deepEqual(
    deletes.map(({ tables, rows }) => [tables, rows]),
    [[['shop.order_lines'], 30]],
  );
  assert.deepEqual(
    statements.filter(({ op }) => op !== 'delete' && op !== 'update').map(({ op, tables }) => [op, tables]),
    [
      ['drop', ['shop.order_lines']],
      ['truncate', ['shop.products']],
      ['drop-database', ['other']],
    ],
  );
  const table = await run('locate', '--since', since, '--table', 'other.t', '--op', 'drop', '--json');
  assert.deepEqual(
    documentOf<Located>(table).statements.map(({ op }) => op),
    ['drop-database'],
    'its database took it along',
  );
  const none = await run(
    'locate',
    '--since',
    since,
    '--table',
    'shop.customers',
    '--op',
    'drop,truncate',
    '--json',
  );
  assert.equal(none.code, 3);
  assert.deepEqual(documentOf<Located>(none).statements, []);
  const until = await run('locate', '--since', since, '--until', since, '--json');
  assert.equal(until.code, 3);
});

test('the restore that locate prints, run as it stands, is the state before the accident', async () => {
  const found = await run(
    'locate',
    '--since',
    since,
    '--table',
    'shop.order_lines',
    '--op',
    'drop',
    '--json',
  );
  const [accident] = documentOf<Located>(found).statements;
  const line = accident?.restore.split(' ').slice(1) ?? [];
  const targetDir = rig.newTarget();
  const restored = await run(...line, '--target-dir', targetDir, '--direct', '--json');
  assert.equal(restored.code, 0, restored.stderr);
  const document = documentOf<RestoreDocument>(restored);
  assert.equal(document.dataDir, targetDir);
  assert.deepEqual(Object.keys(document.seconds), ['plan', 'fetch', 'replay', 'verify', 'handOver']);
  const server = await startRestored(targetDir);
  assert.deepEqual(await tableChecksums(server), beforeAccident);
  await server.stop();
});

test('--keep-running hands over a server that runs on, with the accounts of the origin and no other', async () => {
  const targetDir = rig.newTarget();
  const restored = await run(
    'restore',
    '--to',
    'latest',
    '--target-dir',
    targetDir,
    '--direct',
    '--keep-running',
    '--json',
  );
  assert.equal(restored.code, 0, restored.stderr);
  const { server, gtidExecuted } = documentOf<RestoreOutcome>(restored);
  assert.ok(server.kind === 'running');
  const { socket, pid } = server;
  try {
    const app = await connectMysql({ socket }, 'app', 'app-password');
    const [row] = await app.query<{ n: number }>('SELECT COUNT(*) AS n FROM shop.orders');
    assert.equal(Number(row?.n), 40);
    await app.close();
    const root = await connectMysql({ socket }, 'root', '');
    const users = await root.query<{ User: string }>(
      "SELECT User FROM mysql.user WHERE User LIKE 'pitrail%'",
    );
    assert.deepEqual(users, [{ User: 'pitrail' }], 'the account of the source, none of the replay');
    assert.deepEqual(await root.query('SHOW REPLICA STATUS'), []);
    const [state] = await root.query<Record<string, string>>(
      'SELECT @@GLOBAL.gtid_executed AS gtids, @@event_scheduler AS events, @@innodb_flush_log_at_trx_commit AS flush',
    );
    assert.equal(state?.['gtids'], gtidExecuted);
    assert.equal(state?.['events'], 'OFF');
    assert.equal(Number(state?.['flush']), 1, 'the settings of the replay are gone');
    await root.close();
  } finally {
    process.kill(pid, 'SIGTERM');
  }
  while (
    await access(`/proc/${pid}`).then(
      () => true,
      () => false,
    )
  )
    await sleep(50);
  const server2 = await startRestored(targetDir);
  assert.equal(await server2.gtidExecuted(), gtidExecuted);
  await server2.stop();
});

test('a wrong key is refused, and nothing is left', async () => {
  const other = join(rig.folder.path, 'other-key');
  await generateKeyFile(other);
  const config = join(rig.folder.path, 'wrong-key.yaml');
  const text = await readFile(rig.configFile, 'utf8');
  await writeFile(config, text.replace(/keyFile: .*/, `keyFile: ${other}`), { mode: 0o600 });
  const targetDir = rig.newTarget();
  const refused = await pitrail([
    '--config',
    config,
    'restore',
    '--to',
    'latest',
    '--target-dir',
    targetDir,
    '--direct',
    '--json',
  ]);
  assert.equal(refused.code, 3, refused.stderr);
  assert.equal(documentOf<{ error: { code: string } }>(refused).error.code, 'WrongKey');
  await assertNothingAt(targetDir);
});

test('a store, the key and a server program are enough', async () => {
  const config = join(rig.folder.path, 'bare.yaml');
  const stores = [{ id: 'main', directory: join(rig.folder.path, 'store') }];
  const encryption = { keyFile: join(rig.folder.path, 'key') };
  const restore = { scratchDir: join(rig.folder.path, 'scratch') };
  await writeFile(config, stringify({ clusters: { shop: { stores, encryption, restore } } }), {
    mode: 0o600,
  });
  const targetDir = rig.newTarget();
  const args = ['restore', '--to', 'latest', '--target-dir', targetDir, '--direct', '--json'];
  const restored = await pitrail(['--config', config, ...args]);
  assert.equal(restored.code, 0, restored.stderr);
  const gtids = documentOf<RestoreDocument>(restored).gtidExecuted;
  assert.equal(gtids, await rig.source.gtidExecuted());
});

test('without Temporal restore says so, and how to go on without it', async () => {
  const config = join(rig.folder.path, 'no-temporal.yaml');
  await writeFile(config, `temporal: { address: "127.0.0.1:1" }\n${await readFile(rig.configFile, 'utf8')}`, {
    mode: 0o600,
  });
  const targetDir = rig.newTarget();
  const refused = await pitrail(['--config', config, 'restore', '--to', 'latest', '--target-dir', targetDir]);
  assert.equal(refused.code, 75, refused.stderr);
  assert.match(refused.stderr, /--direct/);
  await assertNothingAt(targetDir);
});

test('bad options are refused in words about the option', async () => {
  for (const args of [
    ['restore', '--to', 'latest'],
    ['restore', '--target-dir', '/tmp/x'],
    ['restore', '--to', 'yesterday', '--target-dir', '/tmp/x', '--direct'],
    ['restore', '--to', 'latest', '--target-dir', '/tmp/x', '--skip-gtid', 'nonsense', '--direct'],
    ['locate', '--since', 'yesterday'],
    ['locate', '--since', since, '--op', 'burn'],
    ['serve', '--to', 'latest', '--port', '70000'],
  ]) {
    const refused = await run(...args);
    assert.equal(refused.code, 64, `${args.join(' ')}: ${refused.stderr}`);
  }
});

test('serve brings a replica of the user to the target, and to nothing past it', async () => {
  const found = await run(
    'locate',
    '--since',
    since,
    '--table',
    'shop.order_lines',
    '--op',
    'drop',
    '--json',
  );
  const gtid = documentOf<Located>(found).statements[0]?.gtid;
  const logFile = join(rig.folder.path, 'serve.log');
  const serving = await startPitrail(rig, ['serve', '--to', `before:${gtid}`, '--json'], logFile);
  const replica = await startTestMysql();
  try {
    const text = async () => readFile(logFile, 'utf8');
    while (!(await text()).includes('"statementFile"')) await sleep(50);
    const document = JSON.parse((await text()).split('\n').find((line) => line.startsWith('{')) ?? '');
    const { mode } = await stat(document.statementFile);
    assert.equal(mode & 0o777, 0o600);
    const statements = (await readFile(document.statementFile, 'utf8'))
      .split(';')
      .filter((it) => it.trim() !== '');
    assert.doesNotMatch(
      await text(),
      new RegExp(/SOURCE_PASSWORD = '(\w+)'/.exec(statements.join(';'))?.[1] ?? '^$'),
    );
    await replica.run(...statements);
    const wait = `SELECT WAIT_FOR_EXECUTED_GTID_SET('${document.target}', 60) AS timedOut`;
    assert.equal(Number((await replica.query<{ timedOut: number }>(wait))[0]?.timedOut), 0);
    await sleep(500);
    assert.equal(await replica.gtidExecuted(), document.target);
    assert.deepEqual(await tableChecksums(replica), beforeAccident);
    serving.kill('SIGINT');
    assert.equal((await serving.exited).code, 0, await text());
    await assert.rejects(access(document.statementFile), { code: 'ENOENT' });
  } finally {
    await replica.stop();
  }
});
