import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullBucket, rateLimit, takeBytes } from '../../../src/domain/routing/token-bucket.ts';
import type { Random } from '../domain/random.ts';
import { onSeeds } from './seeds.ts';

interface Sent {
  readonly atMs: number;
  readonly bytes: number;
}

/** Sends chunks one after the other for a while, idling now and then; `idle` 0 never idles. */
function sendAll(
  random: Random,
  bytesPerSecond: number,
  largest: number,
  untilMs: number,
  idle: number,
): Sent[] {
  const limit = rateLimit(bytesPerSecond);
  let bucket = fullBucket(limit, 0);
  let nowMs = 0;
  const sent: Sent[] = [];
  while (nowMs < untilMs) {
    const bytes = 1 + random.int(largest);
    const grant = takeBytes(bucket, limit, bytes, nowMs);
    bucket = grant.bucket;
    assert(grant.sendAtMs >= nowMs);
    nowMs = grant.sendAtMs;
    sent.push({ atMs: nowMs, bytes });
    if (idle > 0 && random.once(idle)) nowMs += random.int(3_000);
  }
  return sent;
}

test('in no span of time is more sent than the limit allows, whatever the chunks and the pauses', (t) => {
  onSeeds(t, 40, (random, message) => {
    const rate = 1_000 + random.int(1_000_000);
    const largest = Math.max(2, Math.floor(rate * (random.int(200) / 100)));
    const sent = sendAll(random, rate, largest, 20_000, 8);
    const { burstBytes } = rateLimit(rate);
    let total = 0;
    for (const { atMs, bytes } of sent) {
      total += bytes;
      assert(total <= burstBytes + (rate * atMs) / 1000 + 1, `${message}: from the start`);
    }
    for (let from = 0; from < sent.length; from += 1) {
      let bytes = 0;
      const start = sent[from] as Sent;
      for (const it of sent.slice(from, from + 300)) {
        bytes += it.bytes;
        const allowed = Math.max(burstBytes, start.bytes) + (rate * (it.atMs - start.atMs + 1)) / 1000;
        assert(
          bytes <= allowed,
          `${message}: ${bytes} bytes in ${it.atMs - start.atMs} ms at ${rate} a second`,
        );
      }
    }
  });
});

test('a pipeline that always has something to send comes within a tenth of its limit, above and below', (t) => {
  onSeeds(t, 40, (random, message) => {
    const rate = 10_000 + random.int(10_000_000);
    const sent = sendAll(random, rate, Math.floor(rate / 3), 10_000, 0);
    const bytes = sent.filter(({ atMs }) => atMs <= 10_000).reduce((sum, it) => sum + it.bytes, 0);
    const share = bytes / (rate * 10);
    assert(share > 0.9 && share < 1.1, `${message}: ${share} of the limit`);
  });
});

test('a clock that steps back earns nothing twice', (t) => {
  onSeeds(t, 40, (random, message) => {
    const rate = 1_000_000;
    const limit = rateLimit(rate);
    let bucket = fullBucket(limit, 0);
    let highestMs = 0;
    let total = 0;
    for (let n = 0; n < 500; n += 1) {
      const nowMs = Math.max(0, highestMs + random.int(100) - 60);
      const bytes = random.int(5_000);
      const grant = takeBytes(bucket, limit, bytes, nowMs);
      bucket = grant.bucket;
      highestMs = Math.max(highestMs, grant.sendAtMs);
      total += bytes;
      assert(total <= limit.burstBytes + (rate * highestMs) / 1000 + 1, message);
    }
  });
});

test('a chunk larger than the bucket goes when its debt is paid', () => {
  const limit = rateLimit(1_000);
  const first = takeBytes(fullBucket(limit, 0), limit, 5_250, 0);
  assert.equal(first.sendAtMs, 5_000);
  assert.equal(takeBytes(first.bucket, limit, 1_000, 5_000).sendAtMs, 6_000);
});
