import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffCeilingMs, fullJitterMs } from '../../../src/domain/routing/backoff.ts';
import {
  admit,
  type Circuit,
  type CircuitEvent,
  CLOSED_CIRCUIT,
  DEFAULT_CIRCUIT,
  detectionCeilingMs,
  STORE_TRY,
  stepCircuit,
} from '../../../src/domain/routing/circuit.ts';
import type { Random } from '../domain/random.ts';
import { chanceOf, onSeeds } from './seeds.ts';

const CAUSE = { code: 'StoreUnreachable', message: 'it is down' };

test('full jitter spreads over the whole way up to the ceiling, and never above it', (t) => {
  const backoff = { baseMs: 100, capMs: 3_000 };
  onSeeds(t, 5, (random, message) => {
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const ceiling = Math.min(3_000, 100 * 2 ** attempt);
      const delays = Array.from({ length: 200 }, () => fullJitterMs(backoff, attempt, chanceOf(random)));
      assert(
        delays.every((delay) => delay >= 0 && delay < ceiling),
        message,
      );
      assert(Math.min(...delays) < ceiling * 0.1 && Math.max(...delays) > ceiling * 0.9, message);
      assert.equal(backoffCeilingMs(backoff, attempt), ceiling);
    }
  });
});

test('a dead store is detected, tried one by one, within ten seconds at default settings', () => {
  assert(detectionCeilingMs() <= 10_000, `${detectionCeilingMs()} ms`);
});

/** What a watcher with a whole memory says of a circuit: the failures since it was last known to work. */
function mustBeOpen(events: readonly CircuitEvent[]): boolean {
  const lastSuccess = events.findLastIndex((event) => event.kind === 'succeeded');
  return (
    events.slice(lastSuccess + 1).filter(({ kind }) => kind === 'failed').length >= DEFAULT_CIRCUIT.threshold
  );
}

test('a circuit opens at the third failure in a row, and at nothing less', (t) => {
  onSeeds(t, 300, (random, message) => {
    let circuit: Circuit = CLOSED_CIRCUIT;
    const events: CircuitEvent[] = [];
    for (let atMs = 0; atMs < 40 && circuit.kind === 'closed'; atMs += 1) {
      const event: CircuitEvent = random.once(2)
        ? { kind: 'succeeded', work: 'transfer', atMs }
        : { kind: 'failed', work: 'transfer', atMs, cause: CAUSE, chance: chanceOf(random) };
      events.push(event);
      circuit = stepCircuit(circuit, event);
      assert.equal(circuit.kind === 'open', mustBeOpen(events), message);
    }
  });
});

test('whatever comes in whatever order: no work passes but through a closed circuit, one probe at a time', (t) => {
  onSeeds(t, 200, (random, message) => {
    let circuit: Circuit = CLOSED_CIRCUIT;
    let atMs = 0;
    let probeStartedMs = Number.NEGATIVE_INFINITY;
    for (let n = 0; n < 200; n += 1) {
      atMs += random.int(4_000);
      const before = circuit;
      const admission = admit(circuit, atMs);
      assert.equal(admission.kind === 'pass', circuit.kind === 'closed', message);
      if (admission.kind === 'probe' && random.once(2)) {
        const waits = circuit.kind === 'half-open' ? DEFAULT_CIRCUIT.probeTimeoutMs : 0;
        assert(atMs - probeStartedMs >= waits, `${message}: two probes at once`);
        probeStartedMs = atMs;
        circuit = stepCircuit(circuit, { kind: 'probe-started', atMs });
        assert.equal(circuit.kind, 'half-open', message);
        continue;
      }
      const work = random.pick(['transfer', 'probe'] as const);
      const kind = random.pick(['succeeded', 'failed', 'failed', 'probe-started'] as const);
      const event: CircuitEvent =
        kind === 'failed'
          ? { kind, work, atMs, cause: CAUSE, chance: chanceOf(random) }
          : { kind, work, atMs };
      circuit = stepCircuit(circuit, event);
      assert.deepEqual(JSON.parse(JSON.stringify(circuit)), circuit, 'plain JSON');
      if (kind === 'probe-started' && circuit !== before) probeStartedMs = atMs;
      if (kind === 'failed' && work === 'transfer' && before.kind !== 'closed') {
        assert.deepEqual(circuit, before, `${message}: a late failure says nothing new`);
      }
    }
  });
});

interface Outage {
  readonly downMs: number;
  readonly upMs: number;
}

