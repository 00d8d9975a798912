import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AppError } from '../../src/domain/errors.ts';
import { writeWhole } from '../../src/process/files.ts';
import { testFolder } from '../support/folder.ts';

test('a full disk is tried again later, and leaves no part of the file', async () => {
  const folder = await testFolder();
  const write = writeWhole(join(folder.path, 'facts.json'), async () => {
    const full = await open('/dev/full', 'w');
    try {
      await full.writeFile('x');
    } finally {
      await full.close();
    }
  });
  const isFull = (error: unknown) =>
    error instanceof AppError && error.code === 'DiskFull' && error.kind === 'unavailable';
  await assert.rejects(write, isFull);
  assert.deepEqual(await readdir(folder.path), []);
  await folder.remove();
});
