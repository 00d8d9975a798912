import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askStoreHandoff } from '../../../src/domain/routing/ask-store-handoff.ts';
import { type Circuit, CLOSED_CIRCUIT } from '../../../src/domain/routing/circuit.ts';
import { planStaging, type StagedShare } from '../../../src/domain/routing/staging-bound.ts';
import {
  boundariesBetween,
  mergeBoundaries,
  type StoreBoundary,
} from '../../../src/domain/routing/store-boundaries.ts';
import {
  type CoveringStore,
  effectivePolicies,
  planStoreHandoff,
  type StandIn,
  type StoreHandoffStep,
  standInsAfter,
} from '../../../src/domain/routing/store-handoff.ts';
import { isArchived, type RoutedStore, type StorePolicy } from '../../../src/domain/routing/store-policy.ts';
import { SERVER } from '../domain/history.ts';
import type { Random } from '../domain/random.ts';
import { onSeeds } from './seeds.ts';

const OPEN: Circuit = {
  kind: 'open',
  openedAtMs: 0,
  failedProbes: 0,
  probeAtMs: 9,
  cause: { code: 'StoreUnreachable', message: 'down' },
};
const NAMES = ['main', 's3', 'gcs'] as const;

function subset(random: Random, names: readonly string[]): string[] {
  return names.filter(() => random.once(2));
}

function randomStores(random: Random): RoutedStore[] {
  return NAMES.slice(0, 1 + random.int(3)).map((store) => ({
    store,
    policy: random.pick(['required', 'catch-up'] as const),
    circuit: random.once(3) ? OPEN : CLOSED_CIRCUIT,
  }));
}

test('a log is archived exactly when every required store holds it, and never where none is required', (t) => {
  onSeeds(t, 200, (random, message) => {
    const stores = randomStores(random);
    const heldBy = subset(random, NAMES);
    const lackedBy = new Set(NAMES.filter((store) => !heldBy.includes(store)));
    let required = 0;
    let held = 0;
    for (const { store, policy } of stores) {
      if (policy === 'required') required += 1;
      if (policy === 'required' && heldBy.includes(store)) held += 1;
    }
    assert.equal(isArchived(lackedBy, stores), required > 0 && held === required, message);
  });
});

/** Bytes in the staging folder after a plan, counted anew from what the plan says of each log. */
function bytesAfter(logs: readonly StagedShare[], plan: ReturnType<typeof planStaging>): number {
  return plan.decisions.reduce((sum, { kind }, index) => {
    const log = logs[index] as StagedShare;
    const stays = kind === 'stage' || (kind === 'keep' && log.lies === 'staged');
    return sum + (stays ? log.stagingBytes : 0);
  }, 0);
}

test('the staging folder stays within its bound, gives up nothing that no store holds, and no more than it must', (t) => {
  onSeeds(t, 500, (random, message) => {
    const stores = NAMES.slice(0, 1 + random.int(3));
    const logs: StagedShare[] = Array.from({ length: random.int(10) }, (_, n) => ({
      binlog: `binlog.${n}`,
      stagingBytes: 1 + random.int(50),
      lies: random.pick(['staged', 'on-server'] as const),
      heldBy: random.once(3) ? subset(random, stores) : [],
    }));
    const bound = random.int(200);
    const plan = planStaging(logs, stores, bound);
    assert.equal(plan.decisions.length, logs.length);
    assert.equal(plan.bytes, bytesAfter(logs, plan), `${message}: its own count`);
    const kinds = plan.decisions.map(({ kind }) => kind);
    logs.forEach((log, index) => {
      const everywhere = stores.every((store) => log.heldBy.includes(store));
      assert.equal(kinds[index] === 'done', everywhere, message);
      if (everywhere || log.heldBy.length > 0) return;
      const allowed = log.lies === 'staged' ? ['keep'] : ['stage', 'leave-on-server'];
      assert(allowed.includes(kinds[index] ?? ''), `${message}: ${kinds[index]} a log that no store holds`);
    });
    const left = kinds.indexOf('leave-on-server');
    assert(left < 0 || !kinds.slice(left).includes('stage'), `${message}: oldest first`);
    assert.equal(plan.room, left < 0 ? 'enough' : 'full', message);
    const unheld = logs.filter(({ lies, heldBy }) => lies === 'staged' && heldBy.length === 0);
    const needed = unheld.reduce((sum, { stagingBytes }) => sum + stagingBytes, 0);
    const staged = kinds.filter((kind) => kind === 'stage').length;
    const alone = staged === 1 && needed === 0 && kinds.filter((kind) => kind === 'keep').length === 0;
    assert(plan.bytes <= Math.max(bound, needed) || alone, `${message}: ${plan.bytes} of ${bound}`);
    const given = logs.findLast((log, index) => log.lies === 'staged' && kinds[index] === 'refill');
    const waits = logs[left]?.stagingBytes ?? 0;
    if (given !== undefined) {
      assert(
        plan.bytes + given.stagingBytes + waits > bound,
        `${message}: ${given.binlog} was given up for nothing`,
      );
    }
  });
});

