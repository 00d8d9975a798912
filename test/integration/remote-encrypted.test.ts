import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stagedFiles } from '../../src/archiving/staging.ts';
import { ENCRYPTED_MAGIC } from '../../src/binlog/event-header.ts';
import { scanFile } from '../../src/binlog/scan.ts';
import { readBinaryLogs } from '../../src/mysql/facts.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { startTestMysql, type TestMysql } from '../support/mysql.ts';
import { mysqldWithKeyring } from '../support/mysql-encrypted.ts';
import { type OpenSource, openRemoteSource, openSource, UNWATCHED } from './archive-source.ts';
import { rawRemotely } from './remote-support.ts';

let folder: TestFolder;
let server: TestMysql;
let remote: OpenSource;

before(async () => {
  folder = await testFolder('pt-enc');
  const tool = await mysqldWithKeyring(folder.path);
  server = await startTestMysql({ tool, options: ['--binlog-encryption=ON', '--max-allowed-packet=1G'] });
  remote = await openRemoteSource(server);
});
after(async () => {
  await remote.close();
  await server.stop();
  await folder.remove();
});

async function fill(): Promise<void> {
  await server.run(
    'CREATE DATABASE IF NOT EXISTS d',
    'CREATE TABLE IF NOT EXISTS d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)',
    "INSERT INTO d.t (v) VALUES (REPEAT('e', 20000000))",
    'FLUSH BINARY LOGS',
    'SET GLOBAL binlog_encryption=OFF',
    "INSERT INTO d.t (v) VALUES ('in the clear')",
    'FLUSH BINARY LOGS',
    'SET GLOBAL binlog_encryption=ON',
    "INSERT INTO d.t (v) VALUES ('encrypted again')",
    'ALTER INSTANCE ROTATE BINLOG MASTER KEY',
    'FLUSH BINARY LOGS',
  );
}

test('the plaintext of encrypted logs is staged whole, and of the length that is taken for theirs', async () => {
  await fill();
  const { stage, problems, open } = await remote.look();
  assert.deepEqual(problems, []);
  assert.equal(open?.holds, 'nothing');
  const { access, source } = remote.context;
  assert.equal(await access.stage(stage, UNWATCHED), stage.length);
  const listed = await readBinaryLogs(server.root);
  assert.ok(stage.some(({ binlog }) => listed.some((log) => log.name === binlog && log.encrypted)));
  assert.ok(stage.some(({ binlog }) => listed.some((log) => log.name === binlog && !log.encrypted)));
  for (const log of stage) {
    const staged = await readFile(stagedFiles(source.stagingDir, log).log);
    assert.ok(staged.equals(await rawRemotely(server, log.binlog)), `${log.binlog} is what mysqlbinlog gets`);
    const onDisk = await readFile(join(server.binlogDir, log.binlog));
    const { name, encrypted } = listed.find((it) => it.name === log.binlog) ?? assert.fail();
    assert.equal(onDisk.subarray(0, 4).equals(ENCRYPTED_MAGIC), encrypted, name);
    assert.ok(encrypted || staged.equals(onDisk));
    assert.deepEqual((await scanFile(stagedFiles(source.stagingDir, log).log)).problems, []);
  }
});

test('in host mode an encrypted log is refused, and the way out is named', async () => {
  const host = await openSource(server);
  const { problems } = await host.look();
  assert.equal(problems[0]?.code, 'BinlogEncrypted');
  assert.match(problems[0]?.message ?? '', /remotely/);
  await host.close();
});
