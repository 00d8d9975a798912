/**
 * Promise: behind handoffs, where sources repeat transactions of one another on one timeline, a plan gives
 * exactly a prefix of the commit order, in which each transaction stands where it is archived first.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import { restorableWindows } from '../../../src/domain/restore-windows.ts';
import {
  type ArchivedLog,
  binlogOf,
  catalogOf,
  executedAt,
  type LoggedServer,
  offsetOf,
  planOf,
  type TakenBackup,
} from './handoff-history.ts';
import { second } from './history.ts';
import { Random } from './random.ts';

const UUIDS = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '4e11fa47-71ca-11e1-9e33-c80aa9429562'];

interface First {
  readonly gtid: string;
  readonly atSecond: number;
}

interface World {
  readonly logs: readonly ArchivedLog[];
  readonly backups: readonly TakenBackup[];
  /** The commit order of the archive: each transaction where it stands first. */
  readonly order: readonly First[];
}

/** Two servers that hold the same transactions, in nearly the same order, each by its own clock. */
function randomServers(random: Random): LoggedServer[] {
  const count = 4 + random.int(14);
  const gtids = Array.from({ length: count }, (_, n) => `${UUIDS[n > count / 2 ? 1 : 0]}:${n + 1}`);
  const shuffled = random.once(3);
  return UUIDS.map((uuid, index) => {
    const own = [...gtids];
    if (index > 0 && shuffled) {
      const at = random.int(count - 1);
      own.splice(at, 2, own[at + 1] ?? '', own[at] ?? '');
    }
    let now = 1 + random.int(4) * index;
    const log = own.map((gtid) => {
      now = Math.max(1, now + (random.once(6) ? -random.int(3) : random.int(3)));
      return { gtid, atSecond: now };
    });
    return { uuid, log, cloned: index === 0 ? 0 : random.int(4) };
  });
}

/** The logs of one server in turn, then of the other, and so on; each goes on at or before where the archive ends. */
function randomLogs(random: Random, servers: readonly LoggedServer[]): ArchivedLog[] {
  const logs: ArchivedLog[] = [];
  const archived = new Set<string>();
  const ends = [0, servers[1]?.cloned ?? 0];
  const numbers = [1, 1];
  let holder = 0;
  for (let turns = 1 + random.int(4); turns > 0; turns -= 1) {
    const server = servers[holder] as LoggedServer;
    const next = server.log.findIndex(({ gtid }) => !archived.has(gtid));
    const reach = next < 0 ? server.log.length : next;
    // One that was never archived begins anywhere before; one that was goes on where it stopped.
    const before = logs.some((log) => log.server === server);
    let from = before ? (ends[holder] ?? 0) : Math.max(ends[holder] ?? 0, reach - random.int(5));
    if (!before && from > reach) return logs;
    for (let count = 1 + random.int(3); count > 0; count -= 1) {
      const to = Math.min(server.log.length, from + random.int(5));
      logs.push({ server, number: numbers[holder] ?? 1, from, to });
      for (const { gtid } of server.log.slice(from, to)) archived.add(gtid);
      numbers[holder] = (numbers[holder] ?? 1) + 1;
      from = to;
    }
    ends[holder] = from;
    holder = 1 - holder;
  }
  return logs;
}

function randomWorld(random: Random): World {
  const logs = randomLogs(random, randomServers(random));
  const order: First[] = [];
  const seen = new Set<string>();
  for (const { server, from, to } of logs) {
    for (const transaction of server.log.slice(from, to)) {
      if (!seen.has(transaction.gtid)) order.push(transaction);
      seen.add(transaction.gtid);
    }
  }
  const backups = Array.from({ length: 1 + random.int(3) }, () => {
    const log = random.pick(logs);
    return { log, executed: log.from + random.int(log.to - log.from + 1) };
  });
  return { logs, backups, order };
}

/** A target, and how many transactions of the order belong to it; null where it has no exact answer. */
interface Aim {
  readonly target: string;
  readonly prefix: number | null;
  /** True where the target names an offset whose server lacked something of what was archived before its log. */
  readonly lags: boolean;
}

function timeAim({ order }: World, atSecond: number): Aim {
  const end = Math.max(...order.map((it) => it.atSecond));
  const later = order.findIndex((it) => it.atSecond > atSecond);
  const prefix = later < 0 ? order.length : later;
  return {
    target: second(atSecond),
    prefix: order.length === 0 || atSecond > end ? null : prefix,
    lags: false,
  };
}

/** The state of a server at an offset; a target only where it is a prefix of the order. */
function fileAim(random: Random, { logs, order }: World): Aim {
  const log = random.pick(logs);
  const place = log.from + random.int(log.to - log.from + 1);
  const executed = new Set(executedAt(log.server, place));
  const earlier = logs
    .slice(0, logs.indexOf(log))
    .flatMap(({ server, from, to }) => server.log.slice(from, to).map(({ gtid }) => gtid));
  const isPrefix = order.slice(0, executed.size).every(({ gtid }) => executed.has(gtid));
  return {
    target: `file:${log.server.uuid}/${binlogOf(log)}:${offsetOf(log, place)}`,
    prefix: isPrefix && executed.size <= order.length ? executed.size : null,
    lags: !earlier.every((gtid) => executed.has(gtid)),
  };
}