function covering(
  store: string,
  policy: StorePolicy,
  circuit: Circuit,
  covers: number,
  givenUpGtids = '',
): CoveringStore {
  return { store, policy, circuit, coveredGtids: set(covers), givenUpGtids };
}

const set = (to: number) => (to === 0 ? '' : `${SERVER}:1-${to}`);

test('a store stands in only with all that was ever called archived, and gives way only to an equal', () => {
  const stores = (main: Circuit, s3Covers: number, mainCovers = 10) => [
    covering('main', 'required', main, mainCovers),
    covering('s3', 'catch-up', CLOSED_CIRCUIT, s3Covers),
  ];
  const facts = { standIns: [], acknowledgedGtids: set(10), comparisons: [] };
  const plan = (main: Circuit, covers: number) =>
    planStoreHandoff({ ...facts, stores: stores(main, covers) });
  assert.deepEqual(plan(CLOSED_CIRCUIT, 0), [{ kind: 'stay', store: 'main' }]);
  assert.deepEqual(plan(OPEN, 12), [{ kind: 'stand-in', from: 'main', to: 's3' }]);
  assert.deepEqual(plan(OPEN, 7), [
    {
      kind: 'no-stand-in',
      store: 'main',
      reasons: [{ store: 's3', reason: 'behind', missingGtids: `${SERVER}:8-10` }],
    },
  ]);
  const standIns = [{ from: 'main', to: 's3' }];
  const back = (verdict: 'equal' | 'different', mainCovers: number) =>
    planStoreHandoff({
      ...facts,
      standIns,
      stores: stores(CLOSED_CIRCUIT, 12, mainCovers),
      comparisons: [{ from: 'main', to: 's3', verdict }],
    });
  assert.deepEqual(back('different', 10), [
    { kind: 'drain', from: 'main', to: 's3', missingGtids: `${SERVER}:11-12` },
  ]);
  // The same GTIDs are not enough: the digests must be compared, too.
  assert.deepEqual(back('different', 12), [{ kind: 'drain', from: 'main', to: 's3', missingGtids: '' }]);
  assert.deepEqual(back('equal', 12), [{ kind: 'switch-back', from: 'main', to: 's3' }]);
  assert.deepEqual(
    effectivePolicies(stores(OPEN, 12), standIns).map(({ policy }) => policy),
    ['catch-up', 'required'],
  );
});

test('two failed stores get two stand-ins, and one that failed itself is none', () => {
  const store = (name: string, policy: StorePolicy, circuit: Circuit) => covering(name, policy, circuit, 10);
  const stores = [
    store('a', 'required', OPEN),
    store('b', 'required', OPEN),
    store('c', 'catch-up', OPEN),
    store('d', 'catch-up', CLOSED_CIRCUIT),
  ];
  const steps = planStoreHandoff({ stores, standIns: [], acknowledgedGtids: set(10), comparisons: [] });
  assert.deepEqual(steps[0], { kind: 'stand-in', from: 'a', to: 'd' });
  assert.deepEqual(steps[1], {
    kind: 'no-stand-in',
    store: 'b',
    reasons: [
      { store: 'a', reason: 'required-itself', missingGtids: '' },
      { store: 'c', reason: 'circuit-open', missingGtids: '' },
      { store: 'd', reason: 'stands-in-already', missingGtids: '' },
    ],
  });
});

