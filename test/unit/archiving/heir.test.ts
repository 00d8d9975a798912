import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRound } from '../../../src/archiving/decide-round.ts';
import { newestLine } from '../../../src/archiving/line.ts';
import type { SourceLog } from '../../../src/archiving/source-logs.ts';
import type { CatalogState } from '../../../src/catalog/fold.ts';
import { placeLog } from '../../../src/domain/archive-line.ts';
import type { CatalogBody, Continuity } from '../../../src/domain/catalog-entry.ts';
import {
  parseBinlogName,
  parseServerUuid,
  parseSha256,
  type ServerUuid,
} from '../../../src/domain/identity.ts';
import {
  catalogOf,
  history,
  EARLIER as PRIMARY,
  SERVER as REPLICA,
  serverView,
  sourceLog,
} from './archive-samples.ts';

/** Transactions of the primary from 1 to a number. */
function upTo(number: number): string {
  return number === 0 ? '' : number === 1 ? `${PRIMARY}:1` : `${PRIMARY}:1-${number}`;
}

/** Logs of a server by how many of the primary's transactions were executed before each; the last is open. */
function logs(...executed: readonly number[]): SourceLog[] {
  return executed.map((number, index) => ({
    name: `relayed.${String(index + 1).padStart(6, '0')}`,
    sizeBytes: 500 + index,
    encrypted: false,
    problem: null,
    peek: {
      createdAt: `2026-11-20T11:00:${String(index).padStart(2, '0')}.000000Z`,
      previousGtids: upTo(number),
      firstCommit: null,
      headBytes: 157,
    },
  }));
}

function handoff(from: ServerUuid, to: ServerUuid, continuity: Continuity): CatalogBody {
  const names = new Map([
    [PRIMARY, 'shop-1'],
    [REPLICA, 'shop-2'],
  ]);
  const ref = (serverUuid: ServerUuid) => ({ source: names.get(serverUuid) ?? '', serverUuid });
  const route = { kind: 'source', from: ref(from), to: ref(to), continuity } as const;
  return { kind: 'handoff', route, reason: 'operator', detail: '' };
}

function goesOn(baselineGtids = ''): Continuity {
  return { kind: 'continues', timeline: 1, baselineGtids };
}

/** The primary's first twenty transactions are archived in two logs; then the replica is named. */
function handedOver(baselineGtids = '', more: readonly CatalogBody[] = []): CatalogState {
  return catalogOf(history([10, 10], PRIMARY), [handoff(PRIMARY, REPLICA, goesOn(baselineGtids)), ...more]);
}

function round(state: CatalogState, listed: readonly SourceLog[], redundancy = 1, serverUuid = REPLICA) {
  const view = serverView({ serverUuid, listed, redundancy, stores: [{ id: 'a', state }] });
  const { archive, problems, backlog } = decideRound([view]);
  return { archive: archive.map(({ log }) => Number(log.binlog.slice(-6))), problems, logs: backlog.logs };
}

test('an heir goes on with the timeline, and brings no log whose transactions are all archived', () => {
  const aligned = logs(0, 8, 8, 20, 26, 30);
  assert.deepEqual(round(handedOver(), aligned), { archive: [4, 5], problems: [], logs: 2 });
  assert.equal(newestLine(handedOver(), REPLICA)?.timeline, 1);
});

test('a log that is archived in part is archived whole', () => {
  assert.deepEqual(round(handedOver(), logs(0, 8, 15, 25, 30)).archive, [3, 4]);
});

test('with redundancy 2 an heir brings what only one other server has brought', () => {
  assert.deepEqual(round(handedOver(), logs(0, 8, 15, 25, 30), 2).archive, [1, 2, 3, 4]);
});

test('a log whose end is not known is not passed over', () => {
  const [first, second, ...rest] = logs(0, 8, 15, 25, 30);
  assert.ok(first && second);
  const unread = [first, { ...second, peek: null }, ...rest];
  assert.ok(!round(handedOver(), unread).archive.includes(3));
  assert.ok(round(handedOver(), unread).logs >= 3, 'the first, the unread one and those behind it');
});

test('what an heir can not bring any more, and nobody archived, is a gap with its transactions', () => {
  const [problem, ...more] = round(handedOver(), logs(25, 30)).problems;
  assert.equal(problem?.code, 'ArchiveGap');
  assert.match(problem?.message ?? '', new RegExp(`5 transactions .*${PRIMARY}:21-25`));
  assert.deepEqual(more, []);
});

test('what an heir has executed and no log of it holds is asked of the archive', () => {
  const head = { binlog: parseBinlogName('relayed.000001'), createdAt: '2026-11-20T11:00:00.000000Z' };
  const place = (baseline: string) =>
    placeLog(newestLine(handedOver(baseline), REPLICA), { ...head, previousGtids: '' });
  assert.deepEqual(place(upTo(20)), { kind: 'continues', timeline: 1 });
  const gap = place(upTo(23));
  assert.ok(gap.kind === 'gap' && gap.missingGtids === `${PRIMARY}:21-23`);
});

test('without a handoff, or with one to another history, a second source has a timeline of its own', () => {
  const strangers = [
    catalogOf(history([10, 10], PRIMARY)),
    catalogOf(history([10, 10], PRIMARY), [
      handoff(PRIMARY, REPLICA, { kind: 'resync', lostGtids: '', gapGtids: '' }),
    ]),
  ];
  for (const state of strangers) {
    assert.equal(newestLine(state, REPLICA), null);
    assert.deepEqual(round(state, logs(0, 8, 20)).archive, [1, 2], 'nothing is taken for known');
  }
});

test('a source to which the archive comes back passes over what its heir brought, and misses nothing', () => {
  const object = catalogOf(history([1])).allSegments()[0]?.object ?? assert.fail();
  const [last] = catalogOf(history([10, 10], PRIMARY))
    .allSegments()
    .slice(-1);
  assert.ok(last);
  const brought: CatalogBody = {
    kind: 'segment-archived',
    timeline: 1,
    object,
    segment: {
      ...last.segment,
      serverUuid: REPLICA,
      binlog: parseBinlogName('relayed.000007'),
      previousGtids: upTo(20),
      gtids: `${PRIMARY}:21-25`,
      sha256: parseSha256('ef'.repeat(32)),
    },
  };
  const state = handedOver('', [brought, handoff(REPLICA, PRIMARY, goesOn())]);
  const own = logs(20, 22, 25, 30).map((log, index) => ({ ...log, name: `binlog.00000${index + 3}` }));
  assert.deepEqual(round(state, own, 1, PRIMARY), { archive: [5], problems: [], logs: 1 });
  const line = newestLine(state, PRIMARY);
  assert.deepEqual(
    line?.segments.map(({ binlog }) => binlog),
    ['binlog.000001', 'binlog.000002'],
    'its own logs only: continuity is a matter of one server',
  );
});

test('an older history of an heir, found staged, does not become the newest timeline', () => {
  const before = parseServerUuid('2e11fa47-71ca-11e1-9e33-c80aa9429562');
  const stores = [{ id: 'a', state: handedOver() }];
  const staged = history([2], before).map((log) => sourceLog(log));
  const was = serverView({ serverUuid: before, stores, staged });
  const { archive, problems } = decideRound([was, serverView({ stores, listed: logs(20, 26, 30) })]);
  assert.deepEqual(
    archive.map(({ log }) => log.serverUuid),
    [REPLICA, REPLICA],
  );
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['HistoryOvertaken'],
  );
});
