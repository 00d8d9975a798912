/** Promise: catalogs that contradict each other are never mixed: what is wrong is named, and where. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../../src/domain/errors.ts';
import { parseBinlogName, parseServerUuid, parseSha256 } from '../../../src/domain/identity.ts';
import type { SegmentFacts } from '../../../src/domain/segment.ts';
import { explainConflict, storesDisagree } from '../../../src/domain/union/conflict.ts';
import type { StoreCatalog } from '../../../src/domain/union/store-catalog.ts';
import { type CatalogUnion, conflictOn, UnionBuilder } from '../../../src/domain/union/union-builder.ts';
import { second } from './history.ts';

const P = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
const R = parseServerUuid('4e11fa47-71ca-11e1-9e33-c80aa9429562');

interface Log {
  readonly number: number;
  readonly previous: string;
  readonly gtids: string;
  readonly server?: typeof P;
  readonly timeline?: number;
  readonly content?: string;
  readonly createdAt?: number;
  readonly anonymous?: number;
}

function segmentOf(log: Log): SegmentFacts {
  const {
    number,
    previous,
    gtids,
    server = P,
    content = `${number}`,
    createdAt = number,
    anonymous = 0,
  } = log;
  return {
    serverUuid: server,
    binlog: parseBinlogName(`binlog.${String(number).padStart(6, '0')}`),
    serverVersion: '9.7.4',
    createdAt: second(createdAt),
    previousGtids: previous,
    gtids,
    transactions: 10,
    anonymousTransactions: anonymous,
    firstCommit: second(number),
    lastCommit: second(number),
    maxCommit: second(number),
    clockInversions: 0,
    lengthBytes: 1000,
    sha256: parseSha256(content.padStart(64, '0')),
    closedBy: 'rotate',
    eventDdl: 0,
    xaPrepares: 0,
    temporaryTables: 0,
  };
}

const ROUTE = {
  kind: 'source',
  from: { source: 'p', serverUuid: P },
  to: { source: 'r', serverUuid: R },
  continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
} as const;

type Handoff = StoreCatalog['handoffs'][number]['route'];

/** A catalog with one timeline of P (and what else is said), its logs, and perhaps a handoff behind the first `at` of them. */
function catalog(
  store: string,
  logs: readonly Log[],
  more: {
    readonly timelines?: StoreCatalog['timelines'];
    readonly handoff?: { at: number; route: Handoff };
  } & Partial<Pick<StoreCatalog, 'repositoryId'>> = {},
): StoreCatalog {
  const { handoff, timelines = [{ timeline: 1, serverUuid: P }], repositoryId = 'r' } = more;
  const segments = logs.map((log, index) => ({
    sequence: 10 + index + (handoff !== undefined && index >= handoff.at ? 1 : 0),
    timeline: log.timeline ?? 1,
    segment: segmentOf(log),
    object: {
      key: `${log.server ?? P}/${log.number}`,
      lengthBytes: 100,
      sha256: parseSha256('a'.repeat(64)),
      crc32: '00000000',
      compression: 'zstd' as const,
      encryption: 'none' as const,
    },
  }));
  const handoffs =
    handoff === undefined ? [] : [{ sequence: 10 + handoff.at, epoch: 2, route: handoff.route }];
  return { store, repositoryId, cluster: 'shop', sequence: 99, timelines, segments, backups: [], handoffs };
}

function unionOf(...catalogs: readonly StoreCatalog[]): CatalogUnion {
  const builder = new UnionBuilder();
  for (const it of catalogs) builder.add(it);
  return builder.build();
}

const FIRST: Log = { number: 1, previous: '', gtids: `${P}:1-10` };
const SECOND: Log = { number: 2, previous: `${P}:1-10`, gtids: `${P}:11-20` };
const THIRD: Log = { number: 3, previous: `${P}:1-20`, gtids: `${P}:21-30` };

function conflictOf(union: CatalogUnion, timeline: number | null = null): string | undefined {
  return conflictOn(union, timeline)?.kind;
}

