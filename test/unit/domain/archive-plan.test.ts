import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { archivedThrough, type LineState } from '../../../src/domain/archive-line.ts';
import { type ArchiveFacts, type ListedBinlog, planArchive } from '../../../src/domain/archive-plan.ts';
import { parseBinlogName, parseServerUuid, parseSha256 } from '../../../src/domain/identity.ts';
import type { SegmentFacts } from '../../../src/domain/segment.ts';
import { type ClosedFacts, judgeClosed, judgeSegment } from '../../../src/domain/segment-judgement.ts';

const U = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
const OTHER = parseServerUuid('4e11fa47-71ca-11e1-9e33-c80aa9429562');

function to(number: number): string {
  return number === 0 ? '' : number === 1 ? `${U}:1` : `${U}:1-${number}`;
}

/** A segment of binlog `index` that holds the transactions from `from` to `until`. */
function segment(index: number, from: number, until: number, more: Partial<SegmentFacts> = {}): SegmentFacts {
  const count = until - from + 1;
  return {
    serverUuid: U,
    binlog: parseBinlogName(`binlog.${String(index).padStart(6, '0')}`),
    serverVersion: '9.7.4',
    createdAt: `2026-11-20T10:00:${String(index).padStart(2, '0')}.000000Z`,
    previousGtids: to(from - 1),
    gtids: count === 0 ? '' : count === 1 ? `${U}:${from}` : `${U}:${from}-${until}`,
    transactions: count,
    anonymousTransactions: 0,
    firstCommit: null,
    lastCommit: null,
    maxCommit: null,
    clockInversions: 0,
    lengthBytes: 1000 + index,
    sha256: parseSha256(index.toString(16).padStart(64, '0')),
    closedBy: 'rotate',
    eventDdl: 0,
    xaPrepares: 0,
    temporaryTables: 0,
    ...more,
  };
}

function listed(of: SegmentFacts, more: Partial<ListedBinlog> = {}): ListedBinlog {
  const { createdAt, previousGtids, firstCommit } = of;
  const head = { createdAt, previousGtids, firstCommit };
  return { name: of.binlog, sizeBytes: of.lengthBytes, encrypted: false, standing: 'wanted', head, ...more };
}

const OPEN: ListedBinlog = {
  name: 'binlog.000099',
  sizeBytes: 200,
  encrypted: false,
  standing: 'wanted',
  head: null,
};

function facts(
  logs: readonly ListedBinlog[],
  archived: readonly SegmentFacts[],
  more: Partial<ArchiveFacts> = {},
) {
  const standing: ArchiveFacts = {
    serverUuid: U,
    gtidMode: 'ON',
    mode: 'host',
    listed: [...logs, OPEN],
    archived: archived.map((each) => ({ ...each, timeline: 1 })),
    timelines: archived.length === 0 ? [] : [{ timeline: 1, serverUuid: U }],
    heirship: null,
    acceptedGaps: '',
  };
  return { ...standing, ...more };
}

function kinds(of: ArchiveFacts): string[] {
  return planArchive(of).decisions.map((decision) => {
    const reason = 'reason' in decision ? `/${decision.reason}` : '';
    const timeline = 'timeline' in decision ? `@${decision.timeline}` : '';
    return `${decision.kind}${reason}${timeline}`;
  });
}

const [ONE, TWO, THREE, FOUR] = [
  segment(1, 1, 10),
  segment(2, 11, 20),
  segment(3, 21, 30),
  segment(4, 31, 40),
];

