import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closedRefs, decideRound } from '../../../src/archiving/decide-round.ts';
import type { ServerView } from '../../../src/archiving/server-view.ts';
import type { SourceLog } from '../../../src/archiving/source-logs.ts';
import {
  catalogOf,
  EARLIER,
  history,
  letterRef,
  nameOf,
  type SampleLog,
  SERVER,
  serverView,
  sourceLog,
  timeOf,
} from './archive-samples.ts';

function emptyLogs(count: number, more: Partial<SourceLog>): SourceLog[] {
  return history(Array.from({ length: count }, () => 0)).map((log) => ({ ...sourceLog(log), ...more }));
}

function sources(logs: readonly (SampleLog | undefined)[]): SourceLog[] {
  return logs.flatMap((log) => (log === undefined ? [] : [sourceLog(log)]));
}

/** What is archived in this round, in its order: `server/name`. */
function archivedBy(...servers: readonly ServerView[]): string[] {
  return decideRound(servers).archive.map(
    ({ log }) => `${log.serverUuid === SERVER ? 'now' : 'was'}/${log.binlog}`,
  );
}

function codes(...servers: readonly ServerView[]): string[] {
  return decideRound(servers).problems.map(({ code, binlog }) => `${code} ${binlog}`);
}

/** A payload of more than 2 MB is refused by Temporal. */
const MAX_BYTES = 500_000;

test('what a round decides stays small, however many logs there are', () => {
  const listed = emptyLogs(10_000, { encrypted: true, peek: null });
  const encrypted = decideRound([serverView({ listed })]);
  assert.ok(encrypted.problems.length > 0 && JSON.stringify(encrypted).length < MAX_BYTES);
  assert.equal(encrypted.problems[0]?.binlog, 'binlog.000001');
  assert.equal(encrypted.backlog.logs, 9_999);
  const staged = history(Array.from({ length: 4_000 }, () => 0));
  const givenUp = staged.map((log) => letterRef(log));
  const releasing = decideRound([serverView({ staged: sources(staged), givenUp })]);
  assert.ok(releasing.release.length > 0 && JSON.stringify(releasing).length < MAX_BYTES);
});

test('where no catalog is known, every closed log that is not staged is to be staged', () => {
  const listed = emptyLogs(3, {});
  const refs = closedRefs(serverView({ listed, staged: listed.slice(0, 1), stores: [] }));
  assert.deepEqual(
    refs.map(({ binlog }) => binlog),
    ['binlog.000002'],
  );
});

test('a dead letter sets aside its own log, and no other that has its name after a reset', () => {
  const [letter] = history([2]);
  const [again, open] = history([3, 1]).map((log) => ({ ...log, createdAt: timeOf(log.index + 30) }));
  assert.ok(letter);
  const view = serverView({
    staged: sources([letter]),
    listed: sources([again, open]),
    setAside: [letterRef(letter)],
    stores: [{ id: 'a', state: catalogOf([]) }],
  });
  assert.deepEqual(archivedBy(view), ['now/binlog.000001']);
});

test('a log that one store passed over for good goes to the others that lack it, and stays staged till then', () => {
  const [one, two, three, open] = history([2, 2, 2, 2]);
  assert.ok(one && two && three);
  const gap = {
    kind: 'gap-accepted',
    timeline: 1,
    serverUuid: SERVER,
    missingGtids: `${SERVER}:3-4`,
    detail: '',
  } as const;
  const stores = [
    { id: 'a', state: catalogOf([one]) },
    { id: 'b', state: catalogOf([one, three], [gap]) },
  ];
  const round = decideRound([serverView({ stores, staged: sources([two, three]), listed: sources([open]) })]);
  assert.deepEqual(
    round.archive.map(({ log, stores }) => [log.binlog, stores]),
    [
      ['binlog.000002', ['a']],
      ['binlog.000003', ['a']],
    ],
  );
  assert.deepEqual(round.release, []);
});

test('staged logs keep the order of their history where the clock was set back', () => {
  const [one, two, three, four, open] = history([2, 2, 2, 2, 2]);
  assert.ok(one && two && three && four);
  const early = { ...three, createdAt: timeOf(0) };
  const stores = [{ id: 'a', state: catalogOf([one]) }];
  const view = serverView({ stores, staged: sources([early, two, four]), listed: sources([open]) });
  assert.deepEqual(archivedBy(view), ['now/binlog.000002', 'now/binlog.000003', 'now/binlog.000004']);
  assert.deepEqual(codes(view), []);
});

test('staged logs from before and after a reset keep the order of their time', () => {
  const [one, two, three] = history([2, 2, 2]);
  const [again] = history([2]).map((log) => ({ ...log, createdAt: timeOf(30) }));
  assert.ok(one && two && three && again);
  const stores = [{ id: 'a', state: catalogOf([one]) }];
  const view = serverView({ stores, staged: sources([two, three, again]) });
  const round = decideRound([view]);
  assert.deepEqual(
    round.archive.map(({ log }) => log.createdAt),
    [two, three, again].map(({ createdAt }) => createdAt),
  );
});

test('what lies staged of the server that a source was before is archived first, then the present one', () => {
  const before = history([2, 2], EARLIER);
  const now = history([3, 3]);
  const stores = [{ id: 'a', state: catalogOf(before.slice(0, 1)) }];
  const was = serverView({ serverUuid: EARLIER, stores, staged: sources(before.slice(1)) });
  const present = serverView({ stores, listed: sources(now) });
  assert.deepEqual(archivedBy(was, present), ['was/binlog.000002', 'now/binlog.000001']);
  assert.equal(decideRound([was, present]).backlog.logs, 2);
  const damaged = { ...was, setAside: before.slice(1).map((log) => letterRef(log)) };
  assert.deepEqual(archivedBy(damaged, present), ['now/binlog.000001'], 'its dead letters hold nobody up');
});

test('the present server begins no timeline before the history of the earlier one has begun its own', () => {
  const before = history([2], EARLIER);
  const now = history([3, 3]);
  const was = serverView({ serverUuid: EARLIER, staged: sources(before) });
  const present = serverView({ listed: sources(now) });
  assert.deepEqual(archivedBy(was, present), ['was/binlog.000001']);
  const round = decideRound([was, present]);
  assert.deepEqual(
    round.stage.map(({ binlog }) => binlog),
    ['binlog.000001'],
    'what waits is staged',
  );
});

test('an earlier history that comes after the present one has begun is reported, and not made the newest timeline', () => {
  const before = history([2], EARLIER);
  const now = history([3, 3, 3]);
  const stores = [{ id: 'a', state: catalogOf(now.slice(0, 1)) }];
  const was = serverView({ serverUuid: EARLIER, stores, staged: sources(before) });
  const present = serverView({ stores, listed: sources(now) });
  assert.deepEqual(archivedBy(was, present), ['now/binlog.000002']);
  assert.deepEqual(codes(was, present), [`HistoryOvertaken ${nameOf(before[0] as SampleLog)}`]);
  assert.deepEqual(decideRound([was, present]).release, [], 'it stays staged until someone decides');
});
