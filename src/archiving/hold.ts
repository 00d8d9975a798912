import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { type Claim, type Claimant, type ClaimedCatalog, claimEverywhere } from '../domain/routing/hold.ts';
import {
  boundariesBetween,
  boundariesOf,
  mergeBoundaries,
  type StoreBoundary,
} from '../domain/routing/store-boundaries.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import { effectivePolicies, type StandIn, standInsAfter } from '../domain/routing/store-handoff.ts';
import { type StoreLook, tryStores } from './read-stores.ts';
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
      return claimedCatalog(store.id, state);
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
  /** The handoffs between stores that led to it, oldest first. */
  readonly boundaries: readonly StoreBoundary[];
}

/** What a writer asks about. */
export interface ClaimRequest {
  readonly claimant: Claimant;
  /** All stores, with the policies of the configuration. */
  readonly looks: readonly StoreLook[];
  /** Handoffs between stores that the writer made and that perhaps only a store has that is away now. */
  readonly boundaries: readonly StoreBoundary[];
}

/**
 * As `claimHold`, of the stores that can be reached. A handoff of the archive stands in a store that
 * counts; which of them count, the handoffs say that were read. Where one of those is missed, a writer
 * may still begin by what the others say: what it writes there counts as archived nowhere before that
 * one has it, too, and that one refuses it where a handoff stands there. But nobody is told to stand by
 * on half the answer.
 *
 * @throws what the store says where none can be read, or one that counts cannot and the others do not let it
 *   begin: unavailable, or that it is set up wrongly; what is wrong with the catalog of one that counts; as
 *   `claimHold`
 */
export async function claimReachable(
  repositories: Repositories,
  { claimant, looks, boundaries }: ClaimRequest,
): Promise<ReachableClaim> {
  const { catalogs, counting, errors, isRead, later } = await readCounting(repositories, looks, boundaries);
  const missed = counting.filter(({ store, policy }) => policy === 'required' && !isRead(store));
  for (const { store } of missed) {
    const error = errors.get(store);
    if (error !== undefined && !isPassedOver(error)) throw error;
  }
  const all = withRemembered(catalogs, later);
  const claim = catalogs.length === 0 ? null : claimEverywhere(all, claimant);
  const [first] = missed;
  if (claim === null || (first !== undefined && claim.kind !== 'held')) {
    throw notAsked(first?.store ?? '', errors.get(first?.store ?? ''));
  }
  const found = catalogs.flatMap(({ handoffs }) => boundariesOf(handoffs));
  return {
    claim,
    standIns: standInsOfAll(all),
    unasked: missed.map(({ store }) => store),
    boundaries: mergeBoundaries(found, later),
  };
}

interface CountingRead {
  readonly catalogs: readonly ReadCatalog[];
  /** All stores, as they count by what was read and remembered. */
  readonly counting: readonly StoreLook[];
  readonly errors: ReadonlyMap<string, AppError>;
  isRead(store: string): boolean;
  /** What is remembered behind all that was read. */
  readonly later: readonly StoreBoundary[];
}

type ReadCatalog = Omit<ClaimedCatalog, 'handoffs'> & {
  readonly handoffs: ReturnType<CatalogState['handoffs']>;
};

/** Each pass waits for a store that was not waited for before, as a catalog has just said that it counts. */
async function readCounting(
  repositories: Repositories,
  looks: readonly StoreLook[],
  boundaries: readonly StoreBoundary[],
): Promise<CountingRead> {
  let asked = looks;
  for (let pass = 0; ; pass += 1) {
    const { known, reads, errors } = await tryStores(repositories, asked, new Map());
    const isRead = (store: string) => reads.some((read) => read.store === store && read.status === 'read');
    const catalogs = known.filter(({ id }) => isRead(id)).map(({ id, state }) => claimedCatalog(id, state));
    const later = laterThan(catalogs, boundaries);
    const counting = effectivePolicies(looks, standInsOfAll(withRemembered(catalogs, later)));
    const isLate = counting.some(
      ({ store, policy, access }) =>
        policy === 'required' && access === 'open' && !isRead(store) && !errors.has(store),
    );
    if (!isLate || pass > looks.length) return { catalogs, counting, errors, isRead, later };
    asked = counting;
  }
}

/** What is remembered counts where no catalog that was read has a handoff of that epoch. */
function laterThan(
  catalogs: readonly ClaimedCatalog[],
  boundaries: readonly StoreBoundary[],
): readonly StoreBoundary[] {
  const newest = Math.max(0, ...catalogs.map(({ epoch }) => epoch));
  const last = boundaries.at(-1);
  if (catalogs.length === 0 || last === undefined || last.epoch <= newest) return [];
  return boundariesBetween(boundaries, newest, last.epoch) ?? [];
}

function withRemembered(
  catalogs: readonly ClaimedCatalog[],
  later: readonly StoreBoundary[],
): readonly ClaimedCatalog[] {
  const last = later.at(-1);
  if (last === undefined) return catalogs;
  const handoffs = later.map(({ epoch, from, to }) => ({
    epoch,
    route: { kind: 'store', from, to } as const,
  }));
  return [...catalogs, { store: 'the memory of the workflow', epoch: last.epoch, handoffs }];
}

/** The stand-ins that these catalogs name together. */
export function standInsOfAll(catalogs: readonly Pick<ClaimedCatalog, 'handoffs'>[]): readonly StandIn[] {
  const routes = new Map(
    catalogs.flatMap(({ handoffs }) => handoffs.map(({ epoch, route }) => [epoch, route] as const)),
  );
  return standInsAfter([...routes].sort(([a], [b]) => a - b).map(([, route]) => route));
}

function notAsked(store: string, error: AppError | undefined): AppError {
  return new AppError({
    code: error?.code ?? 'StoreHeldBack',
    kind: error?.kind ?? 'unavailable',
    message: error?.message ?? `${store} cannot be asked now, and a handoff may stand there.`,
    hint: error?.hint ?? 'Nothing is archived before it answers; it is tried again.',
    facts: { store },
  });
}

/** What of a store's catalog decides on a claim. */
export function claimedCatalog(store: string, state: CatalogState) {
  return { store, epoch: state.epoch, handoffs: state.handoffs() };
}