function randomAim(random: Random, world: World): Aim {
  const { order } = world;
  const kind = random.pick(['time', 'before', 'after', 'file', 'latest']);
  if (kind === 'time') return timeAim(world, random.int(26) + (random.once(2) ? 0 : 0.5));
  if (kind === 'file') return fileAim(random, world);
  const index = random.int(Math.max(1, order.length));
  const chosen = order[index];
  if (kind === 'latest' || chosen === undefined)
    return { target: 'latest', prefix: order.length, lags: false };
  return { target: `${kind}:${chosen.gtid}`, prefix: kind === 'before' ? index : index + 1, lags: false };
}

function gtidsOf(text: string): string[] {
  const all: string[] = [];
  GtidSet.parse(text).forEachRange((uuid, _tag, from, to) => {
    for (let n = from; n <= to; n += 1n) all.push(`${uuid}:${n}`);
  });
  return all.sort();
}

function checkPass(world: World, plan: RestorePlan, aim: Aim, skip: ReadonlySet<string>, message: string) {
  const { logs, order } = world;
  assert.notEqual(aim.prefix, null, message);
  const truth = order.slice(0, aim.prefix ?? 0).map(({ gtid }) => gtid);
  const wanted = truth.filter((gtid) => !skip.has(gtid));
  assert.deepEqual(gtidsOf(plan.expectedGtids), wanted.toSorted(), message);
  const base = new Set(gtidsOf(plan.base?.gtidExecuted ?? ''));
  const sent = plan.segments.flatMap(({ serverUuid, binlog, send }) => {
    const log = logs.find((it) => it.server.uuid === serverUuid && binlogOf(it) === binlog);
    assert.ok(log, message);
    const wantedHere = new Set(gtidsOf(send));
    const here = log.server.log.slice(log.from, log.to).map(({ gtid }) => gtid);
    const inOrder = here.filter((gtid) => wantedHere.has(gtid));
    assert.equal(inOrder.length, wantedHere.size, message);
    return inOrder;
  });
  assert.deepEqual(
    sent,
    wanted.filter((gtid) => !base.has(gtid)),
    `${message}: in order, each once`,
  );
  assert.equal(plan.lastIncluded?.gtid, wanted.at(-1), message);
  assert.equal(plan.firstExcluded?.gtid, order[aim.prefix ?? 0]?.gtid, message);
}

/** True where a base holds nothing behind the aim: the rest is archived. */
function isReachable({ backups, order }: World, prefix: number): boolean {
  const inside = new Set(order.slice(0, prefix).map(({ gtid }) => gtid));
  return backups.some(({ log, executed }) =>
    executedAt(log.server, executed).every((gtid) => inside.has(gtid)),
  );
}

describe('the restore planner behind handoffs, against a brute-force oracle', () => {
  it('passes only with the exact prefix, and refuses only what cannot be reached, in 8000 random cases', () => {
    const random = new Random(1125);
    const seen = { PASS: 0, REFUSED: 0, repeated: 0, among: 0 };
    for (let round = 0; round < 8000; round += 1) {
      const world = randomWorld(random);
      const aim = randomAim(random, world);
      const { logs, order, backups } = world;
      const skip = new Set(random.once(5) ? order.filter(() => random.once(8)).map(({ gtid }) => gtid) : []);
      const plan = planOf(catalogOf(logs, backups), logs, aim.target, [...skip].join(','));
      const codes = plan.verdict.reasons.map(({ code }) => code);
      const message = `round ${round}: ${aim.target} gave ${plan.verdict.status} (${codes})`;
      seen[plan.verdict.status] += 1;
      const isAmong = codes.includes('among-repeated');
      assert.equal(isAmong, aim.lags && codes[0] !== 'inside-transaction', message);
      if (isAmong) seen.among += 1;
      if (logs.reduce((sum, { from, to }) => sum + to - from, 0) > order.length) seen.repeated += 1;
      if (plan.verdict.status === 'PASS') checkPass(world, plan, aim, skip, message);
      else if (skip.size === 0 && aim.prefix !== null) {
        const early = aim.target.startsWith('2026') && aim.prefix === 0;
        assert.ok(early || aim.lags || !isReachable(world, aim.prefix), message);
      }
    }
    assert.ok(seen.PASS > 3000 && seen.REFUSED > 1000, JSON.stringify(seen));
    assert.ok(seen.repeated > 2000 && seen.among > 50, JSON.stringify(seen));
  });

  it('gives windows whose ends are targets that a plan reaches, in 1500 random histories', () => {
    const random = new Random(1126);
    let reached = 0;
    for (let round = 0; round < 1500; round += 1) {
      const { logs, backups } = randomWorld(random);
      const facts = catalogOf(logs, backups);
      for (const window of restorableWindows(facts)) {
        assert.equal(window.kind, 'restorable', `round ${round}`);
        if (window.kind !== 'restorable') continue;
        for (const target of [window.toTarget, window.toTime].filter((it) => it !== null)) {
          const plan = planOf(facts, logs, target, '');
          const codes = plan.verdict.reasons.map(({ code }) => code);
          assert.equal(plan.verdict.status, 'PASS', `round ${round}: ${target} (${codes})`);
          if (target !== window.toTarget) continue;
          // It falls short only where no log in reach ends in a state of the commit order.
          const all = new Set(gtidsOf(window.toGtids));
          const reachedGtids = gtidsOf(plan.expectedGtids);
          assert.ok(
            reachedGtids.every((gtid) => all.has(gtid)),
            `round ${round}`,
          );
          if (reachedGtids.length < all.size) continue;
          reached += 1;
        }
      }
    }
    assert.ok(reached > 1000);
  });
});
