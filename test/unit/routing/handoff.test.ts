import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandoffFacts } from '../../../src/domain/routing/handoff-facts.ts';
import { type HandoffDecision, planHandoff } from '../../../src/domain/routing/handoff-plan.ts';
import { validateHandoff } from '../../../src/domain/routing/handoff-validation.ts';
import { isForNow } from '../../../src/domain/routing/handoff-words.ts';
import {
  both,
  type FailoverWorld,
  minus,
  OPEN,
  type Plain,
  PRIMARY,
  REPLICA,
  randomFailover,
  THIRD,
  text,
  toSet,
  withBoundary,
} from './handoff-world.ts';
import { onSeeds } from './seeds.ts';

function union(sets: readonly Plain[]): Set<string> {
  return new Set(sets.flatMap((set) => [...set]));
}

test('the reconciliation is what plain sets say, GTID by GTID', (t) => {
  let compared = 0;
  onSeeds(t, 400, (random, message) => {
    const world = randomFailover(random);
    const { reconciliation } = planHandoff(world.facts);
    if (reconciliation === null) return;
    compared += 1;
    const { executed, purged, covered } = world;
    const known = union(covered.map(({ gtids }) => gtids));
    assert.equal(text(known), reconciliation.covered.toString().replaceAll('\n', ''), message);
    assert(reconciliation.intersection.equals(toSet(both(executed, known))), message);
    assert(reconciliation.pending.equals(toSet(minus(executed, known))), message);
    assert(reconciliation.gap.equals(toSet(minus(purged, known))), message);
    assert(reconciliation.lacking.equals(toSet(minus(known, executed))), message);
    const refill = covered
      .map(({ store, gtids }) => ({ store, gtids: minus(both(purged, known), gtids) }))
      .filter(({ gtids }) => gtids.size > 0);
    assert.deepEqual(
      reconciliation.refill.map(({ store, gtids }) => `${store} ${gtids}`),
      refill.map(({ store, gtids }) => `${store} ${toSet(gtids)}`),
      message,
    );
  });
  assert(compared > 300);
});

/** What must be true of the world wherever an archive goes on without a break. */
function assertContinues(world: FailoverWorld, message: string): void {
  const known = union(world.covered.map(({ gtids }) => gtids));
  assert.equal(minus(known, world.executed).size, 0, `${message}: archived transactions would be lost`);
  assert.equal(minus(world.purged, known).size, 0, `${message}: a gap would be hidden`);
  const { reach } = world.facts.candidate;
  if (reach.kind === 'reachable' && reach.replication.kind === 'replica') {
    const errant = [...minus(world.executed, known)].filter((gtid) => gtid.startsWith(REPLICA));
    assert.deepEqual(errant, [], `${message}: errant transactions would be archived`);
  }
}

test('a handoff continues only where nothing is lost, hidden or errant; every refusal names it exactly', (t) => {
  const seen = new Map<string, number>();
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  onSeeds(t, 1500, (random, message) => {
    const world = randomFailover(random);
    const { decision } = planHandoff(world.facts);
    const known = union(world.covered.map(({ gtids }) => gtids));
    count(decision.kind === 'hand-off' ? decision.continuity : decision.kind);
    if (decision.kind === 'hand-off') {
      if (decision.continuity === 'continues') assertContinues(world, message);
      else assert.equal(world.facts.policy, 'resync', message);
      const required = world.facts.stores
        .filter(({ policy }) => policy === 'required')
        .map(({ store }) => store);
      assert(
        decision.boundary.write.some(({ store }) => required.includes(store)),
        `${message}: nobody is fenced`,
      );
    }
    if (decision.kind === 'wait') {
      const lacking = minus(known, world.executed);
      assert.equal(decision.gtids, text(lacking), message);
      const isReceived = minus(lacking, world.received).size === 0;
      assert.equal(decision.reason === 'not-applied', isReceived, message);
    }
    if (decision.kind !== 'refuse') return;
    for (const reason of decision.reasons) {
      count(reason.code);
      if (reason.code === 'lost-transactions')
        assert.equal(reason.gtids, text(minus(known, world.executed)), message);
      if (reason.code === 'purged-gap') assert.equal(reason.gtids, text(minus(world.purged, known)), message);
    }
  });
  t.diagnostic([...seen].map(([what, times]) => `${what} ${times}`).join(', '));
  for (const what of [
    'continues',
    'resync',
    'wait',
    'stay',
    'lost-transactions',
    'purged-gap',
    'errant-transactions',
  ]) {
    assert((seen.get(what) ?? 0) > 5, `${what} was met`);
  }
});

