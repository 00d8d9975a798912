import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RestorePlan } from '../../../src/domain/restore-plan.ts';
import { FIRST_OFFSET, History, type HistoryBackup, type HistoryLog, SERVER, second } from './history.ts';
import { Random } from './random.ts';

const OTHER = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

/** A transaction of the true history, archived or not. */
interface True {
  readonly gtid: string;
  readonly atSecond: number;
  readonly log: number;
  readonly place: number;
  readonly archived: boolean;
}

interface World {
  readonly history: History;
  readonly all: readonly True[];
  readonly backups: readonly HistoryBackup[];
  readonly lossless: boolean;
}

/** A server's life: holes and late numbers, clocks that step, empty logs, lost logs, bases anywhere. */
function randomWorld(random: Random): World {
  const logs: HistoryLog[] = [];
  const free = [...Array(60).keys()].flatMap((n) => [`${SERVER}:${n + 1}`, `${OTHER}:t:${n + 1}`]);
  const lossy = random.once(3);
  let now = 1;
  for (let count = 2 + random.int(5); count > 0; count -= 1) {
    const transactions = Array.from({ length: random.int(7) }, () => {
      now += random.once(6) ? -random.int(4) : random.int(3);
      now = Math.max(1, now);
      return { gtid: free.splice(random.int(4), 1)[0] as string, atSecond: now };
    });
    logs.push({ transactions, fate: lossy && random.once(3) ? 'lost' : 'archived' });
  }
  const backups: HistoryBackup[] = Array.from({ length: random.int(4) }, () => {
    const log = 1 + random.int(logs.length);
    const transactions = random.int((logs[log - 1]?.transactions.length ?? 0) + 1);
    return { log, transactions, finishedSecond: 0 };
  }).sort((a, b) => a.log - b.log || a.transactions - b.transactions);
  const dated = backups.map((backup, k) => ({ ...backup, finishedSecond: 1000 + k }));
  const all = logs.flatMap(({ transactions, fate }, log) =>
    transactions.map(({ gtid, atSecond }, place) => {
      return { gtid: gtid ?? '', atSecond, log: log + 1, place, archived: fate !== 'lost' };
    }),
  );
  const lossless = logs.every(({ fate }) => fate !== 'lost');
  return { history: new History(logs, dated), all, backups: dated, lossless };
}

/** A target and how many transactions of the true history it includes; null where it has no exact answer. */
interface Aim {
  readonly target: string;
  readonly prefix: number | null;
}

function timeAim(world: World, atSecond: number): Aim {
  const archived = world.all.filter((it) => it.archived);
  const end = Math.max(...archived.map((it) => it.atSecond));
  const firstLater = world.all.findIndex((it) => it.atSecond > atSecond);
  const unknowable = archived.length === 0 || atSecond > end;
  return {
    target: second(atSecond),
    prefix: unknowable ? null : firstLater < 0 ? world.all.length : firstLater,
  };
}

function randomAim(random: Random, world: World): Aim {
  const kind = random.pick(['time', 'before', 'after', 'file', 'latest']);
  if (kind === 'time') return timeAim(world, random.int(30) + (random.once(2) ? 0 : 0.5));
  const index = random.int(world.all.length);
  const chosen = world.all[index];
  if (kind === 'latest' || chosen === undefined) {
    const lastLog = world.history.facts.segments.at(-1)?.segment.binlog ?? '';
    const logs = Number(lastLog.slice(-6));
    return { target: 'latest', prefix: world.all.filter((it) => it.log <= logs).length };
  }
  if (kind === 'file') {
    const binlog = `binlog.${String(chosen.log).padStart(6, '0')}`;
    return { target: `file:${binlog}:${FIRST_OFFSET + chosen.place * 100}`, prefix: index };
  }
  return { target: `${kind}:${chosen.gtid}`, prefix: kind === 'before' ? index : index + 1 };
}

