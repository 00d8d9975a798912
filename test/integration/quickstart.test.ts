/** Promise: what the quickstart shows on real servers is proved at its end, and it leaves nothing behind. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { test } from 'node:test';
import type { FallbackResult } from '../../src/cli/quickstart/fallback.ts';
import type { QuickstartResult } from '../../src/cli/quickstart/run.ts';
import { formatSeconds } from '../../src/cli/words.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import { documentOf, pitrail } from './cli-run.ts';

test('the accident is found, and the server restored to just before it', async () => {
  const run = await pitrail(['quickstart', '--json']);
  assert.equal(run.code, 0, run.stderr);
  const result = documentOf<QuickstartResult>(run);
  assert.equal(result.status, 'proved');
  assert.ok(result.tables.length >= 4);
  assert.ok(
    result.tables.some(({ table }) => table === 'shop.order_items'),
    'the lost one is among them',
  );
  for (const { table, rows, checksum } of result.tables)
    assert.ok(rows > 0 && checksum !== null && checksum !== '0', `${table}: ${rows} rows, ${checksum}`);
  const restored = GtidSet.parse(result.restored.gtidExecuted);
  assert.ok(restored.intersect(GtidSet.parse(result.accident)).isEmpty, 'the accident is not in it');
  const { lastApplied } = result.restored;
  assert.ok(lastApplied !== null && GtidSet.parse(lastApplied.gtid).isSubsetOf(restored));
  await assert.rejects(access(result.dir));
});

test('a store dies under traffic, another one counts, it comes back, all are equal and it alone restores', async () => {
  const run = await pitrail(['quickstart', '--scenario', 'fallback', '--json']);
  assert.equal(run.code, 0, run.stderr);
  const { status, dir, failoverSeconds, verified, restored, steps } = documentOf<FallbackResult>(run);
  assert.equal(status, 'proved');
  assert.match(run.stderr, /spare counts in its place/);
  await assert.rejects(access(dir));

  // What was measured is a part of the step in which the store was lost, and what people are told.
  const lost = steps.find(({ step }) => step.startsWith('The S3 server dies')) ?? assert.fail();
  assert.ok(
    failoverSeconds > 0 && failoverSeconds <= lost.seconds,
    `${failoverSeconds} of ${lost.seconds} s`,
  );
  const [, log, told] =
    /^(binlog\.\d+) is archived without it, (.+) after the loss$/m.exec(lost.facts.join('\n')) ?? [];
  assert.ok(log);
  assert.equal(told, formatSeconds(failoverSeconds));
  assert.ok(
    lost.facts.some((fact) => /^its circuit is (open|half-open): ./.test(fact)),
    lost.facts.join('\n'),
  );

  assert.equal(verified.verdict, 'whole');
  const held = verified.stores.map(({ store, segments, backups }) => ({ store, segments, backups }));
  const [{ segments } = assert.fail()] = held;
  assert.ok(segments >= 3, `${segments} logs`);
  assert.deepEqual(
    held,
    ['main', 's3', 'spare'].map((store) => ({ store, segments, backups: 1 })),
  );
  const pairs = verified.comparisons.map((pair) => `${pair.stores.join(' and ')}: ${pair.verdict}`);
  assert.deepEqual(pairs.toSorted(), ['main and s3: equal', 'main and spare: equal', 's3 and spare: equal']);

  // It alone gave everything.
  assert.deepEqual([restored.store, restored.stores, restored.falloverCount], ['s3', ['s3'], 0]);
});