describe('planArchive', () => {
  it('starts a repository with the oldest log there is, and calls nothing before it a gap', () => {
    assert.deepEqual(
      kinds(
        facts(
          [THREE, FOUR].map((it) => listed(it)),
          [],
        ),
      ),
      ['start-timeline/first@1', 'archive@1'],
    );
    const [first] = planArchive(facts([listed(THREE)], [])).decisions;
    assert.ok(first?.kind === 'start-timeline' && first.parent === null);
  });

  it('never touches the open log', () => {
    const plan = planArchive(facts([], []));
    assert.deepEqual(plan, { decisions: [], open: 'binlog.000099' });
    assert.deepEqual(planArchive({ ...facts([], []), listed: [] }), { decisions: [], open: null });
  });

  it('takes for archived only what is equal in name, length, creation and history', () => {
    assert.deepEqual(kinds(facts([listed(ONE), listed(TWO)], [ONE, TWO])), [
      'already-archived@1',
      'already-archived@1',
    ]);
    const grown = listed(TWO, { sizeBytes: 5000 });
    assert.deepEqual(kinds(facts([listed(ONE), grown], [ONE, TWO])), [
      'already-archived@1',
      'start-timeline/diverged@2',
    ]);
    const foreign = facts([listed(ONE)], [segment(1, 1, 10, { serverUuid: OTHER })], {
      timelines: [{ timeline: 1, serverUuid: OTHER }],
    });
    assert.deepEqual(kinds(foreign), ['start-timeline/first@2']);
    const [decision] = planArchive(foreign).decisions;
    assert.ok(decision?.kind === 'start-timeline' && decision.parent === 1);
  });

  it('goes on behind what is archived', () => {
    const logs = [ONE, TWO, THREE, FOUR].map((it) => listed(it));
    assert.deepEqual(kinds(facts(logs, [ONE, TWO])), [
      'already-archived@1',
      'already-archived@1',
      'archive@1',
      'archive@1',
    ]);
  });

  it('asks for heads that nobody read, and lets the logs behind wait', () => {
    const logs = [listed(ONE), listed(TWO, { head: null }), listed(THREE)];
    assert.deepEqual(kinds(facts(logs, [ONE])), ['already-archived@1', 'read-head', 'waits']);
  });

  it('names the transactions of a log that was purged before it was archived, and waits', () => {
    const of = facts([listed(THREE), listed(FOUR)], [ONE]);
    assert.deepEqual(kinds(of), ['gap@1', 'waits']);
    const [gap] = planArchive(of).decisions;
    assert.ok(
      gap?.kind === 'gap' && gap.missingGtids === `${U}:11-20` && gap.detail.includes('10 transactions'),
    );
    assert.deepEqual(kinds({ ...of, acceptedGaps: `${U}:11-20` }), ['archive@1', 'archive@1']);
    assert.deepEqual(kinds({ ...of, acceptedGaps: `${U}:11-19` }), ['gap@1', 'waits']);
  });

  it('takes a log for archived only where its first commit is the same, whatever else is', () => {
    const twin = { ...ONE, firstCommit: '2026-11-20T10:00:01.000001Z' };
    assert.deepEqual(kinds(facts([listed(twin)], [ONE])), ['start-timeline/reset@2']);
    assert.deepEqual(kinds(facts([listed(twin)], [twin])), ['already-archived@1']);
  });

  it('starts a new timeline after RESET BINARY LOGS AND GTIDS, though the names are the same', () => {
    const reset = [1, 2].map((index) =>
      segment(index, index * 5 - 4, index * 5, { createdAt: `2026-11-21T10:00:0${index}.000000Z` }),
    );
    assert.deepEqual(
      kinds(
        facts(
          reset.map((it) => listed(it)),
          [ONE, TWO],
        ),
      ),
      ['start-timeline/reset@2', 'archive@2'],
    );
  });

  it('sees a reset by names that restart, even where the numbers have caught up', () => {
    const late = segment(1, 31, 40, { createdAt: '2026-11-21T10:00:00.000000Z' });
    assert.deepEqual(kinds(facts([listed(late)], [ONE, TWO])), ['start-timeline/reset@2']);
  });

  it('starts a new timeline where a server came back from a backup', () => {
    const other = segment(2, 11, 15, { lengthBytes: 777 });
    const next = segment(3, 16, 25, { createdAt: '2026-11-21T10:00:00.000000Z' });
    assert.deepEqual(kinds(facts([listed(ONE), listed(other), listed(next)], [ONE, TWO, THREE])), [
      'already-archived@1',
      'start-timeline/diverged@2',
      'archive@2',
    ]);
  });

  it('continues on the newest timeline of its own server', () => {
    const archived = [
      { ...ONE, timeline: 1 },
      { ...segment(1, 1, 3, { createdAt: '2026-11-21T10:00:00.000000Z', lengthBytes: 3 }), timeline: 3 },
    ];
    const timelines = [1, 2, 3].map((timeline) => ({ timeline, serverUuid: timeline === 2 ? OTHER : U }));
    const next = segment(2, 4, 6, { createdAt: '2026-11-21T11:00:00.000000Z' });
    assert.deepEqual(kinds(facts([listed(next)], [], { archived, timelines })), ['archive@3']);
  });

  it('refuses what cannot be restored, and says why', () => {
    assert.deepEqual(kinds(facts([listed(ONE, { encrypted: true })], [])), ['refused/encrypted']);
    assert.deepEqual(kinds(facts([listed(ONE, { encrypted: true })], [], { mode: 'remote' })), [
      'start-timeline/first@1',
    ]);
    assert.deepEqual(kinds(facts([listed(ONE)], [], { gtidMode: 'OFF' })), ['refused/gtid-mode']);
    assert.deepEqual(kinds(facts([listed(ONE)], [ONE], { gtidMode: 'OFF' })), ['already-archived@1']);
    assert.deepEqual(kinds(facts([listed(ONE, { name: '../../etc/passwd' })], [])), ['refused/bad-name']);
    assert.deepEqual(kinds(facts([listed(ONE, { standing: 'set-aside' })], [])), ['refused/set-aside']);
  });

  it('does not run past a refused log: what is behind it waits, then is a gap with exact numbers', () => {
    const logs = [listed(TWO), listed(THREE, { encrypted: true, head: null }), listed(FOUR)];
    assert.deepEqual(kinds(facts(logs, [ONE])), ['archive@1', 'refused/encrypted', 'waits']);
    assert.deepEqual(kinds(facts(logs, [ONE, TWO])), ['already-archived@1', 'refused/encrypted', 'gap@1']);
  });

  it('puts no log behind one that is archived already: a late one is refused', () => {
    const of = facts([listed(TWO), listed(THREE)], [ONE, THREE], { acceptedGaps: `${U}:11-20` });
    assert.deepEqual(kinds(of), ['refused/late', 'already-archived@1']);
  });

  it('takes no log for a late one because the clock was set back before a reset', () => {
    const before = '2026-11-20T09:00:00.000000Z';
    const reset = [segment(1, 1, 5, { createdAt: before }), segment(2, 6, 9, { createdAt: before })];
    const logs = reset.map((it) => listed(it));
    assert.deepEqual(kinds(facts(logs, [ONE, TWO, THREE])), ['start-timeline/reset@2', 'archive@2']);
    assert.deepEqual(kinds(facts(logs.slice(1), [ONE, THREE], { acceptedGaps: `${U}:11-20` })), [
      'start-timeline/diverged@2',
    ]);
    assert.equal(
      judgeSegment({ ...LINE, segments: [ONE, TWO, THREE] }, segment(1, 1, 5, { createdAt: before })).kind,
      'starts-timeline',
    );
  });
});

