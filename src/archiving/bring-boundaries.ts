import type { AppendBy, Catalog } from '../catalog/catalog.ts';
import type { CatalogState, Handoff } from '../catalog/fold.ts';
import { boundaryBody, type StoreBoundary } from '../domain/routing/store-boundaries.ts';

/**
 * Writes into one catalog the handoffs between stores that it lacks, in order: it was away when they
 * were made, and the store that has them may be away now. Can be run again: what stands is found by its
 * epoch, and a crash between two of them leaves the first ones.
 *
 * @param boundaries in the order of their epochs
 * @throws conflict `HandoffMissing` where the catalog lacks one before these, `StaleEpoch` where it has
 *   another one of an epoch; unavailable, corrupt
 */
export async function bringBoundaries(
  catalog: Catalog,
  boundaries: readonly StoreBoundary[],
  sign: (epoch: number) => AppendBy,
): Promise<void> {
  for (const boundary of boundaries) {
    const { known } = catalog;
    if (known !== null && standingOf(known, boundary) !== undefined) continue;
    await catalog.append(boundaryBody(boundary), sign(boundary.epoch), (state) => {
      const standing = standingOf(state, boundary);
      return standing === undefined
        ? { decision: 'append' }
        : { decision: 'stands', sequence: standing.sequence };
    });
  }
}

/** The entry of this very handoff; undefined where it is not there, or another one of its epoch is. */
export function standingOf(state: CatalogState, { epoch, from, to }: StoreBoundary): Handoff | undefined {
  return state
    .handoffs()
    .find(
      (it) => it.epoch === epoch && it.route.kind === 'store' && it.route.from === from && it.route.to === to,
    );
}
