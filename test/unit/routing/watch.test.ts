import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { archiveLag, type LagLog, lagSeconds } from '../../../src/domain/routing/archive-lag.ts';
import { judgeWatch, type Watched, type WatchLook } from '../../../src/domain/routing/watch.ts';
import { PRIMARY, text } from './handoff-world.ts';
import { onSeeds } from './seeds.ts';

const LIMITS = { lagSeconds: 300, unreachableSeconds: 5, silentSeconds: 5 };
const NEW: Watched = { serverUuid: PRIMARY, failingSinceMs: null, stuck: null };

/** Looks one after the other; when the first failure is found, in seconds, and of which kind. */
function firstFinding(looks: readonly WatchLook[]): readonly [number, string] | null {
  let known = NEW;
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

function waits(second: number, log: string | null): WatchLook {
  const lag = { transactions: log === null ? 0 : 7, since: log };
  return { startedAtMs: second * 1000, nowMs: second * 1000, reach: 'reachable', lag };
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
  const stays = Array.from({ length: 100 }, (_, n) => waits(n * 10, 'the same'));
  assert.deepEqual(firstFinding(stays), [310, 'lag']);
  const idle = Array.from({ length: 100 }, (_, n) => waits(n * 10, null));
  assert.equal(firstFinding(idle), null);
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
