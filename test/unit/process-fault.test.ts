/** Promise: no step at which a process may be killed is without a test that kills it there. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FAULT_POINTS } from '../../src/process/fault.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function sources(folder: string, suffix: string): Promise<string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true });
  const files = names.filter((name) => name.endsWith(suffix));
  return Promise.all(files.map((name) => readFile(join(ROOT, folder, name), 'utf8')));
}

test('every fault point is passed by the code, and killed at by a test', async () => {
  const code = (await Promise.all([sources('src', '.ts'), sources('activities', '.ts')])).flat().join('\n');
  const folders = ['test/fault', 'test/integration', 'test/workflow'];
  const all = (await Promise.all(folders.map((folder) => sources(folder, '.test.ts')))).flat();
  const killing = all.filter((text) => text.includes('PITRAIL_FAULT'));
  const isKilledAt = (point: string): boolean => {
    const [group] = point.split('.');
    const whole = `FAULT_POINTS.filter((point) => point.startsWith('${group}.'))`;
    return killing.some((text) => text.includes(`'${point}'`) || text.includes(whole));
  };
  assert.ok(killing.length > 3);
  assert.deepEqual(
    FAULT_POINTS.filter((point) => !code.includes(`faultPoint('${point}')`)),
    [],
    'the code passes all of them',
  );
  assert.deepEqual(
    FAULT_POINTS.filter((point) => !isKilledAt(point)),
    [],
    'a test kills at all of them',
  );
});
