import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { describeProgress } from '../../../src/cli/progress.ts';
import { formatBytes, formatCount, formatSeconds, formatTable, shortGtids } from '../../../src/cli/words.ts';

test('sizes and times read as people write them', () => {
  const sizes = [0, 1, 1023, 1024, 1536, 10 * 1024 ** 2, 150 * 1024 ** 3, 5 * 1024 ** 4];
  assert.deepEqual(sizes.map(formatBytes), [
    '0 B',
    '1 B',
    '1023 B',
    '1.00 KiB',
    '1.50 KiB',
    '10.0 MiB',
    '150 GiB',
    '5.00 TiB',
  ]);
  const times = [0, 0.44, 9.9, 59.4, 60, 245, 3600, 12_000, 90_000, 172_800];
  assert.deepEqual(times.map(formatSeconds), [
    '0.0 s',
    '0.4 s',
    '9.9 s',
    '59 s',
    '1 min',
    '4 min 5 s',
    '1 h',
    '3 h 20 min',
    '1 d 1 h',
    '2 d',
  ]);
  assert.deepEqual(
    [formatCount(1, 'file'), formatCount(0, 'file'), formatCount(2, 'entry', 'entries')],
    ['1 file', '0 files', '2 entries'],
  );
});

test('progress has bytes, rate and time left, and none of them is nonsense at the edges', () => {
  assert.equal(
    describeProgress(25 * 1024 ** 2, 100 * 1024 ** 2, 1000),
    '25.0 MiB of 100 MiB (25 %), 25.0 MiB/s, 3.0 s left',
  );
  assert.equal(describeProgress(0, 1024, 0), '0 B of 1.00 KiB (0 %), 0 B/s, unknown time left');
  assert.equal(describeProgress(2048, 1024, 1000), '2.00 KiB of 1.00 KiB (100 %), 2.00 KiB/s, 0.0 s left');
  assert.equal(describeProgress(1024, null, 500), '1.00 KiB, 2.00 KiB/s');
  assert.equal(describeProgress(0, 0, 500), '0 B, 0 B/s');
});

test('a table aligns its columns, numbers to the right', () => {
  assert.equal(
    formatTable(
      ['name', 'n'],
      [
        ['a', '1'],
        ['long', '100'],
      ],
    ),
    'name    n\na       1\nlong  100',
  );
  assert.equal(formatTable(['name', 'n'], []), 'name  n');
});

test('a GTID set is cut with the number of what is left out', () => {
  assert.equal(shortGtids('a:1,\nb:2'), 'a:1,b:2');
  assert.equal(shortGtids('x'.repeat(12), 10), `${'x'.repeat(10)}… (2 characters more)`);
});
