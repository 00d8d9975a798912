import { strict as assert } from 'node:assert';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import versions from '../../scripts/versions.json' with { type: 'json' };
import { compareVersions, judgeVersion } from '../../src/process/tool-version.ts';
import { searchTool, type ToolSearch } from '../../src/process/tools.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';

let folder: TestFolder;
before(async () => {
  folder = await testFolder();
});
after(() => folder.remove());

const MYSQL = 'mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))';
const MARIADB = 'mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)';

/** A program that prints a text, as `--version` would. */
async function program(path: string, prints: string): Promise<string> {
  const full = join(folder.path, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, `#!/bin/sh\necho '${prints}'\n`);
  await chmod(full, 0o755);
  return full;
}

function toolOf(search: ToolSearch) {
  if (search.kind === 'missing') return assert.fail(search.tried.join('; '));
  return search.tool;
}

test('a version counts by its numbers, not by its letters', () => {
  const sorted = ['9.7.4-10', '8.4.9', '10.0.0', '9.7.4-2', '9.7.4', '8.4.10'].sort(compareVersions);
  assert.deepEqual(sorted, ['8.4.9', '8.4.10', '9.7.4', '9.7.4-2', '9.7.4-10', '10.0.0']);
});

test('MariaDB, old servers and strangers are told from MySQL', () => {
  assert.deepEqual(judgeVersion('mysqld', MYSQL), { kind: 'usable', version: '9.7.4-2' });
  assert.deepEqual(judgeVersion('mysql', 'mysql  Ver 8.4.0 for Linux'), { kind: 'usable', version: '8.4.0' });
  for (const text of [MARIADB, 'mysqld  Ver 8.0.40 for Linux', 'hello', '']) {
    assert.equal(judgeVersion('mysqld', text).kind, 'unusable', text);
  }
  assert.equal(judgeVersion('temporal', 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)').kind, 'usable');
  assert.equal(judgeVersion('temporal', 'temporal version 0.9.0 (Server 1.20.0)').kind, 'unusable');
});

test('a server that tells no version is known by its flags', () => {
  const usage = 'Usage of fake-gcs-server:\n  -filesystem-root string\n';
  assert.deepEqual(judgeVersion('fake-gcs-server', usage), { kind: 'usable', version: 'unknown' });
  assert.equal(judgeVersion('fake-gcs-server', 'Usage: something else').kind, 'unusable');
});

test('the environment wins over PATH, and PATH over the cache', async () => {
  const named = await program('order/named/mysql', 'mysql  Ver 8.4.1 for Linux');
  await program('order/path/mysql', 'mysql  Ver 8.4.2 for Linux');
  await program('order/cache/pitrail/tools/mysql/8.4.3/bin/mysql', 'never asked');
  await program('order/cache/pitrail/tools/mysql/8.4.10-1/bin/mysql', 'never asked');
  const cache = { XDG_CACHE_HOME: join(folder.path, 'order/cache') };
  const path = { ...cache, PATH: join(folder.path, 'order/path') };
  const first = toolOf(await searchTool('mysql', { ...path, PITRAIL_MYSQL: named }));
  assert.deepEqual([first.origin, first.version, first.program], ['environment', '8.4.1', named]);
  const second = toolOf(await searchTool('mysql', path));
  assert.deepEqual([second.origin, second.version], ['path', '8.4.2']);
  const third = toolOf(await searchTool('mysql', { ...cache, PATH: '' }));
  assert.deepEqual([third.origin, third.version], ['cache', '8.4.10-1'], 'the newest of the cache');
});

test('MariaDB on PATH is passed over, and named where nothing else is found', async () => {
  await program('maria/bin/mysqld', MARIADB);
  const env = { PATH: join(folder.path, 'maria/bin'), XDG_CACHE_HOME: join(folder.path, 'maria/cache') };
  const search = await searchTool('mysqld', env);
  if (search.kind === 'found') assert.notEqual(dirname(search.tool.program), env.PATH);
  else assert.match(search.tried.join('; '), /maria\/bin\/mysqld is MariaDB/);
});

test('a program named in the environment is never replaced by another one', async () => {
  const maria = await program('wrong/mysql', MARIADB);
  const PATH = dirname(await program('wrong/path/mysql', 'mysql  Ver 9.7.4 for Linux'));
  for (const PITRAIL_MYSQL of [maria, '/nowhere/mysql', folder.path]) {
    const failing = searchTool('mysql', { PATH, PITRAIL_MYSQL });
    await assert.rejects(failing, { kind: 'config', code: 'ToolUnusable' }, PITRAIL_MYSQL);
  }
});

test('a missing program is looked for again, because set-up may supply it meanwhile', async () => {
  const env = { PATH: '', XDG_CACHE_HOME: join(folder.path, 'later') };
  assert.equal((await searchTool('versitygw', env)).kind, 'missing');
  await program(`later/pitrail/tools/versitygw/${versions.versitygw.version}/bin/versitygw`, 'x');
  const tool = toolOf(await searchTool('versitygw', env));
  assert.equal(tool.version, versions.versitygw.version);
});

test('a server unpacked beside the system is told its folders, through links too', async () => {
  const mysqld = await program('tree/bin/mysqld', MYSQL);
  const usr = join(folder.path, 'tree/mysqlroot/usr');
  await mkdir(join(usr, 'lib/mysql/plugin'), { recursive: true });
  await mkdir(join(folder.path, 'links'));
  await symlink(mysqld, join(folder.path, 'links/mysqld'));
  const tool = toolOf(await searchTool('mysqld', { PITRAIL_MYSQLD: join(folder.path, 'links/mysqld') }));
  assert.deepEqual(tool.args.slice(0, 2), [`--basedir=${usr}`, `--plugin-dir=${usr}/lib/mysql/plugin`]);
  const installed = await program('usr/sbin/mysqld', MYSQL);
  assert.deepEqual(toolOf(await searchTool('mysqld', { PITRAIL_MYSQLD: installed })).args, []);
});
