import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRound } from '../../../src/archiving/decide-round.ts';
import { fullerThan, wouldFill } from '../../../src/archiving/fills.ts';
import type { ServerView } from '../../../src/archiving/server-view.ts';
import { splitStores } from '../../../src/archiving/store-needs.ts';
import type { CatalogBody } from '../../../src/domain/catalog-entry.ts';
import {
  archivedBody,
  catalogFrom,
  catalogOf,
  EARLIER,
  firstBodies,
  history,
  nameOf,
  type SampleLog,
  SERVER,
  serverView,
  sourceLog,
} from './archive-samples.ts';

const LOGS = history([2, 2, 2, 2, 2, 2]);

function sources(logs: readonly SampleLog[]) {
  return logs.map((log) => sourceLog(log));
}

function store(id: string, archived: number) {
  return { id, state: catalogOf(LOGS.slice(0, archived)) };
}

/** What goes where, `log:store,store` by the number of the log. */
function routes(view: Partial<ServerView>, maxBytes?: number): string[] {
  const { archive } = decideRound([serverView(view)], maxBytes);
  return archive.map(({ log, stores }) => `${Number(log.binlog.slice(-6))}:${stores.join()}`);
}

function fillers(view: Partial<ServerView>, maxBytes?: number) {
  const { stores } = decideRound([serverView(view)], maxBytes);
  return Object.fromEntries(stores.map(({ store: id, fillFrom, backlog }) => [id, [fillFrom, backlog.logs]]));
}

const open = history([2, 2, 2, 2, 2, 2, 2]).slice(-1);

test('a follower gets from the staging folder what it lacks, and a log goes when all stores have it', () => {
  const view = {
    stores: [store('a', 4)],
    followers: [store('b', 2)],
    staged: sources(LOGS.slice(1)),
    listed: sources(open),
  };
  assert.deepEqual(routes(view), ['3:b', '4:b', '5:a,b', '6:a,b']);
  const { release, backlog, pending } = decideRound([serverView(view)]);
  assert.deepEqual(
    release.map(({ binlog }) => binlog),
    [nameOf(LOGS[1] as SampleLog)],
  );
  assert.deepEqual([backlog.logs, pending.size], [2, 2], 'nobody waits for the follower');
  assert.deepEqual(fillers(view), { a: [null, 2], b: [null, 4] });
});

test('what lies staged no more comes from another store, and nothing goes past it', () => {
  const view = {
    stores: [store('a', 5)],
    followers: [store('b', 2)],
    staged: sources(LOGS.slice(4)),
    listed: sources(open),
  };
  assert.deepEqual(routes(view), ['6:a']);
  assert.deepEqual(fillers(view), { a: [null, 1], b: ['a', 2] });
});

test('a store of which nothing is known keeps everything staged, and takes nothing', () => {
  const view = { stores: [store('a', 6)], unknown: ['b'], staged: sources(LOGS), listed: sources(open) };
  const { release, archive } = decideRound([serverView(view)]);
  assert.deepEqual([release, archive], [[], []]);
  const counting = decideRound([serverView({ ...view, required: ['a', 'b'] })]);
  assert.equal(counting.backlog.logs, 6, 'where it counts, all of it waits');
});

test('a full staging folder gives up what one store holds, and leaves new logs on the server', () => {
  const size = 1002 * 2;
  const held = {
    stores: [store('a', 3)],
    unknown: ['b'],
    staged: sources(LOGS.slice(0, 3)),
    listed: sources([...LOGS.slice(3), ...open]),
  };
  const round = decideRound([serverView(held)], 3 * size);
  assert.deepEqual(
    [round.release.length, round.stage.length],
    [3, 3],
    'each log that is held makes room for one that is not',
  );
  const full = decideRound([serverView({ ...held, stores: [store('a', 0)] })], 4 * size);
  assert.deepEqual([full.release, full.stage.length], [[], 1]);
  assert.deepEqual(routes({ ...held, stores: [store('a', 0)] }, 4 * size), ['1:a', '2:a', '3:a', '4:a']);
});

test('a store that is far behind does not fill the list of the others', () => {
  const many = history(Array.from({ length: 301 }, () => 2));
  const archived = many.slice(0, 290);
  const view = serverView({
    stores: [{ id: 'a', state: catalogOf(archived) }],
    followers: [{ id: 'b', state: catalogOf([]) }],
    staged: sources(many.slice(0, 300)),
    listed: sources(many.slice(300)),
  });
  const { archive } = decideRound([view]);
  assert.equal(archive.filter(({ stores }) => stores.includes('a')).length, 10);
  assert.equal(archive.filter(({ stores }) => stores.includes('b')).length, 60);
});

test('stores that are behind decide nothing, unless no other is there', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => store(id, 1)) as [
    ReturnType<typeof store>,
    ReturnType<typeof store>,
    ReturnType<typeof store>,
  ];
  const policyOf = (id: string) => (id === 'c' ? ('catch-up' as const) : ('required' as const));
  const ids = (behind: string[], known = [a, b, c]) =>
    splitStores(known, policyOf, ({ id }) => behind.includes(id)).stores.map(({ id }) => id);
  assert.deepEqual(ids([]), ['a', 'b']);
  assert.deepEqual(ids(['a']), ['b']);
  assert.deepEqual(ids(['a', 'b']), ['c']);
  assert.deepEqual(ids(['a', 'b', 'c']), ['a', 'b']);
  assert.deepEqual(ids([], [c]), ['c']);
});

