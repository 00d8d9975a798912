import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { type Cover, coverGtids, DEFAULT_MAX_STATES } from '../../../src/domain/routing/cover.ts';
import type { CoverSegment } from '../../../src/domain/routing/cover-chain.ts';
import { SERVER } from '../domain/history.ts';
import type { Random } from '../domain/random.ts';
import { onSeeds } from './seeds.ts';

/** Transactions are numbers here, in the order of the first server. */
interface Log {
  readonly chain: string;
  readonly binlog: string;
  readonly before: ReadonlySet<number>;
  readonly holds: readonly number[];
  readonly costs: readonly number[];
}

interface World {
  /** The commit order of each server. */
  readonly orders: readonly (readonly number[])[];
  readonly logs: readonly Log[];
  readonly wanted: ReadonlySet<number>;
  readonly has: ReadonlySet<number>;
}

function setOf(numbers: Iterable<number>): GtidSet {
  return GtidSet.of(...[...numbers].map((n) => parseGtid(`${SERVER}:${n}`)));
}

/** The order of a replica with parallel workers: neighbours swap now and then. */
function reorder(random: Random, order: readonly number[], swaps: number): number[] {
  const out = [...order];
  for (let n = 0; n < swaps; n += 1) {
    const at = random.int(Math.max(1, out.length - 1));
    const [a, b] = [out[at], out[at + 1]];
    if (a === undefined || b === undefined) continue;
    out[at] = b;
    out[at + 1] = a;
  }
  return out;
}

/** Cuts a server's order into logs; some are lost, some lie in stores that cannot be read. */
function logsOf(random: Random, server: number, order: readonly number[], losses: number): Log[] {
  const logs: Log[] = [];
  for (let at = 0, n = 0; at < order.length; n += 1) {
    const end = Math.min(order.length, at + 1 + random.int(4));
    const costs = Array.from({ length: random.once(9) ? 0 : 1 + random.int(2) }, () => random.int(9));
    const log = {
      chain: `server-${server}`,
      binlog: `binlog.${server}.${n}`,
      before: new Set(order.slice(0, at)),
      holds: order.slice(at, end),
      costs,
    };
    if (losses === 0 || !random.once(losses)) logs.push(log);
    at = end;
  }
  return logs;
}

/** What is there forms a state in which every server once was: the target, and the base below it. */
function downClosed(random: Random, orders: readonly (readonly number[])[]): Set<number> {
  const [first = []] = orders;
  const picked = new Set(first.slice(0, random.int(first.length + 1)));
  for (let grew = true; grew; ) {
    grew = false;
    for (const n of first) {
      if (picked.has(n) || ![...picked].some((later) => precedesEverywhere(orders, n, later))) continue;
      picked.add(n);
      grew = true;
    }
  }
  return picked;
}

/** True where every server committed one before the other: the other may depend on it. */
function precedesEverywhere(orders: readonly (readonly number[])[], a: number, b: number): boolean {
  return orders.every((order) => order.indexOf(a) < order.indexOf(b));
}

function randomWorld(random: Random): World {
  const length = 3 + random.int(7);
  const first = Array.from({ length }, (_, n) => n + 1);
  const swaps = random.pick([0, 0, 1, 3]);
  const orders = [first, ...Array.from({ length: random.int(3) }, () => reorder(random, first, swaps))];
  const losses = random.pick([0, 0, 3, 5]);
  const logs = orders.flatMap((order, server) => logsOf(random, server, order, losses));
  const wanted = downClosed(random, orders);
  const base = downClosed(random, orders);
  return { orders, logs, wanted, has: new Set([...base].filter((n) => wanted.has(n))) };
}

function segmentsOf(world: World): CoverSegment[] {
  return world.logs.map(({ chain, binlog, before, holds, costs }) => ({
    chain,
    binlog,
    before: setOf(before),
    gtids: setOf(holds),
    copies: costs.map((cost, n) => ({ store: `store-${n}`, cost })),
  }));
}

