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
    backlog: { logs: 0, bytes: 0 },
    through: null,
    failure: null,
    outOfReach: null,
    restUntilMs: 0,
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
  for (const { store, status, failure, coveredGtids, backlog, outOfReach, through } of standings) {
    const known = recordOf(entity, store);
    const isWell = status === 'read' && failure === null && known?.restUntilMs === 0;
    update(entity, store, {
      ...(isWell ? { failure: null } : {}),
      backlog,
      outOfReach,
      coveredGtids: coveredGtids ?? known?.coveredGtids ?? null,
      through: through ?? known?.through ?? null,
    });
  }
}

/** All that may have been called archived: what every store that counts is known to hold. Null where one was never read. */
export function acknowledgedGtids(entity: ArchiveEntity): string | null {
  const sets = countingStores(entity).map(({ coveredGtids }) => coveredGtids);
  const [first, ...others] = sets.flatMap((set) => (set === null ? [] : [GtidSet.parse(set)]));
  if (first === undefined || others.length + 1 < sets.length) return null;
  return others.reduce((all, set) => all.intersect(set), first).toString();
}