test('while a store that counts is not known the others go on behind what they have, begin nothing and name no gap', () => {
  const half = { unknown: ['b'], required: ['a', 'b'] };
  const lying = { staged: sources(LOGS), listed: sources(open) };
  assert.deepEqual(routes({ ...half, ...lying, stores: [store('a', 3)] }), ['4:a', '5:a', '6:a']);
  assert.deepEqual(routes({ ...half, ...lying, stores: [store('a', 0)] }), [], 'no timeline begins');
  assert.deepEqual(routes({ ...half, ...lying, stores: [store('a', 0)], required: ['a'] }).length, 6);
  // The log before is gone from here: the other store may hold more than GTIDs can tell.
  const behind = { stores: [store('a', 3)], staged: sources(LOGS.slice(3)), listed: sources(open) };
  assert.deepEqual(routes({ ...half, ...behind }), []);
  assert.deepEqual(routes({ ...behind, required: ['a'] }), ['4:a', '5:a', '6:a']);
  const gap = { stores: [store('a', 2)], staged: sources(LOGS.slice(3)), listed: sources(open) };
  const problems = (view: Partial<ServerView>) => decideRound([serverView(view)]).problems;
  assert.deepEqual(problems({ ...half, ...gap }), []);
  assert.deepEqual(
    problems(gap).map(({ code }) => code),
    ['ArchiveGap'],
  );
});

/** The server has purged all but its newest closed log, which both stores lack. */
const purged = { listed: sources([...LOGS.slice(5), ...open]), serverUuid: SERVER, staged: [] };
const [L1, L2, L3, L4, L5] = LOGS.map((log) => archivedBody(log)) as [
  CatalogBody,
  CatalogBody,
  CatalogBody,
  CatalogBody,
  CatalogBody,
];

/** What a round does for two stores that count, of which the first has what the second never gets. */
function afterPurge(whole: readonly CatalogBody[], lacking: readonly CatalogBody[]) {
  const [a, b] = [
    { id: 'a', state: catalogFrom([...firstBodies(), ...whole]) },
    { id: 'b', state: catalogFrom([...firstBodies(), ...lacking]) },
  ];
  assert.equal(fullerThan(b, [a, b], [purged]), undefined, 'it decides like the others');
  assert.equal(wouldFill(a, b), false);
  // Staged as a round does it before anything goes to a store.
  const view = { stores: [a, b], staged: sources(LOGS.slice(5)), listed: sources(open) };
  const { stores, problems, backlog } = decideRound([serverView(view)]);
  assert.deepEqual([problems, backlog.logs], [[], 1]);
  assert.deepEqual(routes(view), ['6:a,b'], 'what is new goes to both');
  assert.deepEqual(
    stores.map(({ fillFrom }) => fillFrom),
    [null, null],
  );
  return stores.map(({ outOfReach }) => outOfReach);
}

test('a store that accepted a gap which another one has not is told of, and gets what is new', () => {
  const missingGtids = `${SERVER}:7-8`;
  const gap = { kind: 'gap-accepted', serverUuid: SERVER, timeline: 1, missingGtids, detail: '' } as const;
  const [a, b] = afterPurge([L1, L2, L3, L4, L5], [L1, L2, L3, gap, L5]);
  assert.equal(a, null);
  assert.match(b?.name ?? '', /^binlog.000004 of /);
  assert.deepEqual([b?.heldBy, b?.logs, b?.transactions, b?.reason], ['a', 1, 2, 'too-late']);
});

test('a store that has the transactions of a purged log from another server lacks nothing, and gets what is new', () => {
  const handoff = (from: string, to: string, serverUuid: typeof SERVER): CatalogBody => ({
    kind: 'handoff',
    route: {
      kind: 'source',
      from: { source: from, serverUuid: serverUuid === SERVER ? EARLIER : SERVER },
      to: { source: to, serverUuid },
      continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
    },
    reason: 'operator',
    detail: '',
  });
  const [away, back] = [handoff('x', 'y', EARLIER), handoff('y', 'x', SERVER)];
  assert.ok(L4.kind === 'segment-archived');
  const heirs = {
    ...L4,
    segment: { ...L4.segment, serverUuid: EARLIER, createdAt: '2026-11-20T11:00:00.000000Z' },
  };
  const reach = afterPurge([L1, L2, L3, L4, away, back, L5], [L1, L2, L3, away, heirs, back, L5]);
  assert.deepEqual(reach, [null, null]);
});

test('what can be copied still comes first, and a handoff before all else', () => {
  const [a, b] = [
    { id: 'a', state: catalogFrom([...firstBodies(), L1, L2, L3, L4, L5]) },
    { id: 'b', state: catalogFrom([...firstBodies(), L1, L2, L3]) },
  ];
  assert.equal(fullerThan(b, [a, b], [purged])?.id, 'a');
  const route = { kind: 'store', from: 'c', to: 'a' } as const;
  const switched: CatalogBody = { kind: 'handoff', route, reason: 'circuit-open', detail: '' };
  const newer = { id: 'a', state: catalogFrom([...firstBodies(), L1, L2, L3, switched]) };
  assert.equal(fullerThan(b, [newer, b], [purged])?.id, 'a');
});