test('halves of one history are no conflict', () => {
  const union = unionOf(catalog('a', [FIRST, THIRD]), catalog('b', [FIRST, SECOND]));
  assert.equal(conflictOf(union), undefined);
  assert.deepEqual(
    union.facts.segments.map(({ segment, stores }) => [segment.binlog, stores.join()]),
    [
      ['binlog.000001', 'a,b'],
      ['binlog.000002', 'b'],
      ['binlog.000003', 'a'],
    ],
  );
});

test('one log with two contents is refused, with its name and the stores', () => {
  const union = unionOf(catalog('a', [FIRST, SECOND]), catalog('b', [FIRST, { ...SECOND, content: 'f' }]));
  const conflict = conflictOn(union, null);
  assert.ok(conflict !== null && conflict.kind === 'differs');
  assert.deepEqual(conflict.fields, ['sha256']);
  const error = storesDisagree(conflict);
  assert.ok(error instanceof AppError);
  assert.deepEqual([error.code, error.kind], ['StoresDisagree', 'conflict']);
  assert.match(error.message, new RegExp(`a and b say different things of ${P}/binlog.000002`));
});

test('the same GTIDs in two logs of one server are divergence, and so is a history that goes back', () => {
  const again: Log = { number: 3, previous: `${P}:1-10`, gtids: `${P}:11-15`, createdAt: 9 };
  const twice = unionOf(catalog('a', [FIRST, SECOND]), catalog('b', [FIRST, again]));
  const conflict = conflictOn(twice, null);
  assert.ok(conflict !== null && conflict.kind === 'divergent');
  assert.match(explainConflict(conflict), /binlog\.000002 and .*binlog\.000003 .*:11-/);
  // The first life of a server in one store, its second in another: numbers fit, times do not.
  const late: Log = { number: 2, previous: `${P}:1-10`, gtids: `${P}:11-20`, createdAt: 1 };
  const early: Log = { number: 1, previous: '', gtids: `${P}:1-10`, createdAt: 50 };
  assert.equal(conflictOf(unionOf(catalog('a', [late]), catalog('b', [early]))), 'divergent');
});

test('another order of the same logs is refused', () => {
  const other: Log = { number: 1, previous: `${P}:1-10`, gtids: `${P}:11-20`, server: R };
  const union = unionOf(catalog('a', [FIRST, other]), catalog('b', [other, FIRST]));
  assert.equal(conflictOf(union), 'other-order');
});

test('two boundaries of one epoch to different heirs are refused; the same one in both is not', () => {
  const toR = { at: 1, route: ROUTE };
  const back = { ...ROUTE, to: { source: 'p', serverUuid: P } };
  assert.equal(
    conflictOf(unionOf(catalog('a', [FIRST], { handoff: toR }), catalog('b', [FIRST], { handoff: toR }))),
    undefined,
  );
  const union = unionOf(
    catalog('a', [FIRST], { handoff: toR }),
    catalog('b', [FIRST], { handoff: { at: 1, route: back } }),
  );
  assert.equal(conflictOf(union), 'handoffs-differ');
});

test('what an old writer wrote where the handoff had not come is left out by name, unless its heir has all of it', () => {
  const heir: Log = { number: 1, previous: `${P}:1-10`, gtids: `${R}:1-5`, server: R };
  const handoff = { at: 1, route: ROUTE };
  const union = unionOf(catalog('a', [FIRST, SECOND]), catalog('b', [FIRST, heir], { handoff }));
  assert.equal(conflictOf(union), undefined);
  assert.deepEqual(
    union.fenced.map(({ name, stores, gtids }) => [name, stores, gtids]),
    [[`${P}/binlog.000002`, ['a'], `${P}:11-20`]],
  );
  assert.equal(union.facts.segments.length, 2);
  const nameless = unionOf(
    catalog('a', [FIRST, { ...SECOND, anonymous: 1 }]),
    catalog('b', [FIRST, heir], { handoff }),
  );
  assert.equal(conflictOf(nameless), 'anonymous-behind-handoff');
  const knowing: Log = { ...heir, previous: `${P}:1-20` };
  const whole = unionOf(catalog('a', [FIRST, SECOND]), catalog('b', [FIRST, knowing], { handoff }));
  assert.deepEqual(whole.fenced, []);
  assert.deepEqual(
    whole.facts.segments.map(({ segment }) => `${segment.serverUuid}/${segment.gtids}`),
    [`${P}/${P}:1-10`, `${P}/${P}:11-20`, `${R}/${R}:1-5`],
  );
});

