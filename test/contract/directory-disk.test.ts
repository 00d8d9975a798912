import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { testFolder } from '../support/folder.ts';

test('a full disk and a read-only one: a clear error, nothing left behind, and it works again', async () => {
  const folder = await testFolder('pt-disk');
  try {
    // The mount lives in a namespace of its own and ends with the child.
    const script = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" "$3" "$1"';
    const child = fileURLToPath(import.meta.resolve('./full-disk-child.ts'));
    const { stdout } = await promisify(execFile)('unshare', [
      '--map-root-user',
      '--mount',
      'sh',
      '-c',
      script,
      'sh',
      folder.path,
      process.execPath,
      child,
    ]);
    assert.deepEqual(JSON.parse(stdout), {
      full: 'unavailable StoreFull',
      leftAfterFull: [],
      keysAfterFull: ['before/full'],
      stillFull: 'unavailable StoreFull',
      freed: 'no error',
      readOnly: 'refused StoreDenied',
      readable: true,
    });
  } finally {
    await folder.remove();
  }
});
