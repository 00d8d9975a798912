import { AppError } from '../domain/errors.ts';
import { type Claim, type Claimant, type ClaimedCatalog, claimEverywhere } from '../domain/routing/hold.ts';
import { effectivePolicies, type StandIn, standInsAfter } from '../domain/routing/store-handoff.ts';
import type { StoreFailure } from './discovery.ts';
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
  /** Stores that count and could not be asked: a handoff may stand there, so ask again when they answer. */
  readonly unasked: readonly string[];
}

/**
 * As `claimHold`, of the stores that can be reached. A handoff of the archive stands in a store that
 * counts. Where one of those is missed, a writer may still begin by what the others say: what it writes
 * there counts as archived nowhere before that one has it, too, and that one refuses it where a handoff
 * stands there. But nobody is told to stand by on half the answer.
 *
 * @param looks with the policies of the configuration
 * @throws what the store says where none can be read, or one that counts cannot and the others do not let it
 *   begin: unavailable, or that it is set up wrongly; as `claimHold`
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
  const standIns = standInsOfAll(catalogs);
  const counting = effectivePolicies(looks, standIns).filter(({ policy }) => policy === 'required');
  const unasked = counting.map(({ store }) => store).filter((store) => !isRead(store));
  const claim = catalogs.length === 0 ? null : claimEverywhere(catalogs, claimant);
  const [missed] = unasked;
  if (claim !== null && (missed === undefined || claim.kind === 'held')) return { claim, standIns, unasked };
  throw notAsked(missed ?? '', reads.find(({ store }) => store === missed)?.failure ?? null);
}

/** The stand-ins that these catalogs name together. */
export function standInsOfAll(catalogs: readonly Pick<ClaimedCatalog, 'handoffs'>[]): readonly StandIn[] {
  const routes = new Map(
    catalogs.flatMap(({ handoffs }) => handoffs.map(({ epoch, route }) => [epoch, route] as const)),
  );
  return standInsAfter([...routes].sort(([a], [b]) => a - b).map(([, route]) => route));
}

function notAsked(store: string, failure: StoreFailure | null): AppError {
  return new AppError({
    code: failure?.code ?? 'StoreHeldBack',
    kind: failure?.kind ?? 'unavailable',
    message: failure?.message ?? `${store} cannot be asked now, and a handoff may stand there.`,
    hint: failure?.hint ?? 'Nothing is archived before it answers; it is tried again.',
    facts: { store },
  });
}