test('a timeline is the same by its logs, however each store counts; a number that means two is refused', () => {
  const reset: Log = { number: 1, previous: '', gtids: `${P}:1-7`, timeline: 2, createdAt: 80, content: 'e' };
  const both = [
    { timeline: 1, serverUuid: P },
    { timeline: 2, serverUuid: P },
  ];
  const a = catalog('a', [FIRST, reset], { timelines: both });
  const b = catalog('b', [{ ...reset, timeline: 1 }]);
  const union = unionOf(a, b);
  assert.deepEqual([conflictOf(union), conflictOf(union, 2)], [undefined, undefined]);
  assert.deepEqual(
    union.facts.segments.map(({ timeline, stores }) => [timeline, stores.join()]),
    [
      [1, 'a'],
      [2, 'a,b'],
    ],
  );
  assert.equal(conflictOf(union, 1), 'timeline-unclear');
});

test('a store that was added in a later life of a server is no conflict, also where it comes first', () => {
  const reset: Log = { number: 1, previous: '', gtids: `${P}:1-7`, timeline: 2, createdAt: 80, content: 'e' };
  const both = [
    { timeline: 1, serverUuid: P },
    { timeline: 2, serverUuid: P },
  ];
  const union = unionOf(
    catalog('late', [{ ...reset, timeline: 1 }]),
    catalog('whole', [FIRST, reset], { timelines: both }),
  );
  assert.equal(conflictOf(union), undefined);
  assert.deepEqual(
    union.facts.segments.map(({ segment, stores }) => [segment.gtids, stores.join()]),
    [
      [`${P}:1-10`, 'whole'],
      [`${P}:1-7`, 'late,whole'],
    ],
  );
  assert.ok((union.facts.segments[0]?.timeline ?? 0) < (union.facts.segments[1]?.timeline ?? 0));
});

test('without a log in common, two lives of a server in one store and one in the other are not matched by guess', () => {
  const reset: Log = { number: 1, previous: '', gtids: `${P}:1-7`, timeline: 2, createdAt: 80, content: 'e' };
  const both = [
    { timeline: 1, serverUuid: P },
    { timeline: 2, serverUuid: P },
  ];
  const later: Log = { number: 2, previous: `${P}:1-10`, gtids: `${P}:11-20`, createdAt: 90 };
  const union = unionOf(catalog('a', [FIRST, reset], { timelines: both }), catalog('b', [later]));
  for (const timeline of new Set(union.facts.segments.map((it) => it.timeline))) {
    assert.ok(['timelines-differ', 'timeline-unclear'].includes(conflictOf(union, timeline) ?? ''));
  }
});

test('where no store tells which timeline is the newest, one must be named', () => {
  const other: Log = { number: 1, previous: '', gtids: `${R}:1-7`, server: R, timeline: 2 };
  const a = catalog('a', [FIRST]);
  const b = catalog('b', [other], { timelines: [{ timeline: 2, serverUuid: R }] });
  assert.equal(conflictOf(unionOf(a, b)), 'timeline-unclear');
  assert.equal(conflictOf(unionOf(a, b), 2), undefined);
});

test('two repositories are no copies of one archive', () => {
  assert.equal(
    conflictOf(unionOf(catalog('a', [FIRST]), catalog('b', [FIRST], { repositoryId: 'other' }))),
    'other-repository',
  );
});