function coverOf(world: World, maxStates = DEFAULT_MAX_STATES): Cover {
  const { wanted, has } = world;
  return coverGtids({ wanted: setOf(wanted), has: setOf(has), segments: segmentsOf(world), maxStates });
}

function bits(numbers: Iterable<number>): number {
  let mask = 0;
  for (const n of numbers) mask |= 1 << n;
  return mask;
}

/** The cheapest cost by trying every set of logs in every order that the rule allows; null without one. */
function bruteForce({ logs, wanted, has }: World): number | null {
  const need = bits([...wanted].filter((n) => !has.has(n)));
  const readable = logs
    .filter(({ costs }) => costs.length > 0)
    .map(({ before, holds, costs }) => ({
      before: bits(before) & need,
      holds: bits(holds) & need,
      cost: Math.min(...costs),
    }));
  // One entry a set of logs: what is there, and the least cost of an order that the rule allows.
  const there = new Int32Array(1 << readable.length);
  const best = new Array<number>(1 << readable.length).fill(Number.POSITIVE_INFINITY);
  best[0] = 0;
  let cheapest = Number.POSITIVE_INFINITY;
  for (let mask = 0; mask < best.length; mask += 1) {
    readable.forEach(({ holds }, n) => {
      if (mask & (1 << n)) there[mask] = (there[mask] as number) | holds;
    });
    const cost = best[mask] as number;
    if (there[mask] === need) cheapest = Math.min(cheapest, cost);
    readable.forEach(({ before, cost: more }, n) => {
      if (mask & (1 << n) || (before & ~(there[mask] as number)) !== 0) return;
      best[mask | (1 << n)] = Math.min(best[mask | (1 << n)] as number, cost + more);
    });
  }
  return cheapest === Number.POSITIVE_INFINITY ? null : cheapest;
}

/** Numbers of a set of this world, in order. */
function numbersOf(gtids: GtidSet): number[] {
  const numbers: number[] = [];
  gtids.forEachRange((_uuid, _tag, from, to) => {
    for (let n = from; n <= to; n += 1n) numbers.push(Number(n));
  });
  return numbers;
}

/** Applies the steps as a replica would, file by file in file order, and looks at every dependency. */
function assertApplies(world: World, cover: Extract<Cover, { kind: 'complete' }>, message: string): void {
  const applied: number[] = [];
  for (const { segment, send } of cover.steps) {
    assert(!send.isEmpty, message);
    const log = world.logs.find(({ binlog }) => binlog === segment.binlog) as Log;
    applied.push(...log.holds.filter((n) => send.contains(parseGtid(`${SERVER}:${n}`))));
    assert.equal(BigInt(log.holds.filter((n) => numbersOf(send).includes(n)).length), send.count(), message);
  }
  const need = [...world.wanted].filter((n) => !world.has.has(n)).sort((a, b) => a - b);
  assert.deepEqual(
    [...applied].sort((a, b) => a - b),
    need,
    `${message}: each wanted transaction once`,
  );
  applied.forEach((later, index) => {
    const early = applied.slice(index + 1).find((n) => precedesEverywhere(world.orders, n, later));
    assert.equal(early, undefined, `${message}: ${early} came after ${later}, which may depend on it`);
  });
}