const LINE: LineState = {
  serverUuid: U,
  timeline: 1,
  heirship: null,
  segments: [ONE, TWO],
  acceptedGaps: '',
};

describe('judgeSegment', () => {
  it('lets a segment continue exactly behind the last one', () => {
    assert.deepEqual(judgeSegment(LINE, THREE), { kind: 'continues', timeline: 1 });
    assert.deepEqual(judgeSegment(LINE, segment(3, 21, 20)), { kind: 'continues', timeline: 1 });
    assert.equal(archivedThrough(LINE).toString(), to(20));
    assert.ok(archivedThrough({ ...LINE, segments: [] }).isEmpty);
  });

  it('starts the first timeline', () => {
    assert.equal(judgeSegment(null, TWO).kind, 'starts-timeline');
  });

  it('goes on with a timeline that a crash left empty, and starts no second one', () => {
    assert.deepEqual(judgeSegment({ ...LINE, timeline: 2, segments: [] }, THREE), {
      kind: 'continues',
      timeline: 2,
    });
    const timelines = [1, 2].map((timeline) => ({ timeline, serverUuid: U }));
    assert.deepEqual(kinds(facts([listed(THREE), listed(FOUR)], [ONE], { timelines })), [
      'archive@2',
      'archive@2',
    ]);
  });

  it('finds the exact gap, and goes on where it was accepted', () => {
    const judged = judgeSegment(LINE, FOUR);
    assert.ok(judged.kind === 'gap' && judged.missingGtids === `${U}:21-30`);
    assert.equal(judgeSegment({ ...LINE, acceptedGaps: `${U}:21-30` }, FOUR).kind, 'continues');
  });

  it('finds divergence', () => {
    const judged = judgeSegment(LINE, segment(3, 15, 25));
    assert.ok(judged.kind === 'starts-timeline' && judged.reason === 'diverged' && judged.after === 1);
    const reset = judgeSegment(LINE, segment(1, 1, 5, { createdAt: '2026-12-01T00:00:00.000000Z' }));
    assert.ok(reset.kind === 'starts-timeline' && reset.reason === 'reset');
  });

  it('accepts the same log again, and never other bytes in its place', () => {
    assert.deepEqual(judgeSegment(LINE, TWO), { kind: 'already-archived', timeline: 1 });
    assert.equal(judgeSegment(LINE, { ...TWO, sha256: ONE.sha256 }).kind, 'other-content');
  });

  it('names anonymous transactions, with the place where the hole is to be shown', () => {
    const judged = judgeSegment(LINE, segment(3, 21, 30, { transactions: 13, anonymousTransactions: 3 }));
    assert.ok(judged.kind === 'anonymous' && judged.count === 3 && judged.place.kind === 'continues');
  });

  it('refuses facts that no server writes', () => {
    assert.equal(judgeSegment(LINE, segment(3, 21, 30, { previousGtids: to(22) })).kind, 'contradiction');
    assert.equal(judgeSegment(LINE, segment(3, 21, 30, { transactions: 11 })).kind, 'contradiction');
  });
});

