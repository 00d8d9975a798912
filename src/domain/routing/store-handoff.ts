import type { HandoffRoute } from '../catalog-entry.ts';
import { GtidSet } from '../gtid-set.ts';
import { oneLine } from './catalog-view.ts';
import type { RoutedStore, StorePolicy } from './store-policy.ts';

/** Store `to` counts for what is archived in the place of `from`, which is configured as required. */
export interface StandIn {
  readonly from: string;
  readonly to: string;
}

/** One store with what it covers. Plain JSON. */
export interface CoveringStore extends RoutedStore {
  /** Canonical; null where its catalog cannot be read now. */
  readonly coveredGtids: string | null;
}

export interface StoreHandoffFacts {
  readonly stores: readonly CoveringStore[];
  /** Stand-ins of today, by the handoffs that the catalogs name. */
  readonly standIns: readonly StandIn[];
  /** All that was ever called archived; canonical. */
  readonly acknowledgedGtids: string;
  /** Whether a comparison of both catalogs found them equal; asked for the pairs of `standIns`. */
  readonly comparisons: readonly (StandIn & { readonly verdict: 'equal' | 'different' })[];
}

/** What is to be done about one required store, and why. */
export type StoreHandoffStep =
  | { readonly kind: 'stay'; readonly store: string }
  /** Its circuit is open: another store counts for it from now on. */
  | { readonly kind: 'stand-in'; readonly from: string; readonly to: string }
  /** Its circuit is open and no other store can count for it: nothing is archived until it is back. */
  | { readonly kind: 'no-stand-in'; readonly store: string; readonly reasons: readonly NoStandIn[] }
  /** It is back, and gets what it lacks. */
  | { readonly kind: 'drain'; readonly from: string; readonly to: string; readonly missingGtids: string }
  /** It is back and equal: it counts itself again. */
  | { readonly kind: 'switch-back'; readonly from: string; readonly to: string };

/** Why a store cannot stand in. */
export interface NoStandIn {
  readonly store: string;
  readonly reason: 'required-itself' | 'stands-in-already' | 'circuit-open' | 'unreadable' | 'behind';
  /** What it lacks of all that was called archived; empty for other reasons. */
  readonly missingGtids: string;
}

/** The stand-ins after all these handoffs, which come in the order of their epochs. */
export function standInsAfter(routes: readonly HandoffRoute[]): StandIn[] {
  return routes.reduce<StandIn[]>((standing, route) => {
    if (route.kind !== 'store') return standing;
    const { from, to } = route;
    const others = standing.filter((it) => !(it.from === to && it.to === from));
    if (others.length < standing.length) return others;
    return [...standing.filter((it) => it.from !== from), { from, to }];
  }, []);
}

/** How the stores count while some stand in for others. */
export function effectivePolicies<Store extends Pick<RoutedStore, 'store' | 'policy'>>(
  stores: readonly Store[],
  standIns: readonly StandIn[],
): readonly (Store & { readonly policy: StorePolicy })[] {
  return stores.map((one) => {
    if (standIns.some(({ from }) => from === one.store)) return { ...one, policy: 'catch-up' };
    return standIns.some(({ to }) => to === one.store) ? { ...one, policy: 'required' } : one;
  });
}

/**
 * Decides for each store that is configured as required whether another one stands in for it. A
 * stand-in must hold all that was ever called archived, so that the word keeps its meaning; the store
 * comes back only when both hold the same, by GTIDs and by digests.
 */
export function planStoreHandoff(facts: StoreHandoffFacts): StoreHandoffStep[] {
  const taken = new Set(facts.standIns.map(({ to }) => to));
  return facts.stores
    .filter(({ policy }) => policy === 'required')
    .map((store) => {
      const standIn = facts.standIns.find(({ from }) => from === store.store);
      if (standIn !== undefined) return comeBack(facts, store, standIn);
      if (store.circuit.kind === 'closed') return { kind: 'stay', store: store.store };
      const step = findStandIn(facts, store, taken);
      if (step.kind === 'stand-in') taken.add(step.to);
      return step;
    });
}

function comeBack(facts: StoreHandoffFacts, store: CoveringStore, { from, to }: StandIn): StoreHandoffStep {
  if (store.circuit.kind !== 'closed' || store.coveredGtids === null) return { kind: 'stay', store: from };
  const other = facts.stores.find((it) => it.store === to);
  const missing = GtidSet.parse(other?.coveredGtids ?? '').subtract(GtidSet.parse(store.coveredGtids));
  const compared = facts.comparisons.find((it) => it.from === from && it.to === to);
  const isEqual = missing.isEmpty && compared?.verdict === 'equal' && other?.coveredGtids != null;
  return isEqual
    ? { kind: 'switch-back', from, to }
    : { kind: 'drain', from, to, missingGtids: oneLine(missing.toString()) };
}

function findStandIn(
  facts: StoreHandoffFacts,
  failed: CoveringStore,
  taken: ReadonlySet<string>,
): StoreHandoffStep {
  const reasons: NoStandIn[] = [];
  for (const store of facts.stores) {
    if (store.store === failed.store) continue;
    const obstacle = obstacleOf(store, facts.acknowledgedGtids, taken);
    if (obstacle === null) return { kind: 'stand-in', from: failed.store, to: store.store };
    reasons.push(obstacle);
  }
  return { kind: 'no-stand-in', store: failed.store, reasons };
}

function obstacleOf(
  { store, policy, circuit, coveredGtids }: CoveringStore,
  acknowledgedGtids: string,
  taken: ReadonlySet<string>,
): NoStandIn | null {
  const no = (reason: NoStandIn['reason'], missingGtids = '') => ({ store, reason, missingGtids });
  if (policy === 'required') return no('required-itself');
  if (taken.has(store)) return no('stands-in-already');
  if (circuit.kind !== 'closed') return no('circuit-open');
  if (coveredGtids === null) return no('unreadable');
  const missing = GtidSet.parse(acknowledgedGtids).subtract(GtidSet.parse(coveredGtids));
  return missing.isEmpty ? null : no('behind', oneLine(missing.toString()));
}
