/** Promise: what `npm run chaos` says of transactions that lie archived once is found to be false where it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeOnce } from '../chaos/once.ts';

const [A, B] = ['11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222'] as const;

type Given = Parameters<typeof judgeOnce>;
type Segment = Given[0][number];
type Handoff = Given[1][number];

function log(sequence: number, serverUuid: string, binlog: number, from: number, to: number): Segment {
  const transactions = to - from + 1;
  return {
    sequence,
    timeline: 1,
    segment: {
      serverUuid: serverUuid as Segment['segment']['serverUuid'],
      binlog: `binlog.${binlog}` as Segment['segment']['binlog'],
      createdAt: '2026-01-01T00:00:00.000000Z',
      gtids: transactions === 0 ? '' : `${A}:${from}-${to}`,
      transactions,
      anonymousTransactions: 0,
    },
  };
}

function handedTo(serverUuid: string, sequence: number, timeline = 1): Handoff {
  return {
    sequence,
    route: {
      kind: 'source',
      from: { source: 'a', serverUuid: null },
      to: { source: 'b', serverUuid },
      continuity: { kind: 'continues', timeline, baselineGtids: '' },
    } as Handoff['route'],
  };
}

const PRIMARY = [log(2, A, 1, 1, 10), log(3, A, 2, 11, 20)];

test('logs that follow each other hold each transaction once, also across a handoff between two logs', () => {
  const after = [log(5, B, 7, 21, 30), log(6, B, 8, 31, 30), log(7, B, 9, 31, 33)];
  const found = judgeOnce([...PRIMARY, ...after], [handedTo(B, 4)]);
  assert.deepEqual(found, { faults: [], logs: 5, transactions: 33n, repeats: [] });
});

test('one log of an heir may repeat what lies before it, the first behind its handoff', () => {
  const { faults, repeats } = judgeOnce(
    [...PRIMARY, log(5, B, 7, 15, 30), log(6, B, 8, 31, 40)],
    [handedTo(B, 4)],
  );
  assert.deepEqual(faults, []);
  assert.deepEqual(repeats, [{ binlog: 'binlog.7', repeated: 6n }]);
});

for (const [what, segments, handoffs, fault] of [
  ['a log that stands twice', [...PRIMARY, log(4, A, 1, 21, 30)], [], /binlog\.1 of .* stands twice/],
  ['an empty log that stands twice', [log(2, A, 1, 1, 0), log(3, A, 1, 1, 0)], [], /stands twice/],
  ['a transaction twice in logs of one server', [...PRIMARY, log(4, A, 3, 20, 30)], [], /:20 lie twice/],
  ['another server without a handoff', [...PRIMARY, log(5, B, 7, 15, 30)], [], /no handoff/],
  ['a handoff to another server', [...PRIMARY, log(5, B, 7, 15, 30)], [handedTo(A, 4)], /no handoff/],
  ['a handoff behind it', [...PRIMARY, log(5, B, 7, 15, 30)], [handedTo(B, 6)], /no handoff/],
  ['a handoff on another timeline', [...PRIMARY, log(5, B, 7, 15, 30)], [handedTo(B, 4, 2)], /no handoff/],
  ['a log that brings nothing', [...PRIMARY, log(5, B, 7, 15, 20)], [handedTo(B, 4)], /nothing else/],
  [
    'a second log that repeats',
    [...PRIMARY, log(5, B, 7, 18, 30), log(6, A, 3, 21, 40), log(7, B, 8, 31, 50)],
    [handedTo(B, 4)],
    /not the first one/,
  ],
] as const) {
  test(`found: ${what}`, () => {
    const { faults } = judgeOnce(segments, handoffs);
    assert.match(faults.join('\n'), fault);
  });
}

test('found: a log whose transactions have not one name each', () => {
  const [first] = PRIMARY;
  assert.ok(first);
  const { faults } = judgeOnce([{ ...first, segment: { ...first.segment, transactions: 11 } }], []);
  assert.match(faults.join('\n'), /11 transactions and 10 names/);
});
