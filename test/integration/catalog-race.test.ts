import { strict as assert } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { testFolder } from '../support/folder.ts';
import { by, SERVER } from './catalog-samples.ts';

const WRITER = fileURLToPath(new URL('./catalog-writer.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [WRITER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<Ended>((resolve) => {
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

test('of 20 processes that make a repository at once one makes it, and all agree on it', async () => {
  const folder = await testFolder();
  const ends = await Promise.all(Array.from({ length: 20 }, () => start(folder.path, 'init', 'shop').ended));
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  assert.equal(new Set(ends.map(({ stdout }) => stdout)).size, 1, 'one repository id');
  const entries = (await readdir(join(folder.path, 'catalog'))).filter((name) => name.endsWith('.json'));
  assert.deepEqual(entries, ['00000000000000000001.json']);
  const other = await start(folder.path, 'init', 'other').ended;
  assert.notEqual(other.code, 0);
  assert.match(other.stderr, /belongs to cluster "shop", not to "other"/);
  await folder.remove();
});

test('racing writers lose no entry and write none twice, though they are killed at random', {
  timeout: 180_000,
}, async () => {
  const folder = await testFolder();
  const store = openDirectoryStore({ id: 'main', directory: folder.path });
  const catalog = openCatalog(store, { cluster: 'shop' });
  await catalog.init('shop', by('test'));
  // Two writers each want the same 15 binlogs, so that they meet at every sequence.
  const ranges = [1, 1, 16, 16].map((from) => [String(from), String(from + 14)] as const);
  for (let round = 0; round < 5; round += 1) {
    const writers = ranges.map(([from, to]) => start(folder.path, 'append', from, to));
    for (const { child } of writers) {
      await sleep(150 + 60 * round);
      child.kill('SIGKILL');
    }
    await Promise.all(writers.map(({ ended }) => ended));
    const state = await openCatalog(store).read();
    assert(state.head.sequence >= 1, 'whole after every round of kills');
  }
  const ends = await Promise.all(ranges.map(([from, to]) => start(folder.path, 'append', from, to).ended));
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  const state = await catalog.read({ through: 'entries' });
  const names = state.segmentsOf(SERVER).map(({ segment }) => segment.binlog);
  assert.equal(names.length, 30, 'each binlog once');
  assert.equal(new Set(names).size, 30, 'each binlog once');
  assert.equal(state.head.sequence, 31);
  assert.equal(state.archivedThrough(1).toString(), `${SERVER}:1-300`);
  await folder.remove();
});
