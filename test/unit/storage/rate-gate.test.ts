/** Promise: streams that share a limit keep to it together within 10 %, and the narrowest limit on the way is the one that counts. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { type GateClock, RateGate } from '../../../src/storage/guard/rate-gate.ts';

const MIB = 1024 * 1024;

/** A clock that jumps to the next sleeper's end once everybody sleeps or has ended. */
class VirtualClock implements GateClock {
  #nowMs = 0;
  readonly #sleepers: { readonly endMs: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.#sleepers.push({ endMs: this.#nowMs + ms, wake }));
  }

  /** Lets time pass until the work is done. */
  async run(work: readonly Promise<void>[]): Promise<void> {
    let isDone = false;
    const all = Promise.all(work).finally(() => {
      isDone = true;
    });
    for (;;) {
      await new Promise(setImmediate);
      if (isDone) break;
      this.#sleepers.sort((a, b) => a.endMs - b.endMs);
      const next = this.#sleepers.shift();
      assert.ok(next, 'somebody waits for something else than the clock');
      this.#nowMs = Math.max(this.#nowMs, next.endMs);
      next.wake();
    }
    await all;
  }
}

interface Arrival {
  readonly stream: number;
  readonly bytes: number;
  readonly atMs: number;
}

interface Stream {
  /** From the source to the store, as `uploadSegment` and the guard of a store put them one behind the other. */
  readonly gates: readonly RateGate[];
  readonly chunkBytes: number;
  readonly totalBytes: number;
}

/** Sends all streams at once; tells what came out of the last gate of each, and when. */
async function sendAll(clock: VirtualClock, streams: readonly Stream[]): Promise<Arrival[]> {
  const arrivals: Arrival[] = [];
  const work = streams.map(async ({ gates, chunkBytes, totalBytes }, stream) => {
    const paced = gates.reduce<AsyncIterable<Uint8Array>>(
      (body, gate) => gate.paced(body, undefined),
      chunksOf(chunkBytes, totalBytes),
    );
    for await (const { length } of paced) arrivals.push({ stream, bytes: length, atMs: clock.now() });
  });
  await clock.run(work);
  return arrivals;
}

async function* chunksOf(chunkBytes: number, totalBytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < totalBytes; sent += chunkBytes) {
    yield new Uint8Array(Math.min(chunkBytes, totalBytes - sent));
  }
}

/** All that came keeps to a limit at every moment, and comes within a tenth of it in the end. */
function assertKeepsTo(limit: number, arrivals: readonly Arrival[], totalBytes: number): void {
  const largest = Math.max(...arrivals.map(({ bytes }) => bytes));
  let sent = 0;
  for (const { bytes, atMs } of arrivals) {
    sent += bytes;
    // A burst of a quarter of a second at the start.
    const allowed = limit * (0.25 + atMs / 1000) + largest;
    assert.ok(sent <= allowed, `${sent} bytes after ${atMs} ms, ${allowed} allowed`);
  }
  assert.equal(sent, totalBytes);
  const rate = sent / ((arrivals.at(-1)?.atMs ?? 0) / 1000);
  assert.ok(Math.abs(rate - limit) <= 0.1 * limit, `${rate} bytes a second of ${limit}`);
}

test('several streams through one limit keep to it together, whatever the sizes of their chunks', async () => {
  const clock = new VirtualClock();
  const limit = 3 * MIB;
  const shared = new RateGate(limit, clock);
  const streams = [MIB / 16, MIB / 3, MIB, 12_345].map((chunkBytes) => ({
    gates: [shared],
    chunkBytes: Math.floor(chunkBytes),
    totalBytes: 16 * MIB,
  }));
  const arrivals = await sendAll(clock, streams);
  assertKeepsTo(limit, arrivals, 4 * 16 * MIB);
  const beganLast = Math.max(
    ...streams.map((_, stream) => arrivals.find((it) => it.stream === stream)?.atMs ?? Infinity),
  );
  assert.ok(beganLast < 2000, `every stream moves from the start, the last one after ${beganLast} ms`);
});

for (const [source, store] of [
  [2 * MIB, 5 * MIB],
  [5 * MIB, 2 * MIB],
  [3 * MIB, 3 * MIB],
] as const) {
  test(`with ${source / MIB} MiB/s from the source and ${store / MIB} MiB/s to the store the lesser one holds`, async () => {
    const clock = new VirtualClock();
    const gates = [new RateGate(source, clock), new RateGate(store, clock)];
    const stream = { gates, chunkBytes: 64 * 1024, totalBytes: 10 * MIB };
    const arrivals = await sendAll(clock, [stream, stream, stream]);
    assertKeepsTo(Math.min(source, store), arrivals, 30 * MIB);
  });
}

test('two sources with limits of their own fill one store no faster than its limit, and two stores no faster than theirs', async () => {
  const clock = new VirtualClock();
  const toStore = new RateGate(4 * MIB, clock);
  const fromEach = [new RateGate(3 * MIB, clock), new RateGate(3 * MIB, clock)];
  const intoOne = fromEach.map((gate) => ({
    gates: [gate, toStore],
    chunkBytes: 64 * 1024,
    totalBytes: 20 * MIB,
  }));
  assertKeepsTo(4 * MIB, await sendAll(clock, intoOne), 40 * MIB);

  const later = new VirtualClock();
  const fromOne = new RateGate(3 * MIB, later);
  const intoEach = [5, 5].map((mib) => ({
    gates: [fromOne, new RateGate(mib * MIB, later)],
    chunkBytes: 64 * 1024,
    totalBytes: 20 * MIB,
  }));
  assertKeepsTo(3 * MIB, await sendAll(later, intoEach), 40 * MIB);
});
