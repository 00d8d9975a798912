/** Promise: what the quickstart shows on real servers is proved at its end, and it leaves nothing behind. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { test } from 'node:test';
import type { FallbackResult } from '../../src/cli/quickstart/fallback.ts';
import type { QuickstartResult } from '../../src/cli/quickstart/run.ts';
import { documentOf, pitrail } from './cli-run.ts';

test('the accident is found, and the server restored to just before it', async () => {
  const run = await pitrail(['quickstart', '--json']);
  assert.equal(run.code, 0, run.stderr);
  const result = documentOf<QuickstartResult>(run);
  assert.equal(result.status, 'proved');
  assert.ok(result.tables.length >= 4);
  await assert.rejects(access(result.dir));
});

test('a store dies under traffic, another one counts, it comes back, all are equal and it alone restores', async () => {
  const run = await pitrail(['quickstart', '--scenario', 'fallback', '--json']);
  assert.equal(run.code, 0, run.stderr);
  const result = documentOf<FallbackResult>(run);
  assert.equal(result.status, 'proved');
  assert.match(run.stderr, /spare counts in its place/);
  await assert.rejects(access(result.dir));
});
