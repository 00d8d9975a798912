/** Promise: a server that is handed over running has MySQL's own settings, or what it has of others is told exactly. */
import assert from 'node:assert/strict';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { connectMysql, type MysqlSession } from '../../src/mysql/session.ts';
import { startMysqld } from '../../src/process/mysqld.ts';
import { isAlive } from '../../src/process/pid.ts';
import { findTool } from '../../src/process/tools.ts';
import { leaveRunning } from '../../src/replay/applier.ts';
import type { SourceSegment } from '../../src/replay/dump-plan.ts';
import { handOver } from '../../src/replay/hand-over.ts';
import type { RunningSettings } from '../../src/replay/running-settings.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { copyTemplate } from '../support/mysql-template.ts';
import { createShop, placeOrders, runXa, tableChecksums } from '../support/workload.ts';
import { type Base, type Rig, segmentsOf, startRig, takeBase } from './replay-rig.ts';

let folder: TestFolder;
let origin: TestMysql;
let base: Base;
let segments: SourceSegment[];
let defaults: Map<string, string>;

before(async () => {
  folder = await testFolder('pt-rset');
  defaults = await variablesOfItsOwn();
  origin = await startTestMysql();
  await createShop(origin);
  base = await takeBase(origin, join(folder.path, 'base'));
  await placeOrders(origin, 20);
  segments = await segmentsOf(origin, base.gtids);
});
after(async () => {
  await origin?.stop();
  await folder?.remove();
});

/** The variables of a server that was told nothing but where to work. */
async function variablesOfItsOwn(): Promise<Map<string, string>> {
  const tool = await findTool('mysqld');
  const dataDir = join(folder.path, 'default');
  await copyTemplate(tool, dataDir);
  const socket = join(folder.path, 'd');
  const logFile = join(folder.path, 'default.log');
  const server = await startMysqld({
    tool,
    dataDir,
    socket,
    port: null,
    serverId: 1,
    logFile,
    options: ['--skip-networking=OFF', '--bind-address=127.0.0.1', '--port=0'],
  });
  const session = await connectMysql({ socket }, 'root', '');
  try {
    return await variables(session);
  } finally {
    await session.close();
    await server.kill();
  }
}

/** Where a server works says nothing of how; words of old for the same setting count once. */
const PLACES = new Set([
  'bind_address',
  'init_file',
  'pid_file',
  'port',
  'report_port',
  'server_id',
  'socket',
]);

async function variables(session: MysqlSession): Promise<Map<string, string>> {
  const rows = await session.query<{ Variable_name: string; Value: string }>('SHOW GLOBAL VARIABLES');
  const settled = new Map<string, string>();
  for (const { Variable_name: name, Value: value } of rows) {
    const old = /^slave_|^skip_slave_|_slave_updates$|^sync_master_info$/.test(name);
    // Sizes of parts and names of files follow from the setting that their names begin with.
    const part = /^performance_schema_|^(relay_log|log_bin)_(basename|index)$/.test(name);
    const ids =
      /^(server_uuid|gtid_executed|gtid_purged|datadir|hostname|general_log_file|slow_query_log_file|secure_)/;
    if (!old && !part && !PLACES.has(name) && !ids.test(name)) settled.set(name, value);
  }
  return settled;
}

function different(now: Map<string, string>): string[] {
  return [...now].filter(([name, value]) => defaults.get(name) !== value).map(([name]) => name);
}

async function settled(rig: Rig): Promise<{ settings: RunningSettings; session: MysqlSession; pid: number }> {
  const expected = GtidSet.parse(await origin.gtidExecuted());
  await rig.replay(expected);
  await rig.verify(expected);
  const done = await handOver(rig.applier(), 'running');
  assert.ok(done.kind === 'running');
  await leaveRunning(rig.applier().options);
  const session = await connectMysql({ socket: done.socket }, 'root', '');
  return { settings: done.settings, session, pid: done.pid };
}

/** What differs from a server of its own is told, and nothing is told that is not so. */
async function assertTold(session: MysqlSession, { chosen }: RunningSettings): Promise<void> {
  const now = await variables(session);
  const told = chosen.map(({ name }) => name);
  assert.deepEqual(
    different(now).filter((name) => !told.includes(name)),
    [],
  );
  for (const { name, value } of chosen) assert.equal(now.get(name), value, name);
}

async function assertState(session: MysqlSession): Promise<void> {
  assert.deepEqual(await tableChecksums(session), await tableChecksums(origin));
  assert.deepEqual(await session.query("SELECT user FROM mysql.user WHERE user LIKE 'pitrail%'"), []);
  assert.deepEqual(await session.query('SHOW REPLICA STATUS'), []);
  const [row] = await session.query<{ g: string }>('SELECT @@GLOBAL.gtid_executed AS g');
  assert.equal(row?.g.replaceAll(/\s/g, ''), await origin.gtidExecuted());
}

test('it is started anew with plain settings, a binlog of its own among them, and the same state', async () => {
  const rig = await startRig(base, segments);
  try {
    const { settings, session, pid } = await settled(rig);
    assert.equal(settings.kind, 'plain');
    assert.notEqual(pid, rig.applier().server.pid);
    await assertTold(session, settings);
    await assertState(session);
    const names = await readdir(rig.applier().options.dataDir);
    assert.ok(!names.includes('#pitrail'), 'relay logs and temporary files are gone');
    const [row] = await session.query<Record<string, string>>(
      'SELECT @@log_bin AS binlog, @@performance_schema AS perf, @@GLOBAL.gtid_purged = @@GLOBAL.gtid_executed AS purged',
    );
    assert.deepEqual(row, { binlog: '1', perf: '1', purged: '1' }, 'its binlog begins after the target');
    await session.close();
    process.kill(pid, 'SIGTERM');
    while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    await rig.stop();
  }
});

test('one prepared XA transaction alone outlives that start', async () => {
  await runXa(origin, 'only', 'left-prepared');
  const rig = await startRig(base, await segmentsOf(origin, base.gtids));
  try {
    const { settings, session, pid } = await settled(rig);
    assert.equal(settings.kind, 'plain');
    const [xa] = await session.query<{ data: string }>('XA RECOVER');
    assert.equal(xa?.data, 'only');
    await session.run("XA COMMIT 'only'");
    await session.close();
    process.kill(pid, 'SIGKILL');
  } finally {
    await rig.stop();
    await origin.run("XA ROLLBACK 'only'");
  }
});

test('with several prepared XA transactions, or rows in MEMORY tables, it runs on, and what is left is told', async () => {
  await runXa(origin, 'one', 'left-prepared');
  await runXa(origin, 'two', 'left-prepared');
  await origin.run(
    'CREATE TABLE shop.cache (id INT) ENGINE=MEMORY',
    'INSERT INTO shop.cache VALUES (1), (2)',
  );
  const rig = await startRig(base, await segmentsOf(origin, base.gtids));
  try {
    const { settings, session, pid } = await settled(rig);
    assert.ok(settings.kind === 'of-the-replay');
    assert.deepEqual(settings.because, ['prepared-xa', 'memory-tables']);
    assert.equal(pid, rig.applier().server.pid);
    await assertTold(session, settings);
    await assertState(session);
    assert.equal((await session.query('XA RECOVER')).length, 2);
    await assert.rejects(access(join(rig.applier().options.workDir, 'applier.json')), { code: 'ENOENT' });
    await session.close();
  } finally {
    await rig.stop();
  }
});
