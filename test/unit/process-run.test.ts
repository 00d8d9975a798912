import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { freeBytes } from '../../src/process/disk.ts';
import { isAlive } from '../../src/process/pid.ts';
import { runTool } from '../../src/process/run.ts';
import { startProcess } from '../../src/process/start.ts';
import { withTempDir } from '../../src/process/temp.ts';

const SH = { program: '/bin/sh', args: ['-c'] };
const timeoutMs = 10_000;

test('gives back both streams, with the input on stdin and the environment added', async () => {
  const result = await runTool(SH, ['cat; echo "$ADDED" >&2'], {
    input: 'in\n',
    env: { ADDED: 'yes' },
    timeoutMs,
  });
  assert.deepEqual(result, { stdout: 'in\n', stderr: 'yes\n' });
});

test('stdin is empty where no input is given, so nothing waits for a terminal', async () => {
  assert.equal((await runTool(SH, ['cat'], { timeoutMs })).stdout, '');
});

test('an exit code, a signal, a timeout and a missing program are four different errors', async () => {
  const failing = runTool(SH, ['echo reason >&2; exit 3'], { timeoutMs });
  await assert.rejects(failing, (error: Error & { facts: object }) => {
    assert.match(error.message, /exit code 3.*reason/s);
    assert.deepEqual(error.facts, { program: '/bin/sh', exitCode: 3, signal: null, stderr: 'reason' });
    return true;
  });
  await assert.rejects(runTool(SH, ['kill -9 $$'], { timeoutMs }), {
    code: 'ToolKilled',
    kind: 'unavailable',
  });
  await assert.rejects(runTool(SH, ['exec sleep 30'], { timeoutMs: 100 }), {
    code: 'ToolTimedOut',
    kind: 'unavailable',
  });
  const missing = runTool({ program: '/nowhere/tool', args: [] }, [], { timeoutMs });
  await assert.rejects(missing, { code: 'ToolNotStarted', kind: 'config' });
});

test('output beyond its bound is an error, not a shorter answer', async () => {
  const long = runTool(SH, ['head -c 3000 /dev/zero'], { timeoutMs, maxOutputBytes: 1000 });
  await assert.rejects(long, { code: 'ToolOutputTooLarge' });
});

test('an abort stops the program and is reported as what it is', async () => {
  const reason = new Error('cancelled by the test');
  const running = runTool(SH, ['exec sleep 30'], { timeoutMs, signal: AbortSignal.timeout(50) });
  await assert.rejects(running, { name: 'TimeoutError' });
  await assert.rejects(runTool(SH, ['true'], { timeoutMs, signal: AbortSignal.abort(reason) }), reason);
});

test('a started program writes to its log, and stop waits for its end', async () => {
  await withTempDir('pt-run', async (folder) => {
    const logFile = join(folder, 'log');
    const running = await startProcess(SH, ['echo out; echo err >&2; exec sleep 60'], { logFile });
    while ((await readFile(logFile, 'utf8')) !== 'out\nerr\n')
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await stat(logFile)).mode & 0o777, 0o600);
    assert.equal(await isAlive(running.pid), true);
    assert.deepEqual(await running.stop(), { code: null, signal: 'SIGTERM' });
    assert.equal(await isAlive(running.pid), false);
  });
});

test('stop uses force where a program does not listen', async () => {
  await withTempDir('pt-run', async (folder) => {
    const logFile = join(folder, 'log');
    const running = await startProcess(SH, ["trap '' TERM; echo up; while :; do sleep 1; done"], { logFile });
    while (!(await readFile(logFile, 'utf8')).includes('up'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(await running.stop(200), { code: null, signal: 'SIGKILL' });
  });
});

test('a program that cannot be started is a configuration error', async () => {
  await withTempDir('pt-run', async (folder) => {
    const starting = startProcess({ program: join(folder, 'none'), args: [] }, [], {
      logFile: join(folder, 'log'),
    });
    await assert.rejects(starting, { kind: 'config', code: 'ToolNotStarted' });
  });
});

test('a temporary folder goes whether its use succeeds or fails', async () => {
  const folders: string[] = [];
  const use = async (path: string) => {
    folders.push(path);
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    await writeFile(join(path, 'file'), 'x');
  };
  await withTempDir('pt-run', use);
  const failing = withTempDir('pt-run', async (path) => {
    await use(path);
    throw new Error('in use');
  });
  await assert.rejects(failing, /in use/);
  assert.deepEqual(folders.map(existsSync), [false, false]);
});

test('free space is told for a folder that is yet to be made', async () => {
  const here = await freeBytes('/tmp');
  const below = await freeBytes('/tmp/not/yet/made');
  assert.ok(here > 0 && Math.abs(here - below) < 1e9);
});
