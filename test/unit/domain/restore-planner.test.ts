import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { archiveHoles } from '../../../src/domain/archive-holes.ts';
import { BoundaryFold } from '../../../src/domain/boundary-cut.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { explainReason } from '../../../src/domain/plan-reasons.ts';
import type { PlanReason, RestorePlan } from '../../../src/domain/restore-plan.ts';
import { planRestore } from '../../../src/domain/restore-planner.ts';
import { restorableWindows } from '../../../src/domain/restore-windows.ts';
import { parseTarget } from '../../../src/domain/target.ts';
import { FIRST_OFFSET, History, run, SERVER, second } from './history.ts';

const U = SERVER;

/** Three logs of ten transactions, one a second; a base inside the first, one inside the second. */
const PLAIN = new History(
  [{ transactions: run(1, 10) }, { transactions: run(11, 20) }, { transactions: run(21, 30) }],
  [
    { log: 1, transactions: 4, finishedSecond: 5 },
    { log: 2, transactions: 3, finishedSecond: 14 },
  ],
);

function refusal(plan: RestorePlan): PlanReason {
  assert.equal(plan.verdict.status, 'REFUSED');
  assert.equal(plan.verdict.dryRunSafe, false);
  const [reason] = plan.verdict.reasons;
  assert.ok(reason !== undefined);
  assert.ok(explainReason(reason).length > 30);
  return reason;
}

function note<Code extends PlanReason['code']>(plan: RestorePlan, code: Code) {
  const found = plan.verdict.reasons.find((reason) => reason.code === code);
  if (found !== undefined) assert.ok(explainReason(found).length > 15);
  return found as Extract<PlanReason, { code: Code }> | undefined;
}

function passes(plan: RestorePlan, expected: string): void {
  assert.deepEqual(
    [plan.verdict.status, plan.expectedGtids],
    ['PASS', expected],
    JSON.stringify(plan.verdict.reasons),
  );
  assert.deepEqual(plan.verdict.missingRanges, []);
  assert.equal(plan.verdict.targetGtid, expected);
}

