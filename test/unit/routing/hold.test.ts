import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandoffRoute } from '../../../src/domain/catalog-entry.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { claimEpoch, claimEverywhere } from '../../../src/domain/routing/hold.ts';
import { PRIMARY, REPLICA, THIRD } from './handoff-world.ts';

const NAMES = new Map([
  [PRIMARY, 'shop-1'],
  [REPLICA, 'shop-2'],
  [THIRD, 'shop-3'],
]);

function route(from: typeof PRIMARY, to: typeof PRIMARY): HandoffRoute {
  const ref = (serverUuid: typeof PRIMARY) => ({
    source: NAMES.get(serverUuid) ?? '',
    serverUuid,
    role: 'archived',
  });
  return {
    kind: 'source',
    from: ref(from),
    to: ref(to),
    continuity: { kind: 'resync', lostGtids: '', gapGtids: '' },
  };
}

function claim(serverUuid: typeof PRIMARY, ...routes: readonly HandoffRoute[]) {
  const handoffs = routes.map((it, n) => ({ epoch: n + 2, route: it }));
  return claimEpoch(
    { epoch: routes.length + 1, handoffs },
    { source: NAMES.get(serverUuid) ?? '', serverUuid, role: 'archived' },
  );
}

test('before any handoff every source may write', () => {
  assert.deepEqual(claim(PRIMARY), { kind: 'held', epoch: 1 });
});

