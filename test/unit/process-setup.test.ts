import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { debianMirror } from '../../scripts/lib/debian-sources.mjs';
import { installFolder } from '../../scripts/lib/install-folder.mjs';
import { withLock } from '../../scripts/lib/lock.mjs';
import { runTool } from '../../src/process/run.ts';
import { withTempDir } from '../../src/process/temp.ts';

const root = resolve(import.meta.dirname, '../..');
const KEY = '/usr/share/keyrings/debian-archive-keyring.gpg';

async function sources(files: Record<string, string>): Promise<unknown> {
  return withTempDir('pt-apt', async (folder) => {
    await mkdir(join(folder, 'sources.list.d'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return debianMirror(folder);
  });
}

test('the mirror is read from both forms of apt sources, comments and other archives left out', async () => {
  const stanza = `Types: deb\n# http://snapshot.example/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\nSigned-By: /k.gpg\n`;
  assert.deepEqual(await sources({ 'sources.list.d/debian.sources': stanza }), {
    mirror: 'http://mirror.example/debian',
    signedBy: '/k.gpg',
  });
  const lines = `# deb http://old.example/debian x main\ndeb http://sec.example/debian-security x main\ndeb [arch=amd64 signed-by=/s.gpg] http://m.example/debian/ x main\n`;
  assert.deepEqual(await sources({ 'sources.list': lines }), {
    mirror: 'http://m.example/debian/',
    signedBy: '/s.gpg',
  });
  const plain = { 'sources.list': 'deb http://m.example/debian stable main\n' };
  assert.deepEqual(await sources(plain), { mirror: 'http://m.example/debian', signedBy: KEY });
  const others = `Types: deb\nURIs: http://sec.example/debian-security\nSuites: x\n\nTypes: deb-src\nURIs: http://m.example/debian\n\nEnabled: no\nTypes: deb\nURIs: http://m.example/debian\n`;
  assert.equal(await sources({ 'sources.list.d/a.sources': others, 'sources.list.d/b.save': lines }), null);
});

test('of two set-ups one waits for the other, and says so', async () => {
  const order: string[] = [];
  const held = Promise.withResolvers<void>();
  const name = `test ${process.pid}`;
  const first = withLock(name, assert.fail, async () => {
    order.push('first in');
    await held.promise;
    order.push('first out');
  });
  const waits = Promise.withResolvers<void>();
  const second = withLock(name, waits.resolve, async () => order.push('second in'));
  await waits.promise;
  held.resolve();
  await Promise.all([first, second]);
  assert.deepEqual(order, ['first in', 'first out', 'second in']);
});

test('a set-up that is killed does not block the next one', async () => {
  const name = `killed ${process.pid}`;
  const lock = JSON.stringify(join(root, 'scripts/lib/lock.mjs'));
  const code = `import { withLock } from ${lock}; await withLock(${JSON.stringify(name)}, () => {}, () => { console.log('held'); return new Promise((r) => setTimeout(r, 60000)); });`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const got = withLock(
    name,
    () => holder.kill('SIGKILL'),
    async () => 'mine',
  );
  assert.equal(await got, 'mine');
});

test('the lock is free again after what it protects has failed', async () => {
  const name = `failing ${process.pid}`;
  const failing = withLock(name, assert.fail, async () => {
    throw new Error('inside');
  });
  await assert.rejects(failing, /inside/);
  assert.equal(await withLock(name, assert.fail, async () => 1), 1);
});

test('a finished folder replaces a damaged one, and leaves nothing beside it', async () => {
  await withTempDir('pt-install', async (home) => {
    for (const content of ['damaged', 'whole']) {
      const work = join(home, `making-${content}`);
      await mkdir(work);
      await writeFile(join(work, 'file'), content);
      await installFolder(work, join(home, '1.0'));
    }
    assert.deepEqual(await readdir(home), ['1.0']);
    assert.equal(await readFile(join(home, '1.0', 'file'), 'utf8'), 'whole');
  });
});

/** A package laid out as npm would, whose program prints what it was started with. */
async function fakeInstall(folder: string, node: string | null): Promise<string> {
  const home = join(folder, 'node_modules', 'pitrail');
  await mkdir(join(home, 'dist/src/cli'), { recursive: true });
  await mkdir(join(home, 'bin'));
  await cp(join(root, 'bin/pitrail'), join(home, 'bin/pitrail'));
  await writeFile(join(home, 'package.json'), '{"type":"module"}');
  await writeFile(
    join(home, 'dist/src/cli/main.js'),
    'console.log(JSON.stringify([process.version, process.pid, ...process.argv.slice(2)])); process.exit(7);',
  );
  if (node !== null) {
    await mkdir(join(folder, 'node_modules/node/bin'), { recursive: true });
    await symlink(node, join(folder, 'node_modules/node/bin/node'));
  }
  await mkdir(join(folder, 'links'));
  await symlink(join(home, 'bin/pitrail'), join(folder, 'links/pitrail'));
  return join(folder, 'links/pitrail');
}

test('the launcher finds the package through a link, and the Node that npm hoisted beside it', async () => {
  await withTempDir('pt with space', async (folder) => {
    const launcher = await fakeInstall(folder, process.execPath);
    const child = spawn(launcher, ['a b', '--json'], { cwd: '/', env: { PATH: '/usr/bin:/bin' } });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    const [code] = await once(child, 'close');
    assert.deepEqual(
      JSON.parse(out),
      [process.version, child.pid, 'a b', '--json'],
      'the launcher became the program',
    );
    assert.equal(code, 7);
  });
});

test('without Node 24 the launcher says what to do', async () => {
  await withTempDir('pt-launcher', async (folder) => {
    const launcher = await fakeInstall(folder, null);
    await writeFile(join(folder, 'links/node'), '#!/bin/sh\necho 20\n', { mode: 0o755 });
    const env = { PATH: `${join(folder, 'links')}:/usr/bin:/bin` };
    const running = runTool({ program: launcher, args: [] }, ['status'], { env, timeoutMs: 10_000 });
    await assert.rejects(running, (error: Error) =>
      /exit code 78.*needs Node 24.*npm rebuild node/s.test(error.message),
    );
  });
});