describe('a restore plan', () => {
  it('reaches the end of the archive from the newest base', () => {
    const plan = PLAIN.plan('latest');
    passes(plan, `${U}:1-30`);
    assert.equal(plan.base?.gtidExecuted, `${U}:1-13`);
    assert.deepEqual(
      plan.segments.map((it) => [it.binlog, it.send]),
      [
        ['binlog.000002', `${U}:14-20`],
        ['binlog.000003', `${U}:21-30`],
      ],
    );
    assert.equal(plan.transactions, 17);
    assert.deepEqual(plan.bytes, { base: 500_000, segments: 2000 });
    assert.equal(plan.lastIncluded?.gtid, `${U}:30`);
    assert.equal(plan.firstExcluded, null);
    assert.ok(plan.estimatedSeconds >= 1 && Number.isInteger(plan.estimatedSeconds));
    assert.ok(note(plan, 'base-chosen')?.backupId.endsWith('00000001'));
    assert.deepEqual(plan.verdict.verifiedRanges, [`${U}:1-30`]);
    assert.equal(JSON.stringify(JSON.parse(JSON.stringify(plan))), JSON.stringify(plan));
  });

  it('stops before, or after, a transaction, and names both neighbours', () => {
    const before = PLAIN.plan(`before:${U}:25`);
    passes(before, `${U}:1-24`);
    assert.equal(before.lastIncluded?.position, FIRST_OFFSET + 300);
    assert.equal(before.firstExcluded?.gtid, `${U}:25`);
    assert.equal(before.firstExcluded?.committedAt, second(25));
    passes(PLAIN.plan(`after:${U}:25`), `${U}:1-25`);
  });

  it('names neighbours in other files where the target lies between two', () => {
    for (const plan of [
      PLAIN.plan(`before:${U}:21`),
      PLAIN.plan(`after:${U}:20`),
      PLAIN.plan(second(20.5)),
    ]) {
      passes(plan, `${U}:1-20`);
      assert.deepEqual([plan.lastIncluded?.binlog, plan.lastIncluded?.gtid], ['binlog.000002', `${U}:20`]);
      assert.deepEqual([plan.firstExcluded?.binlog, plan.firstExcluded?.gtid], ['binlog.000003', `${U}:21`]);
    }
  });

  it('takes for a time all that was committed up to that microsecond', () => {
    passes(PLAIN.plan(second(25)), `${U}:1-25`);
    passes(PLAIN.plan(second(24.999999)), `${U}:1-24`);
    passes(PLAIN.plan(second(30)), `${U}:1-30`);
  });

  it('goes back to an older base where the newest holds transactions behind the target', () => {
    const plan = PLAIN.plan(`before:${U}:13`);
    passes(plan, `${U}:1-12`);
    assert.equal(plan.base?.gtidExecuted, `${U}:1-4`);
  });

  it('needs no segment where the base is the target', () => {
    const plan = PLAIN.plan(`file:${U}/binlog.000002:${FIRST_OFFSET + 300}`);
    passes(plan, `${U}:1-13`);
    assert.deepEqual(plan.segments, []);
    assert.equal(plan.transactions, 0);
  });

  it('is a prefix of the commit order where the clock stepped back, and says so', () => {
    const times = [1, 2, 9, 4, 5];
    const transactions = times.map((atSecond, k) => ({ gtid: `${U}:${k + 1}`, atSecond }));
    const history = new History([{ transactions }], [{ log: 1, transactions: 1, finishedSecond: 1 }]);
    const plan = history.plan(second(6));
    passes(plan, `${U}:1-2`);
    assert.equal(note(plan, 'clock-inversions')?.count, 2);
    passes(history.plan(second(9)), `${U}:1-5`);
    const across = new History(
      [
        { transactions: [{ gtid: `${U}:1`, atSecond: 5 }] },
        { transactions: [{ gtid: `${U}:2`, atSecond: 3 }] },
      ],
      [{ log: 1, transactions: 0, finishedSecond: 1 }],
    );
    assert.equal(note(across.plan('latest'), 'clock-inversions')?.count, 1);
  });

  it('follows the file order, not the numbers', () => {
    const order = [1, 5, 2, 4, 3].map((n, k) => ({ gtid: `${U}:${n}`, atSecond: k + 1 }));
    const history = new History([{ transactions: order }], [{ log: 1, transactions: 1, finishedSecond: 1 }]);
    passes(history.plan(`after:${U}:2`), `${U}:1-2:5`);
    passes(history.plan(`before:${U}:4`), `${U}:1-2:5`);
  });

  it('leaves out what is to be skipped, even the last one', () => {
    const plan = PLAIN.plan(`after:${U}:25`, { skip: `${U}:15:25` });
    passes(plan, `${U}:1-14:16-24`);
    assert.equal(note(plan, 'skips')?.gtids, `${U}:15:25`);
    assert.equal(plan.skippedGtids, `${U}:15:25`);
    assert.equal(plan.lastIncluded?.gtid, `${U}:24`);
    assert.equal(PLAIN.plan(`after:${U}:21`, { skip: `${U}:21` }).lastIncluded?.gtid, `${U}:20`);
  });

  it('takes an older base where the newest holds what is to be skipped', () => {
    const plan = PLAIN.plan('latest', { skip: `${U}:6` });
    passes(plan, `${U}:1-5:7-30`);
    assert.equal(plan.base?.gtidExecuted, `${U}:1-4`);
  });

  it('keeps the GTIDs of a restored server that no log ever held', () => {
    const former = '4e11fa47-71ca-11e1-9e33-c80aa9429562:1-100';
    const history = new History(
      [{ transactions: run(1, 10) }, { transactions: run(11, 20) }],
      [{ log: 1, transactions: 2, finishedSecond: 2, foreign: former }],
    );
    passes(history.plan(`after:${U}:15`), `${U}:1-15,\n${former}`);
    assert.equal(restorableWindows(history.facts)[0]?.kind, 'restorable');
  });

  it('starts from what lies before the first archived log only by a base', () => {
    const history = new History(
      [{ transactions: run(11, 20) }],
      [{ log: 1, transactions: 0, finishedSecond: 10.5 }],
      `${U}:1-10`,
    );
    passes(history.plan('latest'), `${U}:1-20`);
    passes(history.plan(`before:${U}:11`), `${U}:1-10`);
    passes(history.plan(second(10.7)), `${U}:1-10`);
    assert.equal(refusal(history.plan(second(10.2))).code, 'before-oldest-backup');
  });

  it('takes the newest timeline by itself, and another where told', () => {
    const history = new History(
      [{ transactions: run(1, 10) }, { transactions: run(1, 5), timeline: 2 }],
      [
        { log: 1, transactions: 3, finishedSecond: 3 },
        { log: 2, transactions: 1, finishedSecond: 30, timeline: 2 },
      ],
    );
    passes(history.plan('latest'), `${U}:1-5`);
    passes(history.plan('latest', { timeline: 1 }), `${U}:1-10`);
  });
});

