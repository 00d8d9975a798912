import { parseGtid } from '../../../src/domain/gtid.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../../src/domain/identity.ts';
import { type Circuit, CLOSED_CIRCUIT } from '../../../src/domain/routing/circuit.ts';
import type { HandoffFacts, StoreManifest } from '../../../src/domain/routing/handoff-facts.ts';
import type { HandoffDecision } from '../../../src/domain/routing/handoff-plan.ts';
import type { Random } from '../domain/random.ts';

export const PRIMARY = parseServerUuid('00000000-71ca-11e1-9e33-c80aa9429562');
export const REPLICA = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
export const THIRD = parseServerUuid('ffffffff-ffff-11e1-9e33-c80aa9429562');

export const OPEN: Circuit = {
  kind: 'open',
  openedAtMs: 0,
  failedProbes: 0,
  probeAtMs: 9,
  cause: { code: 'StoreUnreachable', message: 'down' },
};

/** GTIDs as text in a plain set: what the planner's algebra is compared with. */
export type Plain = ReadonlySet<string>;

export function toSet(gtids: Iterable<string>): GtidSet {
  return GtidSet.of(...[...gtids].map(parseGtid));
}

export function text(gtids: Iterable<string>): string {
  return toSet(gtids).toString().replaceAll('\n', '');
}

export function minus(a: Plain, b: Plain): Set<string> {
  return new Set([...a].filter((gtid) => !b.has(gtid)));
}

export function both(a: Plain, b: Plain): Set<string> {
  return new Set([...a].filter((gtid) => b.has(gtid)));
}

/** A failover, as it truly happened. */
export interface FailoverWorld {
  readonly facts: HandoffFacts;
  /** Executed on the candidate, purged from its logs, executed on the current source. */
  readonly executed: Plain;
  readonly purged: Plain;
  readonly currentExecuted: Plain;
  readonly received: Plain;
  readonly covered: readonly { readonly store: string; readonly gtids: Plain }[];
}

function prefix(random: Random, order: readonly string[], least = 0): Set<string> {
  return new Set(order.slice(0, least + random.int(order.length - least + 1)));
}

/** A primary, a replica that follows it (or has taken over), and stores that are archived into. */
export function randomFailover(random: Random): FailoverWorld {
  const order = Array.from({ length: 12 }, (_, n) => `${PRIMARY}:${n + 1}`);
  const currentExecuted = prefix(random, order, 4);
  const onPrimary = [...currentExecuted];
  const received = prefix(random, onPrimary);
  const applied = prefix(random, [...received]);
  const own = random.once(3) ? [`${REPLICA}:1`, `${REPLICA}:2`].slice(0, 1 + random.int(2)) : [];
  const executed = new Set([...applied, ...own]);
  const stores = (['main', 's3', 'gcs'] as const).slice(0, 1 + random.int(3));
  const least = random.once(2) ? 0 : Math.min(applied.size, onPrimary.length);
  const covered = stores.map((store) => ({
    store,
    gtids: prefix(random, onPrimary.slice(0, least || undefined)),
  }));
  const purged = random.once(2) ? new Set<string>() : prefix(random, [...applied]);
  const isPromoted = random.once(2);
  const manifests = covered.map(({ store, gtids }, n): StoreManifest => {
    const policy = n === 0 || random.once(2) ? 'required' : 'catch-up';
    const circuit = random.once(6) ? OPEN : CLOSED_CIRCUIT;
    if (random.once(6)) return { store, policy, circuit, kind: 'unread', code: 'StoreUnreachable' };
    return {
      store,
      policy,
      circuit,
      kind: 'read',
      epoch: 1,
      lastHandoff: null,
      timeline: random.once(12) ? null : n + 1,
      coveredGtids: text(gtids),
    };
  });
  const facts: HandoffFacts = {
    trigger: random.pick(['operator', 'watch'] as const),
    current: {
      source: 'shop-1',
      serverUuid: PRIMARY,
      reach: random.once(2)
        ? { kind: 'reachable', gtidExecuted: text(currentExecuted) }
        : { kind: 'unreachable', forSeconds: random.int(60) },
      queue: random.once(3) ? { kind: 'silent', forSeconds: random.int(200) } : { kind: 'served' },
      lagSeconds: random.int(600),
    },
    candidate: {
      source: 'shop-2',
      reach: random.once(12)
        ? { kind: 'unreachable', code: 'MysqlUnreachable', message: 'refused' }
        : {
            kind: 'reachable',
            serverUuid: REPLICA,
            gtidMode: random.once(20) ? 'OFF' : 'ON',
            logBin: random.once(20) ? 'OFF' : 'ON',
            logReplicaUpdates: random.once(20) ? 'OFF' : 'ON',
            gtidExecuted: text(executed),
            gtidPurged: text(purged),
            replication: isPromoted
              ? { kind: 'none' }
              : {
                  kind: 'replica',
                  state: random.pick(['running', 'stopped'] as const),
                  receivedGtids: text(received),
                },
          },
    },
    stores: manifests,
    policy: random.pick(['refuse', 'resync'] as const),
    limits: { lagSeconds: 300, unreachableSeconds: 30, silentSeconds: 90 },
  };
  const read = covered.filter((_, n) => manifests[n]?.kind === 'read');
  return { facts, executed, purged, currentExecuted, received, covered: read };
}

/** The stores after some of a boundary was written: those named, as a crash or all of it leaves them. */
export function withBoundary(
  facts: HandoffFacts,
  { boundary }: Extract<HandoffDecision, { kind: 'hand-off' }>,
  written: readonly string[],
): HandoffFacts {
  const { epoch, reason } = boundary;
  const stores = facts.stores.map((manifest) => {
    const entry = boundary.write.find(({ store }) => store === manifest.store);
    if (entry === undefined || manifest.kind === 'unread' || !written.includes(manifest.store))
      return manifest;
    return { ...manifest, epoch, lastHandoff: { epoch, reason, route: entry.route } };
  });
  return { ...facts, stores };
}