test('a source that was handed away may not take the newest epoch, its heir and strangers may', () => {
  const away = route(PRIMARY, REPLICA);
  assert.deepEqual(claim(PRIMARY, away), { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  assert.deepEqual(claim(REPLICA, away), { kind: 'held', epoch: 2 });
  assert.deepEqual(claim(THIRD, away), { kind: 'held', epoch: 2 });
  const store: HandoffRoute = { kind: 'store', from: 'main', to: 's3' };
  assert.deepEqual(claim(PRIMARY, away, store), { kind: 'handed-away', to: 'shop-2', epoch: 2 });
});

test('the last handoff that names a server decides', () => {
  const [away, on, back] = [route(PRIMARY, REPLICA), route(REPLICA, THIRD), route(THIRD, PRIMARY)];
  assert.deepEqual(claim(PRIMARY, away, on), { kind: 'handed-away', to: 'shop-2', epoch: 2 });
  assert.deepEqual(claim(REPLICA, away, on), { kind: 'handed-away', to: 'shop-3', epoch: 3 });
  assert.deepEqual(claim(PRIMARY, away, on, back), { kind: 'held', epoch: 4 });
  assert.deepEqual(claim(THIRD, away, on, back), { kind: 'handed-away', to: 'shop-1', epoch: 4 });
});

test('the same source on another server is another writer; one that was never reached goes by its name', () => {
  const moved: HandoffRoute = {
    kind: 'source',
    from: { source: 'primary', serverUuid: PRIMARY },
    to: { source: 'primary', serverUuid: REPLICA },
    continuity: { kind: 'continues', timeline: 1, baselineGtids: '' },
  };
  const handoffs = [{ epoch: 2, route: moved }];
  const ask = (serverUuid: typeof PRIMARY) =>
    claimEpoch({ epoch: 2, handoffs }, { source: 'primary', serverUuid, role: 'archived' }).kind;
  assert.equal(ask(PRIMARY), 'handed-away');
  assert.equal(ask(REPLICA), 'held');
  const unseen: HandoffRoute = { ...moved, from: { source: 'shop-1', serverUuid: null } };
  const unseenClaim = claimEpoch(
    { epoch: 2, handoffs: [{ epoch: 2, route: unseen }] },
    { source: 'shop-1', serverUuid: THIRD, role: 'archived' },
  );
  assert.equal(unseenClaim.kind, 'handed-away');
});

test('a fallback waits until a handoff names its server, and again when it has another one', () => {
  const ask = (serverUuid: typeof PRIMARY, ...routes: readonly HandoffRoute[]) => {
    const handoffs = routes.map((it, n) => ({ epoch: n + 2, route: it }));
    return claimEpoch(
      { epoch: routes.length + 1, handoffs },
      { source: 'shop-2', serverUuid, role: 'fallback' },
    );
  };
  const [away, back] = [route(PRIMARY, REPLICA), route(REPLICA, PRIMARY)];
  assert.deepEqual(ask(REPLICA), { kind: 'in-reserve' });
  assert.deepEqual(ask(REPLICA, away), { kind: 'held', epoch: 2 });
  assert.deepEqual(ask(REPLICA, away, back), { kind: 'handed-away', to: 'shop-1', epoch: 3 });
  assert.deepEqual(ask(THIRD, away), { kind: 'in-reserve' });
});

test('over several stores the newest epoch is taken, and a handoff counts that stands in one of them', () => {
  const [away, back] = [route(PRIMARY, REPLICA), route(REPLICA, PRIMARY)];
  const catalog = (store: string, ...routes: readonly HandoffRoute[]) => ({
    store,
    epoch: routes.length + 1,
    handoffs: routes.map((it, n) => ({ epoch: n + 2, route: it })),
  });
  const ask = (serverUuid: typeof PRIMARY, ...catalogs: readonly ReturnType<typeof catalog>[]) =>
    claimEverywhere(catalogs, { source: NAMES.get(serverUuid) ?? '', serverUuid, role: 'archived' });
  const fenced = { kind: 'handed-away', to: 'shop-2', epoch: 2 };
  assert.deepEqual(ask(PRIMARY, catalog('main'), catalog('s3', away)), fenced);
  assert.deepEqual(ask(PRIMARY, catalog('main', away), catalog('s3')), fenced);
  assert.deepEqual(ask(REPLICA, catalog('main', away), catalog('s3')), { kind: 'held', epoch: 2 });
  assert.deepEqual(ask(PRIMARY, catalog('main', away), catalog('s3', away, back)), {
    kind: 'held',
    epoch: 3,
  });
  // Read from two stores, the fields of one handoff may come in another order.
  const turned = Object.fromEntries(Object.entries(away).toReversed()) as HandoffRoute;
  assert.deepEqual(ask(PRIMARY, catalog('main', away), catalog('s3', turned)), fenced);
});

test('where two stores were handed to two heirs in one epoch, neither may write', () => {
  const handoffs = (to: typeof PRIMARY) => [{ epoch: 2, route: route(PRIMARY, to) }];
  const catalogs = [
    { store: 'main', epoch: 2, handoffs: handoffs(REPLICA) },
    { store: 's3', epoch: 2, handoffs: handoffs(THIRD) },
  ];
  for (const serverUuid of [PRIMARY, REPLICA, THIRD]) {
    assert.throws(
      () => claimEverywhere(catalogs, { source: NAMES.get(serverUuid) ?? '', serverUuid, role: 'archived' }),
      (error: unknown) => error instanceof AppError && error.code === 'HandoffsDiffer',
    );
  }
});

test('a handoff that goes on with a timeline is the same one in stores that number it otherwise', () => {
  const continues = (timeline: number): HandoffRoute => ({
    kind: 'source',
    from: { source: 'shop-1', serverUuid: PRIMARY },
    to: { source: 'shop-2', serverUuid: REPLICA },
    continuity: { kind: 'continues', timeline, baselineGtids: '' },
  });
  const catalog = (store: string, timeline: number) => ({
    store,
    epoch: 2,
    handoffs: [{ epoch: 2, route: continues(timeline) }],
  });
  const claimant = { source: 'shop-2', serverUuid: REPLICA, role: 'archived' } as const;
  assert.deepEqual(claimEverywhere([catalog('main', 1), catalog('s3', 2)], claimant), {
    kind: 'held',
    epoch: 2,
  });
});