describe('a restore is refused, with the reason', () => {
  it('after-end-of-archive: what is behind the archive is not known', () => {
    const reason = refusal(PLAIN.plan(second(30.000001)));
    assert.deepEqual(reason, { code: 'after-end-of-archive', nearest: second(30), nearestTarget: 'latest' });
    const file = refusal(PLAIN.plan('file:binlog.000003:999999'));
    assert.ok(file.code === 'after-end-of-archive' && file.nearestTarget === `file:${U}/binlog.000003:1244`);
    assert.equal(PLAIN.plan(file.nearestTarget).verdict.status, 'PASS');
  });

  it('before-oldest-backup: every base holds more than the target, and the nearest is named', () => {
    for (const target of [second(2), `before:${U}:3`, `after:${U}:3`]) {
      const reason = refusal(PLAIN.plan(target));
      assert.ok(reason.code === 'before-oldest-backup' && reason.nearestTarget !== null);
      assert.ok(reason.backupId.endsWith('00000000'));
      passes(PLAIN.plan(reason.nearestTarget), `${U}:1-4`);
    }
  });

  it('no-base: nothing to start from, and what only that base would hold', () => {
    const none = new History([{ transactions: run(11, 20) }], [], `${U}:1-10`).plan('latest');
    assert.deepEqual(refusal(none), { code: 'no-base', oldestBackup: null });
    assert.deepEqual(none.verdict.missingRanges, [`${U}:1-10`]);
    const elsewhere = new History(
      [{ transactions: run(1, 5) }, { transactions: run(1, 5), timeline: 2 }],
      [{ log: 1, transactions: 3, finishedSecond: 3 }],
    ).plan('latest');
    assert.equal((refusal(elsewhere) as { oldestBackup: string }).oldestBackup, '20261120T100000Z-00000000');
  });

  it('nothing-archived: an empty repository, an empty timeline, a timeline without transactions', () => {
    assert.deepEqual(refusal(new History([], []).plan('latest')), {
      code: 'nothing-archived',
      timeline: null,
    });
    assert.equal(refusal(PLAIN.plan('latest', { timeline: 9 })).code, 'nothing-archived');
    const silent = new History([{ transactions: [] }], [{ log: 1, transactions: 0, finishedSecond: 1 }]);
    assert.equal(refusal(silent.plan(second(5))).code, 'nothing-archived');
    passes(silent.plan('latest'), '');
  });

  it('unknown-gtid: not archived yet, before the archive, or in a gap, with the nearest', () => {
    assert.deepEqual(refusal(PLAIN.plan(`before:${U}:31`)), {
      code: 'unknown-gtid',
      gtid: `${U}:31`,
      nearestTarget: 'latest',
    });
    const late = new History(
      [{ transactions: run(11, 20) }],
      [{ log: 1, transactions: 2, finishedSecond: 12 }],
      `${U}:1-10`,
    );
    const early = refusal(late.plan(`before:${U}:5`));
    assert.ok(early.code === 'unknown-gtid' && early.nearestTarget !== null);
    passes(late.plan(early.nearestTarget), `${U}:1-12`);
    const unbased = new History([{ transactions: run(11, 20) }], [], `${U}:1-10`);
    assert.equal((refusal(unbased.plan(`after:${U}:5`)) as { nearestTarget: null }).nearestTarget, null);
    const gap = refusal(GAP.plan(`before:${U}:15`));
    assert.ok(gap.code === 'unknown-gtid' && gap.nearestTarget !== null);
    passes(GAP.plan(gap.nearestTarget), `${U}:1-10`);
  });

  it('ambiguous-gtid: one GTID in two logs', () => {
    const history = new History(
      [{ transactions: run(1, 5) }, { transactions: run(5, 9) }],
      [{ log: 1, transactions: 1, finishedSecond: 1 }],
    );
    const reason = refusal(history.plan(`before:${U}:5`));
    assert.deepEqual(reason, {
      code: 'ambiguous-gtid',
      gtid: `${U}:5`,
      binlogs: [`${U}/binlog.000001`, `${U}/binlog.000002`],
    });
    const [, second_] = history.plan('latest').segments;
    assert.equal(second_?.send, `${U}:6-9`, 'each GTID is sent once');
  });

  it('unknown-binlog and ambiguous-binlog', () => {
    assert.deepEqual(refusal(PLAIN.plan('file:binlog.000009:300')), {
      code: 'unknown-binlog',
      binlog: 'binlog.000009',
    });
    const other = '4e11fa47-71ca-11e1-9e33-c80aa9429562' as typeof SERVER;
    const history = new History(
      [
        { transactions: run(1, 5) },
        {
          transactions: run(6, 9),
          facts: { serverUuid: other, binlog: PLAIN.facts.segments[0]?.segment.binlog ?? assert.fail() },
        },
      ],
      [{ log: 1, transactions: 1, finishedSecond: 1 }],
    );
    assert.deepEqual(refusal(history.plan('file:binlog.000001:300')), {
      code: 'ambiguous-binlog',
      binlog: 'binlog.000001',
      serverUuids: [U, other],
    });
    passes(history.plan(`file:${U}/binlog.000001:400`), `${U}:1-2`);
  });

  it('inside-transaction: an offset between the events of one transaction', () => {
    const plan = PLAIN.plan(`file:binlog.000003:${FIRST_OFFSET + 150}`);
    assert.deepEqual(refusal(plan), {
      code: 'inside-transaction',
      gtid: `${U}:22`,
      nearestTarget: `before:${U}:22`,
    });
    passes(PLAIN.plan(`before:${U}:22`), `${U}:1-21`);
    passes(PLAIN.plan(`file:binlog.000003:${FIRST_OFFSET + 100}`), `${U}:1-21`);
    passes(PLAIN.plan('file:binlog.000003:4'), `${U}:1-20`);
  });

  it('missing-transactions: a gap behind the base, with its exact ranges', () => {
    const plan = GAP.plan(`after:${U}:25`);
    assert.deepEqual(refusal(plan), { code: 'missing-transactions', gtids: `${U}:11-20` });
    assert.deepEqual(plan.verdict.missingRanges, [`${U}:11-20`]);
    assert.deepEqual(plan.verdict.verifiedRanges, [`${U}:1-10`, `${U}:21-25`]);
    passes(GAP.plan(`after:${U}:10`), `${U}:1-10`);
  });

  it('missing-transactions: a time that may lie inside a gap has no exact answer', () => {
    assert.deepEqual(refusal(GAP.plan(second(15))), { code: 'missing-transactions', gtids: `${U}:11-20` });
    assert.equal(refusal(GAP.plan(second(10))).code, 'missing-transactions');
    passes(GAP.plan(second(9)), `${U}:1-9`);
  });

  it('a base behind the gap closes it, and never serves a target before it', () => {
    const healed = new History(GAP.logs, [
      { log: 1, transactions: 2, finishedSecond: 2 },
      { log: 3, transactions: 1, finishedSecond: 21.5 },
    ]);
    passes(healed.plan(`after:${U}:25`), `${U}:1-25`);
    passes(healed.plan(`after:${U}:10`), `${U}:1-10`);
    assert.equal(healed.plan(`after:${U}:10`).base?.gtidExecuted, `${U}:1-2`);
  });

  it('anonymous-transactions: between base and target they have no exact place', () => {
    const anonymous = [...run(11, 13), { gtid: null, atSecond: 13.5 }, ...run(14, 20)];
    const logs = [{ transactions: run(1, 10) }, { transactions: anonymous }, { transactions: run(21, 30) }];
    const history = new History(logs, [{ log: 1, transactions: 5, finishedSecond: 5 }]);
    assert.deepEqual(refusal(history.plan('latest')), {
      code: 'anonymous-transactions',
      binlog: 'binlog.000002',
      count: 1,
    });
    passes(history.plan(`after:${U}:12`), `${U}:1-12`);
    assert.equal(refusal(history.plan(`after:${U}:14`)).code, 'anonymous-transactions');
    const after = new History(logs, [{ log: 3, transactions: 1, finishedSecond: 22 }]);
    passes(after.plan('latest'), `${U}:1-30`);
    const bare = new History(
      [{ transactions: run(1, 3) }, { transactions: [{ gtid: null, atSecond: 4 }] }],
      [{ log: 1, transactions: 3, finishedSecond: 3 }],
    );
    assert.equal(refusal(bare.plan('latest')).code, 'anonymous-transactions');
    const inside = refusal(bare.plan(`file:binlog.000002:${FIRST_OFFSET + 1}`));
    assert.deepEqual(inside, {
      code: 'inside-transaction',
      gtid: 'ANONYMOUS',
      nearestTarget: `file:${U}/binlog.000002:200`,
    });
  });

  it('skip-not-in-range: what the base holds or the target excludes cannot be left out', () => {
    assert.deepEqual(refusal(PLAIN.plan('latest', { skip: `${U}:2` })), {
      code: 'skip-not-in-range',
      gtids: `${U}:2`,
    });
    const behind = PLAIN.plan(`before:${U}:25`, { skip: `${U}:20:25` });
    assert.deepEqual(refusal(behind), { code: 'skip-not-in-range', gtids: `${U}:25` });
  });

  it('temporary-tables: a base between their statements; a base before them only notes it', () => {
    const logs = [{ transactions: run(1, 10) }, { transactions: run(11, 20), facts: { temporaryTables: 1 } }];
    const inside = new History(logs, [{ log: 2, transactions: 3, finishedSecond: 13 }]);
    assert.deepEqual(refusal(inside.plan('latest')), { code: 'temporary-tables', binlog: 'binlog.000002' });
    const both = new History(logs, [
      { log: 1, transactions: 3, finishedSecond: 3 },
      { log: 2, transactions: 3, finishedSecond: 13 },
    ]);
    const plan = both.plan('latest');
    passes(plan, `${U}:1-20`);
    assert.equal(plan.base?.gtidExecuted, `${U}:1-3`);
    assert.equal(note(plan, 'temporary-tables')?.binlog, 'binlog.000002');
  });

  it('no-commit-times: a time has no place in a log without them', () => {
    const bare = { firstCommit: null, lastCommit: null, maxCommit: null };
    const history = new History(
      [{ transactions: run(1, 10), facts: bare }],
      [{ log: 1, transactions: 1, finishedSecond: 1 }],
    );
    assert.deepEqual(refusal(history.plan(second(5))), { code: 'no-commit-times', binlog: 'binlog.000001' });
    passes(history.plan(`after:${U}:5`), `${U}:1-5`);
  });

  it('a base whose binlog is not archived yet serves nothing it may hold too much for', () => {
    const logs = [{ transactions: run(1, 10) }, { transactions: run(11, 20), fate: 'lost' as const }];
    const history = new History(logs, [{ log: 2, transactions: 5, finishedSecond: 15 }]);
    assert.equal(refusal(history.plan('latest')).code, 'before-oldest-backup');
    const exact = new History(logs, [{ log: 2, transactions: 0, finishedSecond: 10.5 }]);
    passes(exact.plan('latest'), `${U}:1-10`);
  });
});