test('a stand-in holds until the very store comes back, or another one takes its place', () => {
  const store = (from: string, to: string) => ({ kind: 'store', from, to }) as const;
  const after = (...routes: ReturnType<typeof store>[]) =>
    standInsAfter(routes).map(({ from, to }) => `${from}>${to}`);
  assert.deepEqual(after(store('a', 'b')), ['a>b']);
  assert.deepEqual(after(store('a', 'b'), store('b', 'a')), []);
  assert.deepEqual(after(store('a', 'b'), store('c', 'd'), store('b', 'a')), ['c>d']);
  assert.deepEqual(after(store('a', 'b'), store('a', 'c')), ['a>c']);
});

test('a store whose stand-in is lost comes back with all that was called archived, and never with less', () => {
  const standIns = [{ from: 'p', to: 'c' }];
  const plan = (acknowledged: number, stores: readonly CoveringStore[]) =>
    planStoreHandoff({ stores, standIns, acknowledgedGtids: set(acknowledged), comparisons: [] });
  const dead = covering('c', 'catch-up', OPEN, 10);
  assert.deepEqual(plan(10, [covering('p', 'required', CLOSED_CIRCUIT, 12), dead]), [
    { kind: 'return', from: 'p', to: 'c', loss: 'circuit-open' },
  ]);
  // The only store that holds all is dead: said, with what is missing, and nothing is switched.
  const missing = `${SERVER}:8-10`;
  assert.deepEqual(plan(10, [covering('p', 'required', CLOSED_CIRCUIT, 7), dead]), [
    {
      kind: 'no-stand-in',
      store: 'p',
      reasons: [
        { store: 'p', reason: 'behind', missingGtids: missing },
        { store: 'c', reason: 'circuit-open', missingGtids: '' },
      ],
    },
  ]);
  // What was given up in the store comes back with the stand-in; only where that is gone for good it does not.
  const gaveUp = covering('p', 'required', CLOSED_CIRCUIT, 7, missing);
  assert.equal(plan(10, [gaveUp, dead])[0]?.kind, 'no-stand-in');
  assert.deepEqual(plan(10, [gaveUp]), [{ kind: 'return', from: 'p', to: 'c', loss: 'not-configured' }]);
  assert.deepEqual(plan(11, [gaveUp]), [
    {
      kind: 'no-stand-in',
      store: 'p',
      reasons: [
        { store: 'p', reason: 'behind', missingGtids: `${SERVER}:11` },
        { store: 'c', reason: 'not-configured', missingGtids: '' },
      ],
    },
  ]);
});

test('where a stand-in is lost and the store still away, a third store follows that holds all', () => {
  const standIns = [{ from: 'p', to: 'c' }];
  const plan = (p: Circuit, dCovers: number, more: readonly CoveringStore[] = []) =>
    planStoreHandoff({
      stores: [covering('p', 'required', p, 7), ...more, covering('d', 'catch-up', CLOSED_CIRCUIT, dCovers)],
      standIns,
      acknowledgedGtids: set(10),
      comparisons: [],
    });
  const dead = covering('c', 'catch-up', OPEN, 10);
  for (const lost of [[dead], []]) {
    assert.deepEqual(plan(OPEN, 10, lost), [{ kind: 'stand-in', from: 'p', to: 'd' }]);
    // Back, but behind: archiving goes on with the one that holds all.
    assert.deepEqual(plan(CLOSED_CIRCUIT, 10, lost), [{ kind: 'stand-in', from: 'p', to: 'd' }]);
    assert.equal(plan(OPEN, 9, lost)[0]?.kind, 'no-stand-in');
  }
  assert.deepEqual(plan(OPEN, 10, [covering('c', 'catch-up', CLOSED_CIRCUIT, 10)]), [
    { kind: 'stay', store: 'p' },
  ]);
});

