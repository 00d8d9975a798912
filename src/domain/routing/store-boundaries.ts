import type { CatalogBody, HandoffReason, HandoffRoute } from '../catalog-entry.ts';
import type { StandIn } from './store-handoff.ts';

/**
 * A handoff from store to store, whole: every catalog gets it in this epoch and in these words, or two
 * stores would tell of one epoch differently. Plain JSON.
 */
export interface StoreBoundary extends StandIn {
  /** The epoch that it raises the catalogs to. */
  readonly epoch: number;
  readonly reason: Extract<HandoffReason, 'circuit-open' | 'switch-back'>;
  readonly detail: string;
}

/** So many are kept for stores that lack them; one that lacks more is filled from another store. */
export const MAX_BOUNDARIES = 32;

/** As it stands in a catalog. */
export function boundaryBody({ from, to, reason, detail }: StoreBoundary): CatalogBody {
  return { kind: 'handoff', route: { kind: 'store', from, to }, reason, detail };
}

/** The handoffs between stores among these, oldest first. */
export function boundariesOf(
  handoffs: readonly {
    readonly epoch: number;
    readonly route: HandoffRoute;
    readonly reason: HandoffReason;
    readonly detail: string;
  }[],
): StoreBoundary[] {
  return handoffs.flatMap(({ epoch, route, reason, detail }) => {
    if (route.kind !== 'store' || (reason !== 'circuit-open' && reason !== 'switch-back')) return [];
    return [{ epoch, from: route.from, to: route.to, reason, detail }];
  });
}

/** Puts together what is remembered and what catalogs say; of one epoch the catalogs are believed. Oldest first. */
export function mergeBoundaries(
  remembered: readonly StoreBoundary[],
  found: readonly StoreBoundary[],
): StoreBoundary[] {
  const byEpoch = new Map([...remembered, ...found].map((it) => [it.epoch, it]));
  return [...byEpoch.values()].toSorted((a, b) => a.epoch - b.epoch).slice(-MAX_BOUNDARIES);
}

/**
 * What a catalog of epoch `stands` lacks of all that leads to epoch `upTo`, in order; null where one of
 * them is no handoff between stores, or not known: only another store can give that.
 */
export function boundariesBetween(
  boundaries: readonly StoreBoundary[],
  stands: number,
  upTo: number,
): readonly StoreBoundary[] | null {
  const lacked = boundaries.filter(({ epoch }) => epoch > stands && epoch <= upTo);
  return lacked.length === upTo - stands ? lacked : null;
}