test('cut short after any store and planned again, a handoff writes the same boundary in the others, once', (t) => {
  let cut = 0;
  onSeeds(t, 1500, (random, message) => {
    const { facts } = randomFailover(random);
    const { decision } = planHandoff(facts);
    if (decision.kind !== 'hand-off') return;
    const stores = decision.boundary.write.map(({ store }) => store);
    const written = stores.slice(0, 1 + random.int(stores.length));
    const again = planHandoff(withBoundary(facts, decision, written)).decision;
    if (written.length === stores.length) {
      assert.deepEqual(again, { kind: 'already-done', epoch: decision.boundary.epoch }, message);
      return;
    }
    cut += 1;
    assert(again.kind === 'hand-off', message);
    assert.deepEqual(again.boundary.standsIn, written, message);
    assert.equal(again.boundary.epoch, decision.boundary.epoch, message);
    assert.equal(again.boundary.reason, decision.boundary.reason, message);
    const rest = decision.boundary.write.filter(({ store }) => !written.includes(store));
    assert.deepEqual(again.boundary.write, rest, message);
    const all = withBoundary(withBoundary(facts, decision, written), again, stores);
    assert.equal(planHandoff(all).decision.kind, 'already-done', message);
  });
  assert(cut > 20, `${cut} were cut short`);
});

const COVERED = `${PRIMARY}:1-10`;

/** A primary that is gone, a replica that was promoted, one store; `change` makes it another case. */
function failover(change: {
  readonly executed?: string;
  readonly purged?: string;
  readonly policy?: 'refuse' | 'resync';
  readonly replication?: 'none' | 'running' | 'stopped';
  readonly received?: string;
  readonly epoch?: number;
}): HandoffFacts {
  const { executed = `${PRIMARY}:1-12`, purged = '', policy = 'refuse', replication = 'none' } = change;
  return {
    trigger: 'watch',
    current: {
      source: 'shop-1',
      serverUuid: PRIMARY,
      reach: { kind: 'unreachable', forSeconds: 45 },
      queue: { kind: 'served' },
      lagSeconds: 12,
    },
    candidate: {
      source: 'shop-2',
      reach: {
        kind: 'reachable',
        serverUuid: REPLICA,
        gtidMode: 'ON',
        logBin: 'ON',
        logReplicaUpdates: 'ON',
        gtidExecuted: executed,
        gtidPurged: purged,
        replication:
          replication === 'none'
            ? { kind: 'none' }
            : { kind: 'replica', state: replication, receivedGtids: change.received ?? executed },
      },
    },
    stores: [
      {
        store: 'main',
        policy: 'required',
        circuit: { kind: 'closed', failuresInRow: 0 },
        kind: 'read',
        epoch: change.epoch ?? 1,
        lastHandoff: null,
        timeline: 3,
        coveredGtids: COVERED,
      },
    ],
    policy,
    limits: { lagSeconds: 300, unreachableSeconds: 30, silentSeconds: 90 },
  };
}

test('a promoted replica with all that is archived goes on where the archive ends', () => {
  const { detected, reconciliation, decision } = planHandoff(failover({ purged: `${PRIMARY}:1-4` }));
  assert.deepEqual(detected, [{ kind: 'source-unreachable', forSeconds: 45 }]);
  assert.deepEqual(reconciliation?.nextExpected, [`${PRIMARY}:11`]);
  assert.deepEqual(decision, {
    kind: 'hand-off',
    continuity: 'continues',
    boundary: {
      epoch: 2,
      reason: 'source-unreachable',
      write: [
        {
          store: 'main',
          route: {
            kind: 'source',
            from: { source: 'shop-1', serverUuid: PRIMARY },
            to: { source: 'shop-2', serverUuid: REPLICA },
            continuity: { kind: 'continues', timeline: 3, baselineGtids: `${PRIMARY}:1-4` },
          },
        },
      ],
      standsIn: [],
      later: [],
    },
  } satisfies HandoffDecision);
});

test('lost transactions are named and refused, or begin a timeline of their own where the policy says so', () => {
  const lost = { executed: `${PRIMARY}:1-7,${REPLICA}:1-3` };
  assert.deepEqual(planHandoff(failover(lost)).decision, {
    kind: 'refuse',
    reasons: [{ code: 'lost-transactions', gtids: `${PRIMARY}:8-10` }],
  });
  const { decision } = planHandoff(failover({ ...lost, policy: 'resync' }));
  assert(decision.kind === 'hand-off');
  assert.deepEqual(decision.boundary.write[0]?.route.continuity, {
    kind: 'resync',
    lostGtids: `${PRIMARY}:8-10`,
    gapGtids: '',
  });
});

