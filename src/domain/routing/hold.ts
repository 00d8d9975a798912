import type { HandoffRoute } from '../catalog-entry.ts';
import { AppError, assertNever } from '../errors.ts';
import type { ServerUuid } from '../identity.ts';

/** Who wants to write what a source brings. */
export interface Claimant {
  readonly source: string;
  readonly serverUuid: ServerUuid;
  /** `fallback`: it is archived only after a handoff named it. */
  readonly role: 'archived' | 'fallback';
}

/** Whether a writer may begin, and in which epoch. */
export type Claim =
  /** It writes in this epoch from now on, and in no later one: a handoff ends its hold. */
  | { readonly kind: 'held'; readonly epoch: number }
  /** Its source was handed to another; taking the newest epoch would undo that. */
  | { readonly kind: 'handed-away'; readonly to: string; readonly epoch: number }
  /** It takes over when the source that is archived fails, and not before. */
  | { readonly kind: 'in-reserve' };

/** What of a catalog decides on a claim. */
export interface ClaimedCatalog {
  readonly store: string;
  readonly epoch: number;
  /** In order. */
  readonly handoffs: readonly { readonly epoch: number; readonly route: HandoffRoute }[];
}

/**
 * Decides over all stores of a cluster: the epoch is the newest that one of them has, and a handoff
 * counts wherever it stands. In a store that lacks it nothing is written in that epoch
 * (`HandoffMissing`) until it was synced, and nothing in an older one.
 *
 * @throws conflict `HandoffsDiffer` where two stores have other handoffs of one epoch
 */
export function claimEverywhere(catalogs: readonly ClaimedCatalog[], claimant: Claimant): Claim {
  const handoffs = new Map<number, ClaimedCatalog['handoffs'][number] & { readonly store: string }>();
  for (const { store, handoffs: standing } of catalogs) {
    for (const { epoch, route } of standing) {
      const known = handoffs.get(epoch);
      if (known !== undefined && canonicalRoute(known.route) !== canonicalRoute(route))
        throw handoffsDiffer(epoch, known.store, store);
      handoffs.set(epoch, known ?? { epoch, route, store });
    }
  }
  const inOrder = [...handoffs.values()].toSorted((a, b) => a.epoch - b.epoch);
  return claimEpoch({ epoch: Math.max(...catalogs.map(({ epoch }) => epoch)), handoffs: inOrder }, claimant);
}

/** Tells a writer that it stands by, because its source was handed to another. */
export function handedAway(source: string, { to, epoch }: Extract<Claim, { kind: 'handed-away' }>): AppError {
  return new AppError({
    code: 'HandedAway',
    kind: 'refused',
    message: `${source} was handed to ${to} in epoch ${epoch}, so it stands by and nothing of it is archived.`,
    hint: `${to} goes on with the archive. Only another handoff brings ${source} back.`,
    facts: { source, to, epoch },
  });
}

/** Tells a fallback that it stands by, because nothing was handed to it. */
export function inReserve(source: string): AppError {
  return new AppError({
    code: 'InReserve',
    kind: 'refused',
    message: `${source} is a fallback and nothing was handed to it, so it stands by and nothing of it is archived.`,
    hint: `It takes over by: pitrail handoff --to ${source}. Named in archive.fallback.sources it does so by itself when the archived source fails.`,
    facts: { source },
  });
}

/** Why a source stands by, as it is told; null where it does not, or has not asked yet. */
export function standsBy(source: string, hold: Claim | { readonly kind: 'unclaimed' }): AppError | null {
  switch (hold.kind) {
    case 'held':
    case 'unclaimed':
      return null;
    case 'handed-away':
      return handedAway(source, hold);
    case 'in-reserve':
      return inReserve(source);
    default:
      return assertNever(hold);
  }
}

/**
 * Texts of equal routes are equal, in whatever order their fields were read. The number of the timeline is
 * left out: each store gives its own.
 */
function canonicalRoute(route: HandoffRoute): string {
  return JSON.stringify(route, (key, value: unknown) => {
    if (key === 'timeline') return undefined;
    return typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  });
}

function handoffsDiffer(epoch: number, store: string, other: string): AppError {
  return new AppError({
    code: 'HandoffsDiffer',
    kind: 'conflict',
    message: `${store} and ${other} have different handoffs of epoch ${epoch}: the archive was handed to two sources at once, so neither of them may write.`,
    hint: 'See both with: pitrail verify. Keep one store, and sync the other anew from it under another prefix.',
    facts: { epoch, stores: [store, other] },
  });
}

/**
 * Decides at the start of a writer whether it may take the epoch that the catalog has. The last handoff
 * that names its server decides: away from it, it is fenced until one comes back to it. A source that no
 * handoff names is not concerned, unless it is a fallback: that one waits for a handoff.
 */
export function claimEpoch(catalog: Pick<ClaimedCatalog, 'epoch' | 'handoffs'>, claimant: Claimant): Claim {
  for (const { epoch, route } of catalog.handoffs.toReversed()) {
    if (route.kind === 'store') continue;
    if (route.to.serverUuid === claimant.serverUuid) return { kind: 'held', epoch: catalog.epoch };
    if (isFrom(route, claimant)) return { kind: 'handed-away', to: route.to.source, epoch };
  }
  return claimant.role === 'fallback' ? { kind: 'in-reserve' } : { kind: 'held', epoch: catalog.epoch };
}

function isFrom(
  { from }: Extract<HandoffRoute, { kind: 'source' }>,
  claimant: Pick<Claimant, 'source' | 'serverUuid'>,
): boolean {
  return from.serverUuid === null ? from.source === claimant.source : from.serverUuid === claimant.serverUuid;
}
