import assert from 'node:assert/strict';
import { mkdir, readdir, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';

import type { Discovery } from '../../src/archiving/discovery.ts';
import { AppError } from '../../src/domain/errors.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { openSource, UNWATCHED } from './archive-source.ts';

const cleanups: (() => Promise<void>)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function server(...options: readonly string[]): Promise<TestMysql> {
  const mysql = await startTestMysql({ options });
  cleanups.push(() => mysql.stop());
  return mysql;
}

/** Opens a source that is closed after the tests. */
async function opened(mysql: TestMysql, binlogDir = mysql.binlogDir) {
  const source = await openSource(mysql, binlogDir);
  cleanups.push(() => source.close());
  const { access } = source.context;
  return { look: source.look, stage: access.stage.bind(access), source: source.context.source };
}

function refusal(code: string) {
  return (error: unknown) => error instanceof AppError && error.code === code && error.kind === 'refused';
}

test('a server without GTIDs is refused', async () => {
  const { look } = await opened(await server('--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'));
  await assert.rejects(look, refusal('GtidModeOff'));
});

test('a server without binlogs is refused', async () => {
  const { look } = await opened(await server('--skip-log-bin'));
  await assert.rejects(look, refusal('BinlogOff'));
});

test('a folder that is not the one of the binlogs is refused, and so is one with other files in it', async () => {
  const mysql = await server();
  await mysql.run('FLUSH BINARY LOGS');
  const elsewhere = join(mysql.dir, 'elsewhere');
  await mkdir(elsewhere);
  await assert.rejects((await opened(mysql, elsewhere)).look, refusal('WrongBinlogDir'));
  await writeFile(join(elsewhere, 'binlog.000001'), 'something else');
  await assert.rejects((await opened(mysql, elsewhere)).look, refusal('WrongBinlogDir'));
});

test('what is staged is archived even where the server has purged it, before what it still lists', async () => {
  const mysql = await server();
  const { look, stage } = await opened(mysql);
  await mysql.run('CREATE DATABASE a', 'FLUSH BINARY LOGS', 'CREATE DATABASE b', 'FLUSH BINARY LOGS');
  const first = await look();
  assert.equal(await stage(first.stage, UNWATCHED), 2);
  await mysql.run("PURGE BINARY LOGS TO 'binlog.000003'", 'CREATE DATABASE c', 'FLUSH BINARY LOGS');
  const second = await look();
  const names = second.archive.map(({ log }) => log.binlog);
  assert.deepEqual(names, ['binlog.000001', 'binlog.000002', 'binlog.000003']);
  assert.deepEqual(second.problems, []);
});

test('a log that the server purges between listing and staging ends the staging there', async () => {
  const mysql = await server();
  const { look, stage } = await opened(mysql);
  await mysql.run('CREATE DATABASE a', 'FLUSH BINARY LOGS', 'CREATE DATABASE b', 'FLUSH BINARY LOGS');
  const found = await look();
  await mysql.run("PURGE BINARY LOGS TO 'binlog.000002'");
  assert.equal(await stage(found.stage, UNWATCHED), 0);
});

test('a staged file that was altered is named, and nothing is archived around it', async () => {
  const mysql = await server();
  const { look, stage, source } = await opened(mysql);
  await mysql.run('CREATE DATABASE a', 'FLUSH BINARY LOGS');
  await stage((await look()).stage, UNWATCHED);
  const staged = join(source.stagingDir, mysql.serverUuid);
  const [name] = await readdir(staged);
  const path = join(staged, String(name));
  await rename(path, `${path}.kept`);
  await writeFile(path, 'x');
  await truncate(path, 10);
  await assert.rejects(
    look,
    (error: unknown) => error instanceof AppError && error.code === 'StagedLogAltered',
  );
});

/** Puts a file in the place of a store's folder. @returns what brings the store back */
async function takeAway(storeDir: string): Promise<() => Promise<void>> {
  await rename(storeDir, `${storeDir}.away`);
  await writeFile(storeDir, '');
  return async () => {
    await unlink(storeDir);
    await rename(`${storeDir}.away`, storeDir);
  };
}

async function assertBothAreArchived(look: () => Promise<Discovery>): Promise<void> {
  const { archive, problems } = await look();
  assert.deepEqual(problems, []);
  assert.deepEqual(
    archive.map(({ log }) => log.binlog),
    ['binlog.000001', 'binlog.000002'],
  );
}

test('while no catalog can be read, what is closed is staged, so that a purge then loses nothing', async () => {
  const mysql = await server();
  const { look, lookAnew, storeDir } = await openSource(mysql);
  await mysql.run('CREATE DATABASE a', 'FLUSH BINARY LOGS', 'CREATE DATABASE b', 'FLUSH BINARY LOGS');
  const bringBack = await takeAway(storeDir);
  const down = (error: unknown) => error instanceof AppError && error.kind === 'unavailable';
  await assert.rejects(lookAnew, down);
  await mysql.run("PURGE BINARY LOGS TO 'binlog.000003'");
  await bringBack();
  await assertBothAreArchived(look);
});

test('while a store is down whose catalog is known, its logs are to be staged, and it is named', async () => {
  const mysql = await server();
  const { look, context, storeDir } = await openSource(mysql);
  await mysql.run('CREATE DATABASE a', 'FLUSH BINARY LOGS', 'CREATE DATABASE b', 'FLUSH BINARY LOGS');
  const bringBack = await takeAway(storeDir);
  const { stage, stores } = await look();
  assert.deepEqual(
    stores.map(({ store, failure }) => [store, failure?.kind]),
    [['main', 'unavailable']],
  );
  await context.access.stage(stage, UNWATCHED);
  await mysql.run("PURGE BINARY LOGS TO 'binlog.000003'");
  await bringBack();
  await assertBothAreArchived(look);
});