/** Log 2 was purged before it was archived. */
const GAP = new History(
  [{ transactions: run(1, 10) }, { transactions: run(11, 20), fate: 'lost' }, { transactions: run(21, 30) }],
  [{ log: 1, transactions: 2, finishedSecond: 2 }],
);

describe('the planner', () => {
  it('refuses to plan with a question open, and to trust a segment that contradicts the catalog', () => {
    const request = {
      target: parseTarget(`before:${U}:25`),
      targetText: '',
      skip: GtidSet.EMPTY,
      timeline: null,
    };
    const hasKind = (kind: string) => (error: unknown) => error instanceof AppError && error.kind === kind;
    assert.throws(() => planRestore(PLAIN.facts, request, new Map()), hasKind('bug'));
    const empty = new BoundaryFold({ kind: 'nothing' }).answer();
    assert.throws(
      () => planRestore(PLAIN.facts, request, new Map([[2, { ...empty, met: false }]])),
      hasKind('corrupt'),
    );
    const strange = { ...empty, included: GtidSet.parse(`${U}:99`) };
    assert.throws(() => planRestore(PLAIN.facts, request, new Map([[2, strange]])), hasKind('corrupt'));
  });
});

describe('restorable windows', () => {
  it('reach from each base to the end of what is archived without a hole', () => {
    const [first, next] = restorableWindows(PLAIN.facts);
    assert.ok(first?.kind === 'restorable' && next?.kind === 'restorable');
    assert.deepEqual(
      [first.fromTarget, first.toTime, first.toGtids, first.transactions, first.endsAt],
      [`file:${U}/binlog.000001:600`, second(30), `${U}:1-30`, 26, 'end-of-archive'],
    );
    passes(PLAIN.plan(first.fromTarget ?? ''), `${U}:1-4`);
    passes(PLAIN.plan(first.toTarget ?? ''), `${U}:1-30`);
    assert.equal(next.transactions, 17);
  });

  it('end at a gap and at anonymous transactions', () => {
    const [gap] = restorableWindows(GAP.facts);
    assert.ok(gap?.kind === 'restorable' && gap.endsAt === 'gap' && gap.toGtids === `${U}:1-10`);
    const bare = new History(
      [{ transactions: run(1, 3) }, { transactions: [{ gtid: null, atSecond: 4 }] }],
      [{ log: 1, transactions: 1, finishedSecond: 1 }],
    );
    const [anonymous] = restorableWindows(bare.facts);
    assert.ok(anonymous?.kind === 'restorable' && anonymous.endsAt === 'anonymous-transactions');
  });

  it('are not there before the binlogs of a base are archived', () => {
    const logs = [{ transactions: run(1, 10) }, { transactions: run(11, 20), fate: 'lost' as const }];
    const history = new History(logs, [{ log: 2, transactions: 5, finishedSecond: 15 }]);
    const [window] = restorableWindows(history.facts);
    assert.ok(window?.kind === 'waiting-for-archive' && window.missingGtids === `${U}:11-15`);
  });
});