test('a replica that has received what it lacks is waited for; one that never will is refused', () => {
  const behind = { executed: `${PRIMARY}:1-7`, replication: 'stopped' } as const;
  assert.deepEqual(planHandoff(failover({ ...behind, received: COVERED })).decision, {
    kind: 'wait',
    reason: 'not-applied',
    gtids: `${PRIMARY}:8-10`,
  });
  const never = planHandoff(failover({ ...behind, received: `${PRIMARY}:1-9` })).decision;
  assert(never.kind === 'refuse');
  assert.deepEqual(never.reasons, [{ code: 'lost-transactions', gtids: `${PRIMARY}:8-10` }]);
});

test('a handoff that another source won meanwhile is superseded, and the current server is no candidate', () => {
  const facts = failover({ epoch: 2 });
  const [main] = facts.stores;
  assert(main?.kind === 'read');
  const to = { source: 'shop-3', serverUuid: THIRD };
  const route = {
    kind: 'source',
    from: { source: 'shop-1', serverUuid: PRIMARY },
    to,
    continuity: { kind: 'resync', lostGtids: '', gapGtids: '' },
  } as const;
  const lastHandoff = { epoch: 2, reason: 'operator', route } as const;
  const won = planHandoff({ ...facts, stores: [{ ...main, lastHandoff }] }).decision;
  assert.deepEqual(won, { kind: 'refuse', reasons: [{ code: 'superseded', holder: 'shop-3', epoch: 2 }] });
  const itself = planHandoff({ ...facts, current: { ...facts.current, serverUuid: REPLICA } }).decision;
  assert.deepEqual(itself, { kind: 'refuse', reasons: [{ code: 'same-server', serverUuid: REPLICA }] });
});

test('without a required store that can take the boundary nobody would be fenced, so it is refused', () => {
  const facts = failover({});
  const [main] = facts.stores;
  assert(main?.kind === 'read');
  const spare = { ...main, store: 's3', policy: 'catch-up' } as const;
  const { decision } = planHandoff({ ...facts, stores: [{ ...main, circuit: OPEN }, spare] });
  const away = { code: 'no-required-store', why: 'away', stores: ['main'] } as const;
  assert.deepEqual(decision, { kind: 'refuse', reasons: [away] });
  const { store, policy, circuit } = main;
  const silent = { store, policy, circuit, kind: 'unread', code: 'StoreStalled' } as const;
  const unread = planHandoff({ ...facts, stores: [silent, spare] }).decision;
  assert.deepEqual(unread, { kind: 'refuse', reasons: [{ ...away, stores: ['main: StoreStalled'] }] });
  // It may be possible when the store answers; where one that answers lacks something, it is not.
  assert(isForNow([away]) && !isForNow([]) && !isForNow([{ ...away, why: 'behind' }]));
  assert(!isForNow([away, { code: 'nothing-archived' }]));
});

test('a store that lacks what the candidate has purged gets it from another store before the boundary', () => {
  const facts = failover({ purged: `${PRIMARY}:1-9` });
  const [main] = facts.stores;
  assert(main?.kind === 'read');
  const behind = { ...main, coveredGtids: `${PRIMARY}:1-6` };
  const whole = { ...main, store: 's3' };
  const refused = planHandoff({ ...facts, stores: [behind, { ...whole, policy: 'catch-up' }] }).decision;
  assert.deepEqual(refused, {
    kind: 'refuse',
    reasons: [{ code: 'required-store-behind', store: 'main', gtids: `${PRIMARY}:7-9` }],
  });
  const { decision } = planHandoff({ ...facts, stores: [behind, whole] });
  assert(decision.kind === 'hand-off');
  assert.deepEqual(
    decision.boundary.write.map(({ store }) => store),
    ['s3'],
  );
  assert.deepEqual(decision.boundary.later, ['main']);
});

test('a handoff is validated by continuity first, then by its first log and its lag', () => {
  const facts = {
    coveredAtBoundary: COVERED,
    coveredNow: `${PRIMARY}:1-12`,
    gtidExecuted: `${PRIMARY}:1-14`,
    lagSeconds: 4,
    lagLimitSeconds: 300,
    firstLog: 'archived',
  } as const;
  assert.deepEqual(validateHandoff(facts), { kind: 'validated', lagTransactions: 2 });
  assert.deepEqual(validateHandoff({ ...facts, firstLog: 'waiting' }), {
    kind: 'settling',
    reason: 'first-log',
    lagTransactions: 2,
  });
  assert.equal(validateHandoff({ ...facts, lagSeconds: 301 }).kind, 'settling');
  assert.deepEqual(validateHandoff({ ...facts, gtidExecuted: `${PRIMARY}:1-9:11-14` }), {
    kind: 'failed',
    gtids: `${PRIMARY}:10`,
    lagTransactions: 2,
  });
});
