import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { archiveLag, type LagLog, lagSeconds } from '../../../src/domain/routing/archive-lag.ts';
import { CLOSED_CIRCUIT, stepCircuit } from '../../../src/domain/routing/circuit.ts';
import { type ArchivingFacts, type HoldUp, holdUpOf, lagSight } from '../../../src/domain/routing/hold-up.ts';
import {
  afterHandoff,
  judgeWatch,
  newlyWatched,
  type Watched,
  type WatchLook,
} from '../../../src/domain/routing/watch.ts';
import { PRIMARY, text } from './handoff-world.ts';
import { onSeeds } from './seeds.ts';

const LIMITS = { lagSeconds: 300, unreachableSeconds: 5, silentSeconds: 5 };
const NEW: Watched = newlyWatched(PRIMARY);
const SOURCE: HoldUp = { kind: 'source' };

/** Looks one after the other; when the first failure is found, in seconds, and of which kind. */
function firstFinding(looks: readonly WatchLook[], begun = NEW): readonly [number, string] | null {
  let known = begun;
  for (const look of looks) {
    const judged = judgeWatch(known, look, LIMITS);
    known = judged.known;
    if (judged.finding.kind !== 'well') return [look.nowMs / 1000, judged.finding.kind];
  }
  return null;
}

function reach(second: number, kind: WatchLook['reach']): WatchLook {
  return { startedAtMs: second * 1000, nowMs: second * 1000, reach: kind, lag: null };
}

function sees(second: number, lag: WatchLook['lag']): WatchLook {
  return { ...reach(second, 'reachable'), lag };
}

function waits(second: number, log: string | null, holdUp: HoldUp = SOURCE): WatchLook {
  return sees(second, log === null ? { kind: 'none' } : { kind: 'waits', log, holdUp });
}

/** A look every 10 s at one and the same log, whose hold-ups come again and again in this order. */
function stays(looks: number, holdUps: readonly HoldUp[]): WatchLook[] {
  return Array.from({ length: looks }, (_, n) =>
    waits(n * 10, 'the same', holdUps[n % holdUps.length] ?? SOURCE),
  );
}

test('a source counts as failed once no look has found it for the time that is configured', () => {
  const gone = Array.from({ length: 20 }, (_, second) =>
    reach(second, second < 3 ? 'reachable' : 'unreachable'),
  );
  assert.deepEqual(firstFinding(gone), [8, 'unreachable']);
  const blinks = Array.from({ length: 60 }, (_, second) =>
    reach(second, second % 5 === 0 ? 'reachable' : 'unreachable'),
  );
  assert.equal(firstFinding(blinks), null);
});

test('a backlog that gets smaller is no failure, however old; one log that stays is', () => {
  const drains = Array.from({ length: 100 }, (_, n) => waits(n * 100, `2026-11-20T10:${n}`));
  assert.equal(firstFinding(drains), null);
  assert.deepEqual(firstFinding(stays(100, [SOURCE])), [310, 'lag']);
  const idle = Array.from({ length: 100 }, (_, n) => waits(n * 10, null));
  assert.equal(firstFinding(idle), null);
});

test('a log is no reason for a handoff while a store gets it, fails, or an operator has paused, however long', () => {
  const others: readonly HoldUp[] = [
    { kind: 'store-receives', store: 's3' },
    { kind: 'store-fails', store: 's3' },
    { kind: 'paused' },
    { kind: 'unknown' },
  ];
  for (const other of others) assert.equal(firstFinding(stays(2_000, [other])), null, other.kind);
  // Between two tries of a store that fails nothing seems to be left but the source.
  const failing: HoldUp = { kind: 'store-fails', store: 's3' };
  assert.equal(firstFinding(stays(2_000, [failing, SOURCE])), null);
  assert.equal(firstFinding(stays(2_000, [SOURCE, failing, SOURCE])), null);
  // An hour of a slow store, and then the source itself stands still.
  const slow = Array.from({ length: 400 }, (_, n) =>
    waits(n * 10, 'the same', n < 360 ? { kind: 'store-receives', store: 's3' } : SOURCE),
  );
  assert.deepEqual(firstFinding(slow), [3_900, 'lag']);
});

test('a real lag is found also where every other look cannot see, and where a store fails now and then', () => {
  const blind = Array.from({ length: 100 }, (_, n) =>
    n % 2 === 1 ? sees(n * 10, { kind: 'unknown' }) : waits(n * 10, 'the same'),
  );
  assert.deepEqual(firstFinding(blind), [320, 'lag']);
  const blink: readonly HoldUp[] = Array.from({ length: 10 }, (_, n) =>
    n === 9 ? { kind: 'store-fails', store: 's3' } : SOURCE,
  );
  assert.deepEqual(firstFinding(stays(200, blink))?.[1], 'lag');
  assert.deepEqual(firstFinding(stays(100, [SOURCE, { kind: 'unknown' }])), [320, 'lag']);
  // What is not seen for an hour is not laid on the source when it is seen again.
  const away = [waits(0, 'the same'), waits(10, 'the same'), waits(3_600, 'the same')];
  assert.equal(firstFinding(away), null);
});