describe('holes of an archive', () => {
  const holes = (history: History) =>
    archiveHoles(history.facts, restorableWindows(history.facts)).map((it) => [
      it.place,
      it.missing.toString(),
      it.base,
    ]);

  it('are what no log holds, and end for a restore with a base behind them', () => {
    assert.deepEqual(holes(PLAIN), []);
    assert.deepEqual(holes(GAP), [['between-logs', `${U}:11-20`, 'none']]);
    const bases = [{ log: 1, transactions: 2, finishedSecond: 2 }];
    const behind = { log: 3, transactions: 1, finishedSecond: 21.5 };
    const healed = new History(GAP.logs, [...bases, behind]);
    assert.deepEqual(holes(healed), [['between-logs', `${U}:11-20`, 'behind-it']]);
    passes(healed.plan('latest'), `${U}:1-30`);
  });

  it('stay open where the archive is cut once more behind the base', () => {
    const logs = [
      ...GAP.logs,
      { transactions: run(31, 40), fate: 'lost' as const },
      { transactions: run(41, 50) },
    ];
    const cut = new History(logs, [{ log: 3, transactions: 1, finishedSecond: 21.5 }]);
    assert.deepEqual(
      holes(cut).map(([, missing, base]) => [missing, base]),
      [
        [`${U}:11-20`, 'none'],
        [`${U}:31-40`, 'none'],
      ],
    );
  });

  it('lie before the first log, too, where the archive began later', () => {
    const late = new History(
      [{ transactions: run(1, 10), fate: 'lost' }, { transactions: run(11, 20) }],
      [{ log: 2, transactions: 1, finishedSecond: 11.5 }],
    );
    assert.deepEqual(holes(late), [['before-first', `${U}:1-10`, 'behind-it']]);
  });
});