describe('judgeClosed', () => {
  const closed: ClosedFacts = {
    position: 'followed',
    listedSize: 100,
    actualLength: 100,
    endsIn: 'rotate',
    ownPrevious: to(10),
    ownGtids: `${U}:11-20`,
    successorPrevious: null,
  };

  it('believes ROTATE and STOP in a log of the listed size', () => {
    assert.deepEqual(judgeClosed(closed), { kind: 'closed', closedBy: 'rotate' });
    assert.deepEqual(judgeClosed({ ...closed, endsIn: 'stop' }), { kind: 'closed', closedBy: 'stop' });
  });

  it('proves a log of a killed server by its successor', () => {
    const killed: ClosedFacts = { ...closed, endsIn: 'neither' };
    assert.deepEqual(judgeClosed({ ...killed, successorPrevious: to(20) }), {
      kind: 'closed',
      closedBy: 'recovery',
    });
    const reasons = [
      judgeClosed(killed),
      judgeClosed({ ...killed, successorPrevious: to(21) }),
      judgeClosed({ ...killed, successorPrevious: to(19) }),
    ].map((judged) => (judged.kind === 'not-closed' ? judged.reason : judged.kind));
    assert.deepEqual(reasons, ['successor-unread', 'cut', 'cut']);
  });

  it('refuses the open log, and one whose size is not the listed one', () => {
    const reasons = [
      judgeClosed({ ...closed, position: 'last' }),
      judgeClosed({ ...closed, actualLength: 99 }),
      judgeClosed({ ...closed, actualLength: 101 }),
    ].map((judged) => (judged.kind === 'not-closed' ? judged.reason : judged.kind));
    assert.deepEqual(reasons, ['open', 'shorter-than-listed', 'longer-than-listed']);
  });
});
