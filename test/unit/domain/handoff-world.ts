import { GtidSet } from '../../../src/domain/gtid-set.ts';
import {
  type ArchivedLog,
  binlogOf,
  executedAt,
  type LoggedServer,
  offsetOf,
  type TakenBackup,
} from './handoff-history.ts';
import { second } from './history.ts';
import type { Random } from './random.ts';

const UUIDS = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '4e11fa47-71ca-11e1-9e33-c80aa9429562'];

interface First {
  readonly gtid: string;
  readonly atSecond: number;
}

export interface World {
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

export function randomWorld(random: Random): World {
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
export interface Aim {
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

export function randomAim(random: Random, world: World): Aim {
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

export function gtidsOf(text: string): string[] {
  const all: string[] = [];
  GtidSet.parse(text).forEachRange((uuid, _tag, from, to) => {
    for (let n = from; n <= to; n += 1n) all.push(`${uuid}:${n}`);
  });
  return all.sort();
}
