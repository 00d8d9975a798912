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
  /** Canonical; null where its catalog was never read. */
  readonly coveredGtids: string | null;
  /** What operators gave up in it, canonical. */
  readonly givenUpGtids: string;
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
  | { readonly kind: 'switch-back'; readonly from: string; readonly to: string }
  /** Its stand-in `to` is lost, and it has all that was called archived: it counts itself again. */
  | { readonly kind: 'return'; readonly from: string; readonly to: string; readonly loss: StandInLoss };

/** Why a stand-in cannot count any more. `not-configured`: an operator took it away for good. */
export type StandInLoss = 'circuit-open' | 'not-configured';

/** Why a store cannot count in the place of one that failed; of the failed one, why it cannot count itself. */
export interface NoStandIn {
  readonly store: string;
  readonly reason: 'required-itself' | 'stands-in-already' | 'unreadable' | 'behind' | StandInLoss;
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
 * comes back when both hold the same, by GTIDs and by digests. Where the stand-in itself is lost, the
 * store comes back, or another one follows, that holds all that was ever called archived.
 */
export function planStoreHandoff(facts: StoreHandoffFacts): StoreHandoffStep[] {
  const taken = new Set(facts.standIns.map(({ to }) => to));
  return facts.stores
    .filter(({ policy }) => policy === 'required')
    .map((store) => {
      const standIn = facts.standIns.find(({ from }) => from === store.store);
      const step =
        standIn === undefined ? standOrFall(facts, store, taken) : comeBack(facts, store, standIn, taken);
      if (step.kind === 'stand-in') taken.add(step.to);
      return step;
    });
}

function standOrFall(
  facts: StoreHandoffFacts,
  store: CoveringStore,
  taken: ReadonlySet<string>,
): StoreHandoffStep {
  return store.circuit.kind === 'closed'
    ? { kind: 'stay', store: store.store }
    : findStandIn(facts, store, taken, []);
}

function comeBack(
  facts: StoreHandoffFacts,
  store: CoveringStore,
  standIn: StandIn,
  taken: ReadonlySet<string>,
): StoreHandoffStep {
  const { from, to } = standIn;
  const other = facts.stores.find((it) => it.store === to);
  if (other === undefined || other.circuit.kind !== 'closed') {
    const loss = other === undefined ? 'not-configured' : 'circuit-open';
    return withoutStandIn(facts, store, { to, loss }, taken);
  }
  if (store.circuit.kind !== 'closed' || store.coveredGtids === null) return { kind: 'stay', store: from };
  const missing = GtidSet.parse(other.coveredGtids ?? '').subtract(GtidSet.parse(store.coveredGtids));
  const compared = facts.comparisons.find((it) => it.from === from && it.to === to);
  const isEqual = missing.isEmpty && compared?.verdict === 'equal' && other.coveredGtids !== null;
  return isEqual
    ? { kind: 'switch-back', from, to }
    : { kind: 'drain', from, to, missingGtids: oneLine(missing.toString()) };
}

/** The store itself comes first: with it counting, everything is as it was configured. */
function withoutStandIn(
  facts: StoreHandoffFacts,
  store: CoveringStore,
  { to, loss }: { readonly to: string; readonly loss: StandInLoss },
  taken: ReadonlySet<string>,
): StoreHandoffStep {
  const obstacle = lackOf(store, toCover(facts.acknowledgedGtids, store, loss));
  if (obstacle === null) return { kind: 'return', from: store.store, to, loss };
  const others = new Set([...taken].filter((it) => it !== to));
  const gone: NoStandIn[] = loss === 'not-configured' ? [{ store: to, reason: loss, missingGtids: '' }] : [];
  return findStandIn(facts, store, others, [obstacle, ...gone]);
}

/**
 * What a store must hold to count itself again. A stand-in that may wake up has what was given up in the
 * store, so that nothing is given up by it; one that was taken away for good has not.
 */
function toCover(acknowledgedGtids: string, { givenUpGtids }: CoveringStore, loss: StandInLoss): GtidSet {
  const acknowledged = GtidSet.parse(acknowledgedGtids);
  return loss === 'not-configured' ? acknowledged.subtract(GtidSet.parse(givenUpGtids)) : acknowledged;
}

function findStandIn(
  facts: StoreHandoffFacts,
  failed: CoveringStore,
  taken: ReadonlySet<string>,
  before: readonly NoStandIn[],
): StoreHandoffStep {
  const reasons: NoStandIn[] = [...before];
  const acknowledged = GtidSet.parse(facts.acknowledgedGtids);
  for (const store of facts.stores) {
    if (store.store === failed.store) continue;
    const obstacle = obstacleOf(store, acknowledged, taken);
    if (obstacle === null) return { kind: 'stand-in', from: failed.store, to: store.store };
    reasons.push(obstacle);
  }
  return { kind: 'no-stand-in', store: failed.store, reasons };
}

function obstacleOf(
  store: CoveringStore,
  acknowledged: GtidSet,
  taken: ReadonlySet<string>,
): NoStandIn | null {
  const no = (reason: NoStandIn['reason']) => ({ store: store.store, reason, missingGtids: '' });
  if (store.policy === 'required') return no('required-itself');
  if (taken.has(store.store)) return no('stands-in-already');
  return lackOf(store, acknowledged);
}

/** Why a store cannot count by what it is and holds; null where it can. */
function lackOf({ store, circuit, coveredGtids }: CoveringStore, wanted: GtidSet): NoStandIn | null {
  if (circuit.kind !== 'closed') return { store, reason: 'circuit-open', missingGtids: '' };
  if (coveredGtids === null) return { store, reason: 'unreadable', missingGtids: '' };
  const missing = wanted.subtract(GtidSet.parse(coveredGtids));
  return missing.isEmpty ? null : { store, reason: 'behind', missingGtids: oneLine(missing.toString()) };
}
