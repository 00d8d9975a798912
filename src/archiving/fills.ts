import type { CatalogState } from '../catalog/fold.ts';
import { viewOf } from '../catalog/view.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { lackedEntries, type SyncObstacle } from '../domain/routing/sync-plan.ts';
import type { OutOfReach } from './discovery.ts';
import { refOf } from './log-order.ts';
import type { KnownStore, ServerView } from './server-view.ts';

/** The closed logs of one server that can still be had from it or from the staging folder. */
type OwnLogs = Pick<ServerView, 'serverUuid' | 'listed' | 'staged'>;

/** What one store lacks of another. */
interface Lacked {
  /** Identities of logs that it can get from there. */
  readonly logs: ReadonlySet<string>;
  /** Whether it can get anything from there: a log, a handoff, a base backup. */
  readonly copies: 'something' | 'nothing';
  /** Logs that can be added to its catalog no more, by identity. */
  readonly obstacles: ReadonlyMap<string, SyncObstacle>;
}

/** A state never changes, so each pair is judged once: judging takes all entries, and every look asks. */
const judged = new WeakMap<CatalogState, WeakMap<CatalogState, Lacked>>();

function lackedOf(from: KnownStore, to: KnownStore): Lacked {
  const known = judged.get(from.state)?.get(to.state);
  if (known !== undefined) return known;
  const logs = new Set<string>();
  const obstacles = new Map<string, SyncObstacle>();
  let copies: Lacked['copies'] = 'nothing';
  for (const { entry, obstacle } of lackedEntries(viewOf(from.id, from.state), viewOf(to.id, to.state))) {
    if (obstacle === null) copies = 'something';
    if (entry.body.kind !== 'segment-archived') continue;
    const identity = identityOf(entry.body.segment);
    if (obstacle === null) logs.add(identity);
    else if (obstacle !== 'covered') obstacles.set(identity, obstacle);
  }
  const lacked = { logs, copies, obstacles };
  const byTarget = judged.get(from.state) ?? new WeakMap<CatalogState, Lacked>();
  judged.set(from.state, byTarget.set(to.state, lacked));
  return lacked;
}

/** True where a fill would bring a store something of another one. Pure. */
export function wouldFill(from: KnownStore, to: KnownStore): boolean {
  return lackedOf(from, to).copies === 'something';
}

/**
 * A store with something that another one lacks, that can be copied to it, and that neither the server nor
 * the staging folder has any more: a handoff, or logs. Undefined where there is none. What cannot be copied
 * makes nobody wait, for waiting would bring nothing. Pure.
 */
export function fullerThan(
  own: KnownStore,
  known: readonly KnownStore[],
  servers: readonly OwnLogs[],
): KnownStore | undefined {
  const newer = known.find(({ state }) => state.epoch > own.state.epoch);
  return newer ?? holderOfMissing(own, known, servers);
}

/** As `fullerThan`, of logs alone. Pure. */
export function holderOfMissing(
  own: KnownStore,
  known: readonly KnownStore[],
  servers: readonly OwnLogs[],
): KnownStore | undefined {
  return known.find((other) => {
    const missing = missingLogs(other, own, servers);
    return missing.size > 0 && [...lackedOf(other, own).logs].some((log) => missing.has(log));
  });
}

/** Logs that a store lacks of another one and never gets, from nowhere; null where there are none. Pure. */
export function outOfReachOf(
  own: KnownStore,
  known: readonly KnownStore[],
  servers: readonly OwnLogs[],
): OutOfReach | null {
  for (const other of known) {
    const missing = missingLogs(other, own, servers);
    if (missing.size === 0) continue;
    const obstacles = [...lackedOf(other, own).obstacles].flatMap(([identity, obstacle]) =>
      missing.has(identity) && 'gtids' in obstacle ? [obstacle] : [],
    );
    const [first] = obstacles;
    if (first === undefined) continue;
    const gtids = GtidSet.unionAll(obstacles.map((obstacle) => GtidSet.parse(obstacle.gtids)));
    const { kind: reason, name } = first;
    return { heldBy: other.id, logs: obstacles.length, transactions: Number(gtids.count()), reason, name };
  }
  return null;
}

/** Identities of the logs that another store has and this one has not, and that are to be had from nowhere else. */
function missingLogs(other: KnownStore, own: KnownStore, servers: readonly OwnLogs[]): Set<string> {
  const missing = new Set<string>();
  if (other === own) return missing;
  for (const { serverUuid, listed, staged } of servers) {
    const [theirs, ours] = [other.state.segmentsOf(serverUuid), own.state.segmentsOf(serverUuid)];
    // Most looks end here: all stores have the same.
    if (theirs.length <= ours.length) continue;
    const held = new Set(ours.map(({ segment }) => identityOf(segment)));
    for (const log of [...staged, ...listed.slice(0, -1)]) {
      const ref = refOf(serverUuid, log);
      if (ref !== null) held.add(identityOf(ref));
    }
    for (const { segment } of theirs) {
      const identity = identityOf(segment);
      if (!held.has(identity)) missing.add(identity);
    }
  }
  return missing;
}

function identityOf(log: {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly createdAt: string;
  readonly firstCommit: string | null;
  readonly lengthBytes: number;
}): string {
  return [log.serverUuid, log.binlog, log.createdAt, log.firstCommit ?? '', log.lengthBytes].join('|');
}