test('a handoff for a lag makes the next one for a lag wait twice as long, for a day, and no other one', () => {
  const lagging = stays(2_000, [SOURCE]);
  let known = NEW;
  for (const seconds of [310, 610, 1_210, 2_410]) {
    assert.deepEqual(firstFinding(lagging, known), [seconds, 'lag']);
    known = afterHandoff(known, 'lag', 0);
  }
  const dayLater = lagging.map((look) => ({ ...look, nowMs: look.nowMs + 86_400_000 }));
  assert.deepEqual(firstFinding(dayLater, known), [86_400 + 310, 'lag']);
  const gone = Array.from({ length: 20 }, (_, second) => reach(second, 'unreachable'));
  assert.deepEqual(firstFinding(gone, known), [5, 'unreachable']);
  const left = afterHandoff(known, 'unreachable', 1_000);
  assert.deepEqual([left.lagHandoffsMs, left.stuck, left.failingSinceMs], [[0, 0, 0, 0], null, null]);
});

test('what holds archiving up is told from the stores that count now, and asked only where something waits', async () => {
  const open = [1, 2, 3].reduce(
    (circuit, atMs) =>
      stepCircuit(circuit, {
        kind: 'failed',
        work: 'transfer',
        atMs,
        cause: { code: 'StoreUnreachable', message: '' },
        chance: 0,
      }),
    CLOSED_CIRCUIT as ArchivingFacts['stores'][number]['circuit'],
  );
  const well = { policy: 'required', circuit: CLOSED_CIRCUIT, failure: null, work: 'none' } as const;
  const main = { ...well, store: 'main' };
  const s3 = { ...well, store: 's3' };
  const ask = (stores: ArchivingFacts['stores'], more: Partial<ArchivingFacts> = {}) =>
    holdUpOf({ mode: 'running', stores, standIns: [], ...more });
  assert.deepEqual(ask([main, s3]), SOURCE);
  assert.deepEqual(ask([main, { ...s3, work: 'transfer' }], { mode: 'paused' }), { kind: 'paused' });
  const fails = { kind: 'store-fails', store: 's3' };
  assert.deepEqual(
    ask([
      { ...main, work: 'transfer' },
      { ...s3, circuit: open },
    ]),
    fails,
  );
  assert.deepEqual(ask([main, { ...s3, circuit: { kind: 'closed', failuresInRow: 1 } }]), fails);
  assert.deepEqual(ask([main, { ...s3, failure: { code: 'StoreDenied' } }]), fails);
  for (const work of ['transfer', 'fill'] as const) {
    assert.deepEqual(ask([main, { ...s3, work }]), { kind: 'store-receives', store: 's3' });
  }
  assert.deepEqual(ask([main, { ...s3, work: 'probe' }]), SOURCE);
  const follower = { ...s3, policy: 'catch-up' } as const;
  assert.deepEqual(ask([main, { ...follower, circuit: open }]), SOURCE);
  assert.deepEqual(ask([main, { ...follower, work: 'transfer' }]), SOURCE);
  // It counts in the place of the other one.
  const standIns = [{ from: 'main', to: 's3' }];
  assert.deepEqual(
    ask(
      [
        { ...main, circuit: open },
        { ...follower, work: 'transfer' },
      ],
      { standIns },
    ),
    {
      kind: 'store-receives',
      store: 's3',
    },
  );
  const never = () => assert.fail('nothing waits');
  assert.deepEqual(await lagSight(null, never), { kind: 'unknown' });
  assert.deepEqual(await lagSight({ transactions: 0, since: null }, never), { kind: 'none' });
  assert.deepEqual(await lagSight({ transactions: 3, since: null }, never), { kind: 'unknown' });
  const held = await lagSight({ transactions: 3, since: 'then' }, async () => SOURCE);
  assert.deepEqual(held, { kind: 'waits', log: 'then', holdUp: SOURCE });
});

test('the lag is the age of the oldest log with a transaction that is not covered, as counting one by one finds it', (t) => {
  onSeeds(t, 200, (random, message) => {
    const order = Array.from({ length: 12 }, (_, n) => `${PRIMARY}:${n + 1}`);
    const bounds = [0, ...order.map((_, n) => n).filter((n) => n > 0 && random.once(3)), order.length];
    const logs = bounds.slice(0, -1).map((from, n): LagLog & { readonly holds: readonly string[] } => ({
      previousGtids: text(order.slice(0, from)),
      firstCommit: `2026-11-20T10:00:${String(n).padStart(2, '0')}.000000Z`,
      holds: order.slice(from, bounds[n + 1]),
    }));
    const covered = new Set(order.filter(() => random.once(2)));
    const oldest = logs.find(({ holds }) => holds.some((gtid) => !covered.has(gtid)));
    const lag = archiveLag(logs, GtidSet.parse(text(order)), GtidSet.parse(text(covered)));
    assert.deepEqual(
      lag,
      {
        transactions: order.filter((gtid) => !covered.has(gtid)).length,
        since: oldest?.firstCommit ?? null,
      },
      message,
    );
    const nowMs = Date.parse('2026-11-20T10:01:00Z');
    const age =
      oldest === undefined ? 0 : Math.floor((nowMs - Date.parse(String(oldest.firstCommit))) / 1000);
    assert.equal(lagSeconds(lag, nowMs), age, message);
  });
});
