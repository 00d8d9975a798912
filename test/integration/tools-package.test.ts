import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type TestFolder, testFolder } from '../support/folder.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** A stranger's environment: no Node 24 of ours on PATH, no setting of the npm that runs these tests. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS$|NODE_TEST_)/i.test(name)),
);
env['PATH'] = (env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

let folder: TestFolder;
let home: string;
before(async () => {
  folder = await testFolder('pt-package');
  const pack = ['pack', '--json', '--pack-destination', folder.path];
  await run('npm', pack, { cwd: root, env, maxBuffer: 1 << 26 });
  const [tarball] = (await readdir(folder.path)).filter((name) => name.endsWith('.tgz'));
  assert.ok(tarball !== undefined);
  home = join(folder.path, 'empty');
  await mkdir(home);
  await writeFile(join(home, 'package.json'), '{"private":true}');
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder.path, tarball)];
  await run('npm', install, { cwd: home, env, maxBuffer: 1 << 26 });
});
after(() => folder.remove());

test('the package, installed into an empty folder, is a working pitrail', async () => {
  const pitrail = join(home, 'node_modules/.bin/pitrail');
  const { stdout } = await run(pitrail, ['--version'], { cwd: home, env });
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.equal(stdout.trim(), manifest.version);
  const schema = await run(pitrail, ['config', 'schema'], { cwd: home, env });
  assert.equal(typeof JSON.parse(schema.stdout), 'object');
});

test('the package reads a binlog that is none, and says so by its exit code', async () => {
  await writeFile(join(home, 'binlog.000001'), 'no binlog at all');
  const scan = run(join(home, 'node_modules/.bin/pitrail'), ['scan', '--json', 'binlog.000001'], {
    cwd: home,
    env,
  });
  await assert.rejects(scan, (error: Error & { code: number; stdout: string }) => {
    assert.equal(error.code, 4);
    assert.equal((JSON.parse(error.stdout) as { problems: unknown[] }).problems.length, 1);
    return true;
  });
});

test('the package holds the workflow bundle, and no sources or tests', async () => {
  const installed = join(home, 'node_modules/pitrail');
  assert.ok((await stat(join(installed, 'dist/workflow-bundle.js'))).size > 10_000);
  const files = await readdir(installed, { recursive: true });
  assert.deepEqual(
    files.filter((name) => name.endsWith('.ts') || name.startsWith('test') || name.startsWith('src')),
    [],
  );
});