test('the cover is complete, in an order that keeps every dependency, and no other is cheaper', (t) => {
  let complete = 0;
  let incomplete = 0;
  onSeeds(t, 400, (random, message) => {
    const world = randomWorld(random);
    if (world.logs.length > 13) return;
    const cover = coverOf(world);
    const cheapest = bruteForce(world);
    assert.equal(cover.kind === 'complete', cheapest !== null, `${message}: ${cover.kind}`);
    if (cover.kind === 'incomplete') {
      incomplete += 1;
      const readable = new Set(
        world.logs.filter(({ costs }) => costs.length > 0).flatMap(({ holds }) => holds),
      );
      const missing = [...world.wanted].filter((n) => !world.has.has(n) && !readable.has(n));
      assert.deepEqual(
        numbersOf(cover.missing),
        missing.sort((a, b) => a - b),
        message,
      );
      return;
    }
    complete += 1;
    assert.equal(cover.proof, 'cheapest', message);
    assert.equal(cover.cost, cheapest, message);
    assertApplies(world, cover, message);
  });
  t.diagnostic(`${complete} complete, ${incomplete} incomplete`);
  assert(complete > 100 && incomplete > 20, 'both happen');
});

test('where the search is cut short the cover is complete and in order all the same', (t) => {
  onSeeds(t, 200, (random, message) => {
    const world = randomWorld(random);
    const [whole, cut] = [coverOf(world), coverOf(world, 1)];
    assert.equal(cut.kind, whole.kind, message);
    if (cut.kind === 'incomplete' || whole.kind === 'incomplete') return;
    assert(cut.cost >= whole.cost, message);
    assertApplies(world, cut, message);
  });
});

test('a lost log of one server is covered by the other, and the first goes on behind it', () => {
  const log = (chain: string, n: number, from: number, to: number, cost = 1): CoverSegment => ({
    chain,
    binlog: `${chain}.${n}`,
    before: from === 1 ? GtidSet.EMPTY : GtidSet.parse(`${SERVER}:1-${from - 1}`),
    gtids: GtidSet.parse(`${SERVER}:${from}-${to}`),
    copies: [{ store: 'main', cost }],
  });
  const segments = [log('a', 1, 1, 10), log('a', 3, 21, 30), log('b', 1, 1, 15, 5), log('b', 2, 16, 25, 5)];
  const request = { wanted: GtidSet.parse(`${SERVER}:1-30`), has: GtidSet.EMPTY, maxStates: 1_000 };
  const cover = coverGtids({ ...request, segments });
  assert(cover.kind === 'complete');
  assert.deepEqual(
    cover.steps.map(({ segment, send }) => `${segment.binlog} ${send}`),
    ['b.1', 'b.2', 'a.3'].map((name, n) => `${name} ${SERVER}:${['1-15', '16-25', '26-30'][n]}`),
  );
  const without = coverGtids({ ...request, segments: segments.filter(({ binlog }) => binlog !== 'b.2') });
  assert(without.kind === 'incomplete');
  assert.equal(without.missing.toString(), `${SERVER}:16-20`);
  assert.equal(without.blocked.toString(), `${SERVER}:21-30`);
});

test('a year of logs of two servers is covered in seconds', () => {
  const logs = 20_000;
  const chain = (name: string, shift: number): CoverSegment[] =>
    Array.from({ length: logs }, (_, n) => {
      const [from, to] = [Math.max(1, n * 10 + 1 - shift), n * 10 + 10 - shift];
      return {
        chain: name,
        binlog: `${name}.${n}`,
        before: from === 1 ? GtidSet.EMPTY : GtidSet.parse(`${SERVER}:1-${from - 1}`),
        gtids: GtidSet.parse(`${SERVER}:${from}-${to}`),
        copies: n % 100 === 99 && name === 'a' ? [] : [{ store: 'main', cost: name === 'a' ? 1 : 3 }],
      };
    });
  const wanted = GtidSet.parse(`${SERVER}:1-${logs * 10 - 20}`);
  const startedAt = performance.now();
  const cover = coverGtids({
    wanted,
    has: GtidSet.EMPTY,
    segments: [...chain('a', 0), ...chain('b', 5)],
    maxStates: DEFAULT_MAX_STATES,
  });
  assert(cover.kind === 'complete');
  assert.equal(cover.proof, 'cheapest');
  assert(GtidSet.unionAll(cover.steps.map(({ send }) => send)).equals(wanted));
  assert(performance.now() - startedAt < 20_000);
});
