import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { adoptMysqld, type MysqldOptions, startMysqld } from '../../src/process/mysqld.ts';
import { isAlive } from '../../src/process/pid.ts';
import { findTool } from '../../src/process/tools.ts';
import { type TestFolder, testFolder } from '../support/folder.ts';
import { copyTemplate } from '../support/mysql-template.ts';

let folder: TestFolder;
let options: MysqldOptions;
before(async () => {
  folder = await testFolder('pt-mysqld');
  await copyTemplate(await findTool('mysqld'), join(folder.path, 'data'));
  options = {
    dataDir: join(folder.path, 'data'),
    socket: join(folder.path, 's'),
    port: null,
    serverId: 7,
    options: ['--innodb-buffer-pool-size=32M'],
    logFile: join(folder.path, 'log'),
  };
});
after(() => folder.remove());

test('a clean stop ends with a complete shutdown in the error log', async () => {
  const server = await startMysqld(options);
  assert.equal(await isAlive(server.pid), true);
  await server.stop();
  assert.equal(await isAlive(server.pid), false);
  assert.match(await readFile(options.logFile, 'utf8'), /Shutdown complete/);
  await server.stop();
});

test('a server that ends at once is reported with the end of its error log', async () => {
  const failing = startMysqld({ ...options, options: ['--no-such-option=1'] });
  await assert.rejects(failing, (error: Error & { kind: string }) => {
    assert.equal(error.kind, 'unavailable');
    assert.match(error.message, /exit code \d+ .*no-such-option/s);
    return true;
  });
});

test('a second server on the same data is refused by the first, and the first goes on', async () => {
  const server = await startMysqld(options);
  const logFile = join(folder.path, 'second.log');
  const second = { ...options, socket: join(folder.path, 's2'), logFile, startTimeoutMs: 4_000 };
  await assert.rejects(startMysqld(second), { kind: 'unavailable' });
  assert.equal(await isAlive(server.pid), true);
  await server.kill();
});

test('a server that is still starting is found by its pid file already', async () => {
  // In the place of a mysqld that recovers for long: it never answers.
  const program = join(folder.path, 'recovers');
  await writeFile(program, '#!/bin/sh\nwhile :; do sleep 0.1; done\n', { mode: 0o700 });
  const tool = { ...(await findTool('mysqld')), program, args: [] };
  const pidFile = join(folder.path, 'starting.pid');
  const failing = startMysqld({ ...options, tool, pidFile, detached: true, startTimeoutMs: 3_000 });
  const ended = assert.rejects(failing, { code: 'MysqldSilent' });
  const adopted = assert.rejects(
    sleep(1_000).then(() => adoptMysqld(pidFile, options.socket, { timeoutMs: 500 })),
    { code: 'MysqldSilent' },
  );
  await Promise.all([ended, adopted]);
});

test('a socket path that no server can listen on is a configuration error, before anything starts', async () => {
  const failing = startMysqld({ ...options, socket: `/tmp/${'x'.repeat(110)}` });
  await assert.rejects(failing, { kind: 'config', code: 'SocketPathTooLong' });
});

test('a detached server outlives the process that started it, killed hard, and is taken over', async () => {
  const source = JSON.stringify(resolve(import.meta.dirname, '../../src/process/mysqld.ts'));
  const detached = JSON.stringify({ ...options, detached: true });
  const code = `import { startMysqld } from ${source}; const s = await startMysqld(${detached}); console.log(s.pid); setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = await once(parent.stdout, 'data');
  const pid = Number(String(printed));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  const pidFile = `${options.socket}.pid`;
  const server = await adoptMysqld(pidFile, options.socket);
  assert.equal(server?.pid, pid);
  await server?.stop();
  await server?.exited();
  assert.equal(await isAlive(pid), false);
  assert.equal(await adoptMysqld(pidFile, options.socket), null);
});

test("a pid file that names somebody else's process is not believed", async () => {
  const pidFile = join(folder.path, 'stale.pid');
  for (const content of [`${process.pid}\n`, '1\n', '-1\n', 'x\n', '']) {
    await writeFile(pidFile, content);
    assert.equal(await adoptMysqld(pidFile, options.socket), null, JSON.stringify(content));
  }
  assert.equal(await adoptMysqld(join(folder.path, 'none.pid'), options.socket), null);
});

test('an abort while a server starts leaves none running', async () => {
  const before = (await readFile(options.logFile, 'utf8')).length;
  const failing = startMysqld({ ...options, signal: AbortSignal.timeout(150) });
  await assert.rejects(failing, { name: 'TimeoutError' });
  const log = (await readFile(options.logFile, 'utf8')).slice(before);
  const pid = Number(/starting as process (\d+)/.exec(log)?.[1] ?? 0);
  assert.ok(pid === 0 || !(await isAlive(pid)));
});
