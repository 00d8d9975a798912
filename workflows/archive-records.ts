import type { StoreStanding } from '../src/archiving/discovery.ts';
import type { StoreLook } from '../src/archiving/read-stores.ts';
import { GtidSet } from '../src/domain/gtid-set.ts';
import { type Circuit, CLOSED_CIRCUIT } from '../src/domain/routing/circuit.ts';
import { effectivePolicies } from '../src/domain/routing/store-handoff.ts';
import type { StorePolicy } from '../src/domain/routing/store-policy.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import type { StoreRecord } from './contracts/stores.ts';

/** Keeps a record of each store that is configured, in the order of the configuration. */
export function adoptStores(
  entity: ArchiveEntity,
  configured: readonly { readonly store: string; readonly policy: StorePolicy }[],
): void {
  // What a store that is taken away was known to hold stays acknowledged.
  noteAcknowledged(entity);
  entity.stores = configured.map(({ store, policy }) => {
    const known = entity.stores.find((record) => record.store === store);
    return known === undefined ? fresh(store, policy) : { ...known, policy };
  });
}

function fresh(store: string, policy: StorePolicy): StoreRecord {
  return {
    store,
    policy,
    circuit: CLOSED_CIRCUIT,
    coveredGtids: null,
    givenUpGtids: '',
    epoch: null,
    backlog: { logs: 0, bytes: 0 },
    through: null,
    failure: null,
    outOfReach: null,
    restUntilMs: 0,
    nextFillMs: 0,
  };
}

/** The record of a store; undefined where it is not configured any more. */
export function recordOf(entity: ArchiveEntity, store: string): StoreRecord | undefined {
  return entity.stores.find((record) => record.store === store);
}

/** Changes what is remembered of a store. */
export function update(entity: ArchiveEntity, store: string, change: Partial<StoreRecord>): void {
  entity.stores = entity.stores.map((record) => (record.store === store ? { ...record, ...change } : record));
}

/** The circuit of a store; one that is not configured any more holds nothing back. */
export function circuitOf(entity: ArchiveEntity, store: string): Circuit {
  return recordOf(entity, store)?.circuit ?? CLOSED_CIRCUIT;
}

/** How the stores count now, and which of them may be asked. */
export function looksOf(entity: ArchiveEntity): readonly StoreLook[] {
  return effectivePolicies(entity.stores, entity.standIns).map(({ store, policy, circuit }) => ({
    store,
    policy,
    access: circuit.kind === 'closed' ? 'open' : 'held-back',
  }));
}

/** The stores without which nothing counts as archived now. */
export function countingStores(entity: ArchiveEntity): readonly StoreRecord[] {
  return effectivePolicies(entity.stores, entity.standIns).filter(({ policy }) => policy === 'required');
}

/** Takes over what a look has found of the stores. */
export function adoptStandings(entity: ArchiveEntity, standings: readonly StoreStanding[]): void {
  for (const { store, status, failure, backlog, outOfReach, through, ...standing } of standings) {
    const known = recordOf(entity, store);
    const isWell = status === 'read' && failure === null && known?.restUntilMs === 0;
    update(entity, store, {
      ...(isWell ? { failure: null } : {}),
      backlog,
      outOfReach,
      coveredGtids: standing.coveredGtids ?? known?.coveredGtids ?? null,
      givenUpGtids: standing.givenUpGtids ?? known?.givenUpGtids ?? '',
      epoch: standing.epoch ?? known?.epoch ?? null,
      through: through ?? known?.through ?? null,
    });
  }
}

/**
 * All that may ever have been called archived: what every store that counts is known to hold, now and
 * before. Null where a store that counts was never read. Where none counts, because a stand-in is not
 * configured any more and nothing is remembered of it: all that the stores hold that there are.
 */
export function acknowledgedGtids(entity: ArchiveEntity): string | null {
  const counting = countingStores(entity);
  const remembered = entity.acknowledgedGtids;
  if (counting.length === 0) return remembered ?? unionOf(entity.stores);
  const sets = counting.map(({ coveredGtids }) => coveredGtids);
  if (sets.includes(null)) return null;
  const now = sets.map((set) => GtidSet.parse(set ?? '')).reduce((all, set) => all.intersect(set));
  return now.union(GtidSet.parse(remembered ?? '')).toString();
}

/** Remembers what counts as archived, before something changes which stores count. */
export function noteAcknowledged(entity: ArchiveEntity): void {
  if (countingStores(entity).length === 0) return;
  entity.acknowledgedGtids = acknowledgedGtids(entity) ?? entity.acknowledgedGtids;
}

/** Null where none was ever read. */
function unionOf(stores: readonly StoreRecord[]): string | null {
  const sets = stores.flatMap(({ coveredGtids }) =>
    coveredGtids === null ? [] : [GtidSet.parse(coveredGtids)],
  );
  return sets.length === 0 ? null : GtidSet.unionAll(sets).toString();
}
