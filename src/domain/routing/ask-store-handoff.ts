import type { Circuit } from './circuit.ts';
import { planStoreHandoff, type StoreHandoffFacts, type StoreHandoffStep } from './store-handoff.ts';

/** What is asked: what is done about this store, as it is, or if it fails now. */
export interface StoreHandoffQuestion {
  readonly store: string;
  /** The only other store to be considered as a stand-in; null for whichever can. */
  readonly toStore: string | null;
}

/**
 * Answers what would be done about a required store: if it failed now where it counts itself, and as
 * everything stands where another one counts for it. Null where the store is not required. Pure.
 */
export function askStoreHandoff(
  facts: StoreHandoffFacts,
  { store, toStore }: StoreHandoffQuestion,
): StoreHandoffStep | null {
  const standIn = facts.standIns.find(({ from }) => from === store);
  const isAsked = (name: string): boolean =>
    toStore === null || name === store || name === toStore || name === standIn?.to;
  const stores = facts.stores
    .filter((one) => one.policy === 'required' || isAsked(one.store))
    .map((one) =>
      one.store === store && standIn === undefined ? { ...one, circuit: failed(one.circuit) } : one,
    );
  const steps = planStoreHandoff({ ...facts, stores });
  const required = stores.filter(({ policy }) => policy === 'required');
  return steps[required.findIndex((one) => one.store === store)] ?? null;
}

function failed(circuit: Circuit): Circuit {
  if (circuit.kind !== 'closed') return circuit;
  const cause = { code: 'Asked', message: 'it is asked what if it failed' };
  return { kind: 'open', openedAtMs: 0, failedProbes: 0, probeAtMs: 0, cause };
}