function gtidsOf(text: string): string[] {
  return text
    .split(',\n')
    .filter((entry) => entry !== '')
    .flatMap((entry) => {
      const [uuid, ...parts] = entry.split(':');
      let tag = '';
      return parts.flatMap((part) => {
        const numbers = /^(\d+)(?:-(\d+))?$/.exec(part);
        if (numbers === null) {
          tag = `${part}:`;
          return [];
        }
        const [from, to] = [Number(numbers[1]), Number(numbers[2] ?? numbers[1])];
        return Array.from({ length: to - from + 1 }, (_, k) => `${uuid}:${tag}${from + k}`);
      });
    });
}

/** How many transactions of the true history a base holds. */
function heldBy(world: World, backup: HistoryBackup): number {
  return world.all.filter(
    (it) => it.log < backup.log || (it.log === backup.log && it.place < backup.transactions),
  ).length;
}

function checkPass(
  world: World,
  plan: RestorePlan,
  aim: Aim,
  skip: ReadonlySet<string>,
  message: string,
): void {
  assert.notEqual(aim.prefix, null, message);
  const truth = world.all.slice(0, aim.prefix ?? 0).map((it) => it.gtid);
  const wanted = truth.filter((gtid) => !skip.has(gtid)).sort();
  assert.deepEqual(gtidsOf(plan.expectedGtids).sort(), wanted, message);
  const base = gtidsOf(plan.base?.gtidExecuted ?? '');
  const sent = plan.segments.flatMap((segment) => {
    const log = Number(segment.binlog.slice(-6));
    const here = new Set(world.all.filter((it) => it.log === log).map((it) => it.gtid));
    const send = gtidsOf(segment.send);
    assert.ok(send.length > 0 && send.every((gtid) => here.has(gtid)), message);
    return send;
  });
  assert.deepEqual(
    [...base, ...sent].sort(),
    wanted,
    `${message}: base and replay give each transaction once`,
  );
  const order = plan.segments.map(({ binlog }) => binlog);
  assert.deepEqual(order, [...order].sort(), message);
  const kept = world.all.slice(0, aim.prefix ?? 0).filter((it) => it.archived && !skip.has(it.gtid));
  assert.equal(plan.lastIncluded?.gtid, kept.at(-1)?.gtid, message);
  const next = world.all.slice(aim.prefix ?? 0).find((it) => it.archived);
  assert.equal(plan.firstExcluded?.gtid, next?.gtid, message);
}

/** True where some base leads exactly to the aim: nothing behind it inside, all between archived. */
function isReachable(world: World, prefix: number): boolean {
  return world.backups.some((backup) => {
    const held = heldBy(world, backup);
    return held <= prefix && world.all.slice(held, prefix).every((it) => it.archived);
  });
}

describe('the restore planner against a brute-force oracle', () => {
  it('passes only with the exact prefix, and refuses only what cannot be reached, in 6000 random cases', () => {
    const random = new Random(1120);
    const seen = { PASS: 0, REFUSED: 0 };
    for (let round = 0; round < 6000; round += 1) {
      const world = randomWorld(random);
      const aim = randomAim(random, world);
      const skip = new Set(random.once(4) ? world.all.filter(() => random.once(8)).map((it) => it.gtid) : []);
      const plan = world.history.plan(aim.target, { skip: [...skip].join(',') });
      const reasons = plan.verdict.reasons.map(({ code }) => code);
      const message = `round ${round}: ${aim.target} gave ${plan.verdict.status} (${reasons})`;
      seen[plan.verdict.status] += 1;
      if (plan.verdict.status === 'PASS') checkPass(world, plan, aim, skip, message);
      else if (world.lossless && skip.size === 0 && aim.prefix !== null) {
        const early = aim.target.startsWith('2026') && aim.prefix === 0;
        assert.ok(early || !isReachable(world, aim.prefix), message);
      }
    }
    assert.ok(seen.PASS > 1500 && seen.REFUSED > 1000, JSON.stringify(seen));
  });
});