test('whatever fails, what counts next holds all that was ever called archived', (t) => {
  onSeeds(t, 2000, (random, message) => {
    const names = ['p', 'c', 'd', 'e'];
    const configured = names.filter((name) => name === 'p' || !random.once(5));
    const stores = configured.map((name) =>
      covering(
        name,
        name === 'p' ? 'required' : 'catch-up',
        random.once(2) ? OPEN : CLOSED_CIRCUIT,
        random.int(4),
      ),
    );
    const standIns = random.once(2) ? [{ from: 'p', to: 'c' }] : [];
    const acknowledged = random.int(4);
    const facts = { stores, standIns, acknowledgedGtids: set(acknowledged), comparisons: [] };
    const steps = planStoreHandoff(facts);
    assert.equal(steps.length, 1, message);
    const [step] = steps as [StoreHandoffStep];
    const holdsAll = (name: string): boolean => {
      const store = stores.find((it) => it.store === name);
      const covered = store?.coveredGtids ?? '';
      return (
        store?.circuit.kind === 'closed' &&
        (acknowledged === 0 || Number(covered.split('-').at(-1) || 0) >= acknowledged)
      );
    };
    const counting = standIns[0]?.to ?? 'p';
    const isUp = stores.some((it) => it.store === counting && it.circuit.kind === 'closed');
    const able = configured.filter((name) => holdsAll(name));
    if (isUp) assert.ok(step.kind === 'stay' || step.kind === 'drain', `${message}: ${step.kind}`);
    else if (able.length === 0) assert.equal(step.kind, 'no-stand-in', message);
    else if (step.kind === 'return') assert.ok(holdsAll('p'), message);
    else assert.ok(step.kind === 'stand-in' && holdsAll(step.to), `${message}: ${step.kind}`);
  });
});

test('a store that was away gets the handoffs that it lacks, and none where one of them is not known', () => {
  const of = (epoch: number, detail = ''): StoreBoundary => ({
    epoch,
    from: 'p',
    to: 'c',
    reason: 'circuit-open',
    detail,
  });
  const epochs = (stands: number, upTo: number, ...known: number[]) =>
    boundariesBetween(
      known.map((epoch) => of(epoch)),
      stands,
      upTo,
    )?.map(({ epoch }) => epoch) ?? null;
  assert.deepEqual(epochs(1, 3, 1, 2, 3, 4), [2, 3]);
  assert.deepEqual(epochs(3, 3, 3), []);
  assert.equal(epochs(1, 3, 3), null);
  const merged = mergeBoundaries([of(2, 'remembered'), of(4)], [of(3), of(2, 'written')]);
  assert.deepEqual(
    merged.map(({ epoch, detail }) => [epoch, detail]),
    [
      [2, 'written'],
      [3, ''],
      [4, ''],
    ],
  );
});

test('it can be asked beforehand which store would count for another, and nothing else is answered', () => {
  const stores = [
    covering('p', 'required', CLOSED_CIRCUIT, 10),
    covering('q', 'required', CLOSED_CIRCUIT, 10),
    covering('c', 'catch-up', CLOSED_CIRCUIT, 10),
    covering('d', 'catch-up', CLOSED_CIRCUIT, 8),
  ];
  const facts = { stores, standIns: [], acknowledgedGtids: set(10), comparisons: [] };
  const ask = (store: string, toStore: string | null, standIns: readonly StandIn[] = []) =>
    askStoreHandoff({ ...facts, standIns }, { store, toStore });
  assert.deepEqual(ask('p', null), { kind: 'stand-in', from: 'p', to: 'c' });
  assert.deepEqual(ask('q', 'c'), { kind: 'stand-in', from: 'q', to: 'c' });
  assert.deepEqual(ask('q', 'd'), {
    kind: 'no-stand-in',
    store: 'q',
    reasons: [
      { store: 'p', reason: 'required-itself', missingGtids: '' },
      { store: 'd', reason: 'behind', missingGtids: `${SERVER}:9-10` },
    ],
  });
  assert.equal(ask('c', null), null);
  // Stood in for already: as everything stands.
  assert.equal(ask('p', null, [{ from: 'p', to: 'c' }])?.kind, 'drain');
});
