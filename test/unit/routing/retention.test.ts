import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RetainedLog, retentionAlarm } from '../../../src/domain/routing/retention-alarm.ts';
import type { Random } from '../domain/random.ts';
import { onSeeds } from './seeds.ts';

const MINUTE = 60_000;

/** A server that rotates at random, and purges at rotations as mysqld does: by the time of the last write. */
function purgeTime(random: Random, log: RetainedLog, expireSeconds: number): number {
  let nowMs = log.lastWrittenAtMs ?? 0;
  for (;;) {
    nowMs += 1 + random.int(40 * MINUTE);
    if (nowMs - (log.lastWrittenAtMs ?? 0) > expireSeconds * 1000) return nowMs;
  }
}

test('the server never purges a log before the minutes of the alarm are over, and the alarm came long before', (t) => {
  onSeeds(t, 300, (random, message) => {
    const expireSeconds = 600 + random.int(30 * 86_400);
    const writtenMs = 1_000_000;
    const log: RetainedLog = {
      binlog: 'binlog.000007',
      sizeBytes: 100,
      lastWrittenAtMs: writtenMs,
      stands: 'only-on-server',
    };
    const open: RetainedLog = { ...log, binlog: 'binlog.000008', lastWrittenAtMs: null };
    const purgedMs = purgeTime(random, log, expireSeconds);
    let firstWarning: number | null = null;
    let firstCritical: number | null = null;
    let before = Number.POSITIVE_INFINITY;
    const stepMs = (purgedMs - writtenMs) / 200;
    for (let step = 0; step <= 200; step += 1) {
      const nowMs = Math.floor(writtenMs + stepMs * step);
      const alarm = retentionAlarm({ logs: [log, open], expireSeconds, autoPurge: 'ON', nowMs });
      assert(alarm.reason === 'counting-down', message);
      assert(nowMs + alarm.minutesLeft * MINUTE <= purgedMs, `${message}: promised too much`);
      assert(alarm.minutesLeft <= before, `${message}: never grows by itself`);
      before = alarm.minutesLeft;
      if (alarm.level !== 'none') firstWarning ??= nowMs;
      if (alarm.level === 'critical') firstCritical ??= nowMs;
    }
    assert(firstWarning !== null && firstCritical !== null, message);
    const retentionMs = expireSeconds * 1000;
    assert(purgedMs - firstWarning + stepMs >= retentionMs * 0.75, `${message}: warned late`);
    const critical = Math.min(retentionMs / 2, 3 * 86_400_000);
    assert(purgedMs - firstCritical + stepMs >= critical, `${message}: critical late`);
  });
});

const closed = (n: number, stands: RetainedLog['stands'], lastWrittenAtMs: number | null): RetainedLog => ({
  binlog: `binlog.${String(n).padStart(6, '0')}`,
  sizeBytes: 10 * n,
  lastWrittenAtMs,
  stands,
});

test('the alarm counts the oldest log that only the server has, and what waits behind it', () => {
  const logs = [
    closed(1, 'archived', 0),
    closed(2, 'staged', 1 * MINUTE),
    closed(3, 'only-on-server', 30 * MINUTE),
    closed(4, 'only-on-server', 40 * MINUTE),
    closed(5, 'only-on-server', null),
  ];
  const facts = { logs, expireSeconds: 3600, autoPurge: 'ON', nowMs: 50 * MINUTE } as const;
  assert.deepEqual(retentionAlarm(facts), {
    level: 'warning',
    reason: 'counting-down',
    binlog: 'binlog.000003',
    minutesLeft: 40,
    atRisk: { logs: 3, bytes: 90, staged: 1 },
  });
  assert.equal(retentionAlarm({ ...facts, nowMs: 61 * MINUTE }).level, 'critical');
  assert.deepEqual(retentionAlarm({ ...facts, autoPurge: 'OFF' }), {
    level: 'none',
    reason: 'no-purge',
    binlog: 'binlog.000003',
    atRisk: { logs: 3, bytes: 90, staged: 1 },
  });
  assert.deepEqual(
    retentionAlarm({ ...facts, logs: [closed(1, 'archived', 0), closed(2, 'only-on-server', 0)] }),
    {
      level: 'none',
      reason: 'all-archived',
    },
  );
});

test('a staged log survives its purge, so it warns and is never critical', () => {
  const logs = [closed(1, 'staged', 0), closed(2, 'only-on-server', null)];
  const alarm = retentionAlarm({ logs, expireSeconds: 3600, autoPurge: 'ON', nowMs: 600 * MINUTE });
  assert(alarm.reason === 'counting-down');
  assert.equal(alarm.level, 'warning');
  assert.equal(alarm.minutesLeft, 0);
});

test('a log of unknown age is taken for as old as can be', () => {
  const facts = { expireSeconds: 3600, autoPurge: 'ON', nowMs: 600 * MINUTE } as const;
  const unknown = [closed(1, 'only-on-server', null), closed(2, 'only-on-server', null)];
  const worst = retentionAlarm({ ...facts, logs: unknown });
  assert(worst.reason === 'counting-down' && worst.minutesLeft === 0 && worst.level === 'critical');
  const behindYounger = [closed(1, 'archived', 590 * MINUTE), ...unknown];
  const alarm = retentionAlarm({ ...facts, logs: behindYounger });
  assert(alarm.reason === 'counting-down' && alarm.minutesLeft === 50, 'no older than the log before it');
});