/** Drives a store through an outage, as a pipeline does: try, or wait for what the circuit says. */
function drive(random: Random, { downMs, upMs }: Outage) {
  let circuit: Circuit = CLOSED_CIRCUIT;
  let nowMs = 0;
  let openedMs: number | null = null;
  let attempt = 0;
  const probes: number[] = [];
  while (nowMs < upMs + 120_000) {
    const admission = admit(circuit, nowMs);
    if (admission.kind === 'hold') {
      nowMs = admission.untilMs;
      continue;
    }
    const work = admission.kind === 'probe' ? 'probe' : 'transfer';
    if (work === 'probe') {
      circuit = stepCircuit(circuit, { kind: 'probe-started', atMs: nowMs });
      probes.push(nowMs);
    }
    const isDown = nowMs >= downMs && nowMs < upMs;
    nowMs += isDown ? STORE_TRY.stallMs : 50;
    circuit = isDown
      ? stepCircuit(circuit, { kind: 'failed', work, atMs: nowMs, cause: CAUSE, chance: chanceOf(random) })
      : stepCircuit(circuit, { kind: 'succeeded', work, atMs: nowMs });
    if (circuit.kind === 'open' && openedMs === null) openedMs = nowMs;
    if (!isDown && nowMs > upMs && circuit.kind === 'closed') return { openedMs, closedMs: nowMs, probes };
    if (isDown && circuit.kind === 'closed')
      nowMs += fullJitterMs(STORE_TRY.retry, attempt++, chanceOf(random));
    else attempt = 0;
  }
  return { openedMs, closedMs: null, probes };
}

test('an outage is noticed in time, probed with growing pauses, and over soon after the store is back', (t) => {
  onSeeds(t, 200, (random, message) => {
    const downMs = 1_000 + random.int(5_000);
    const outage = { downMs, upMs: downMs + 20_000 + random.int(1_000_000) };
    const { openedMs, closedMs, probes } = drive(random, outage);
    assert(openedMs !== null && closedMs !== null, message);
    assert(
      openedMs - downMs <= detectionCeilingMs() + 50,
      `${message}: noticed after ${openedMs - downMs} ms`,
    );
    const { minProbeDelayMs, probe } = DEFAULT_CIRCUIT;
    const longest = minProbeDelayMs + probe.capMs + STORE_TRY.stallMs + 100;
    assert(closedMs - outage.upMs <= longest, `${message}: closed ${closedMs - outage.upMs} ms late`);
    // With full jitter a pause is half the cap on average: a long outage must not be hammered.
    const most = (outage.upMs - downMs) / (minProbeDelayMs + STORE_TRY.stallMs) + 2;
    assert(probes.length <= most, `${message}: ${probes.length} probes`);
  });
});

test('a transfer that ends well after the circuit opened brings the probe forward, and no more', () => {
  let circuit: Circuit = CLOSED_CIRCUIT;
  for (let atMs = 0; atMs < 3; atMs += 1) {
    circuit = stepCircuit(circuit, { kind: 'failed', work: 'transfer', atMs, cause: CAUSE, chance: 0.9 });
  }
  assert.equal(admit(circuit, 10).kind, 'hold');
  circuit = stepCircuit(circuit, { kind: 'succeeded', work: 'transfer', atMs: 10 });
  assert.equal(circuit.kind, 'open');
  assert.equal(admit(circuit, 10).kind, 'probe');
});

test('whoever asks gets a probe that begins after the question, and no store is tried twice at once', (t) => {
  onSeeds(t, 200, (random, message) => {
    const failed = { kind: 'failed', work: 'transfer', cause: CAUSE } as const;
    let circuit: Circuit = CLOSED_CIRCUIT;
    for (let atMs = 0; circuit.kind === 'closed'; atMs += 1) {
      circuit = stepCircuit(circuit, { ...failed, atMs, chance: chanceOf(random) });
    }
    const askedAtMs = 3 + random.int(100_000);
    const asked = stepCircuit(circuit, { kind: 'probe-asked', atMs: askedAtMs });
    assert.deepEqual(admit(asked, askedAtMs), { kind: 'probe' }, message);
    const probing = stepCircuit(asked, { kind: 'probe-started', atMs: askedAtMs });
    assert.equal(admit(probing, askedAtMs + 1).kind, 'hold', message);
    const failure = { ...failed, work: 'probe', atMs: askedAtMs + 1, chance: chanceOf(random) } as const;
    const again = stepCircuit(stepCircuit(probing, failure), { kind: 'probe-asked', atMs: askedAtMs + 1 });
    assert.deepEqual(admit(again, askedAtMs + 1), { kind: 'probe' }, message);
    // The one who began it is gone: whoever goes on begins another one, and counts no failure for it.
    const left = stepCircuit(probing, { kind: 'probe-asked', atMs: askedAtMs + 2 });
    assert.deepEqual(admit(left, askedAtMs + 2), { kind: 'probe' }, message);
    assert.ok(left.kind === 'open' && left.failedProbes === 0, message);
  });
  assert.deepEqual(stepCircuit(CLOSED_CIRCUIT, { kind: 'probe-asked', atMs: 5 }), CLOSED_CIRCUIT);
});
