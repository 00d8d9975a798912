import { AppError } from '../domain/errors.ts';
import {
  type Claim,
  type Claimant,
  type ClaimedCatalog,
  claimEverywhere,
  isHandedTo,
} from '../domain/routing/hold.ts';
import { effectivePolicies, type StandIn, standInsAfter } from '../domain/routing/store-handoff.ts';
import { readStores, type StoreLook } from './read-stores.ts';
import type { Repositories } from './repositories.ts';

/**
 * Asks all stores in which epoch a source may be written. A writer does so once, when it begins, and
 * carries the answer: a handoff after it fences the writer at its next entry.
 *
 * @throws conflict `HandoffsDiffer`, and what reading a catalog throws: without one store, a handoff
 *   that stands only there would be missed
 */
export async function claimHold(repositories: Repositories, claimant: Claimant): Promise<Claim> {
  const catalogs = await Promise.all(
    repositories.all.map(async ({ store, catalog }) => {
      const state = await catalog.read();
      return { store: store.id, epoch: state.epoch, handoffs: state.handoffs() };
    }),
  );
  return claimEverywhere(catalogs, claimant);
}

/** A claim, with the stores that count for others behind it. */
export interface ReachableClaim {
  readonly claim: Claim;
  readonly standIns: readonly StandIn[];
}

/**
 * As `claimHold`, of the stores that can be reached: one that nobody waits for is passed over. A
 * handoff of the archive stands in a store that counts, so that none of those may be missed, unless the
 * others say that the archive was handed to this very source: that was done without it.
 *
 * @param looks with the policies of the configuration
 * @throws unavailable where a store that counts cannot be read; as `claimHold`
 */
export async function claimReachable(
  repositories: Repositories,
  claimant: Claimant,
  looks: readonly StoreLook[],
): Promise<ReachableClaim> {
  // Nothing is thrown for a store that cannot be reached before it is known which of them count.
  const { known, reads } = await readStores(repositories, looks, new Map());
  const isRead = (store: string) => reads.some((read) => read.store === store && read.status === 'read');
  const catalogs = known
    .filter(({ id }) => isRead(id))
    .map(({ id, state }): ClaimedCatalog => ({ store: id, epoch: state.epoch, handoffs: state.handoffs() }));
  const routes = new Map(
    catalogs.flatMap(({ handoffs }) => handoffs.map(({ epoch, route }) => [epoch, route])),
  );
  const standIns = standInsAfter([...routes].sort(([a], [b]) => a - b).map(([, route]) => route));
  const counting = effectivePolicies(looks, standIns).filter(({ policy }) => policy === 'required');
  const missed = counting.find(({ store }) => !isRead(store));
  const asked = catalogs.filter((catalog) => counting.some(({ store }) => store === catalog.store));
  if (missed !== undefined && !isHandedTo(asked, claimant)) {
    const failure = reads.find(({ store }) => store === missed.store)?.failure ?? null;
    throw new AppError({
      code: failure?.code ?? 'StoreHeldBack',
      kind: 'unavailable',
      message: failure?.message ?? `${missed.store} cannot be asked now, and a handoff may stand there.`,
      hint: failure?.hint ?? 'Nothing is archived before it answers; it is tried again.',
      facts: { store: missed.store },
    });
  }
  return { claim: claimEverywhere(catalogs, claimant), standIns };
}
