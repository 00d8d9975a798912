import type { AppendBy, Judge } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { viewOf } from '../catalog/view.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { archivedGtids } from '../domain/routing/catalog-view.ts';
import { compareCatalogs } from '../domain/routing/compare.ts';
import { boundaryBody, type StoreBoundary } from '../domain/routing/store-boundaries.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import { faultPoint } from '../process/fault.ts';
import { bringBoundaries, standingOf } from './bring-boundaries.ts';
import type { StoreFailure } from './discovery.ts';
import { type Repositories, repositoryIn } from './repositories.ts';

/**
 * What must be so before a store counts. `equal`: both catalogs hold the same, and the one that gives
 * way is written to first; `holds-all`: the one that counts from now on holds all that was called
 * archived; `holds-all-but-given-up`: less what operators gave up in it.
 */
export type SwitchProof = 'equal' | 'holds-all' | 'holds-all-but-given-up';

export interface SwitchStoreOptions {
  readonly repositories: Repositories;
  readonly boundary: StoreBoundary;
  readonly proof: SwitchProof;
  /** Earlier ones, which a store may lack. */
  readonly boundaries: readonly StoreBoundary[];
  /** All that may have been called archived, canonical. */
  readonly acknowledgedGtids: string;
  /** Stores that may be asked. */
  readonly reachable: readonly string[];
  readonly sign: (epoch: number) => AppendBy;
}

/** `not-yet`: nothing was written, because what must be so before a switch is not so, or cannot be seen now. */
export type StoreSwitched =
  | { readonly kind: 'switched'; readonly epoch: number; readonly later: readonly string[] }
  | { readonly kind: 'not-yet'; readonly why: string; readonly away: AwayStore | null };

/** A store that could not be asked. */
export interface AwayStore {
  readonly store: string;
  readonly failure: StoreFailure;
}

/** Thrown by the judge of an append, and caught where the append was asked for. */
class NotYet extends Error {}

/** Thrown where a store cannot be read before anything is written. */
class Away extends NotYet {
  readonly what: AwayStore;

  constructor(store: string, { code, kind, message, hint }: AppError) {
    super(message);
    this.what = { store, failure: { code, kind, message, hint: hint ?? '' } };
  }
}

/**
 * Makes one store count for another: an entry in the catalog of the stand-in, which fences all writers
 * of the epoch before, then in the others. A stand-in must hold all that was called archived; a store
 * comes back only where both catalogs were compared and found equal, and nothing was written meanwhile.
 * Where the stand-in is lost, the entry goes into the store that comes back first.
 * A crash between two stores leaves the entry in the first, and the next try goes on with the others;
 * a store that is away gets it in its place, when it is filled. What throws `unavailable` may have
 * written the entry: the caller must take it for written.
 *
 * @throws conflict `StaleEpoch`, `HandoffMissing`; unavailable, corrupt
 */
export async function switchStore(options: SwitchStoreOptions): Promise<StoreSwitched> {
  const { repositories, boundary, boundaries, proof, reachable, sign } = options;
  const { from, to, epoch } = boundary;
  const anchor = proof === 'equal' ? from : to;
  const earlier = boundaries.filter((it) => it.epoch < epoch);
  try {
    const { catalog } = repositoryIn(repositories, anchor);
    await seen(anchor, () => catalog.read());
    const judge = proof === 'equal' ? await isEqualTo(options) : holdsAll(options);
    await bringBoundaries(catalog, earlier, sign);
    await catalog.append(boundaryBody(boundary), sign(epoch), (state) => {
      const standing = standingOf(state, boundary);
      return standing === undefined ? judge(state) : { decision: 'stands', sequence: standing.sequence };
    });
  } catch (error) {
    if (error instanceof Away) return { kind: 'not-yet', why: error.message, away: error.what };
    if (error instanceof NotYet) return { kind: 'not-yet', why: error.message, away: null };
    throw error;
  }
  faultPoint('switch.anchored');
  const later: string[] = [];
  for (const store of reachable) {
    if (store === anchor) continue;
    if (!(await written(options, store, [...earlier, boundary]))) later.push(store);
  }
  return { kind: 'switched', epoch, later };
}

/** @throws `Away` where the store cannot be asked; all else as it is */
async function seen(store: string, read: () => Promise<CatalogState>): Promise<CatalogState> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof AppError && isPassedOver(error)) throw new Away(store, error);
    throw error;
  }
}

/**
 * Writes the boundary into one more store; false where that must get it later. Whatever is wrong there,
 * the switch stands. @throws conflict `StaleEpoch` where another handoff came first
 */
async function written(
  { repositories, sign }: SwitchStoreOptions,
  store: string,
  boundaries: readonly StoreBoundary[],
): Promise<boolean> {
  try {
    await bringBoundaries(repositoryIn(repositories, store).catalog, boundaries, sign);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code !== 'StaleEpoch') return false;
    throw error;
  }
}

function holdsAll({ boundary, proof, acknowledgedGtids }: SwitchStoreOptions): Judge {
  return (state) => {
    const held = archivedGtids(viewOf(boundary.to, state));
    const gaps = state.acceptedGaps().map(({ missingGtids }) => GtidSet.parse(missingGtids));
    const covered = proof === 'holds-all-but-given-up' ? held.union(GtidSet.unionAll(gaps)) : held;
    const missing = GtidSet.parse(acknowledgedGtids).subtract(covered);
    if (missing.isEmpty) return { decision: 'append' };
    throw new NotYet(`${boundary.to} lacks ${missing.count()} transactions that were called archived`);
  };
}

/** Compares with the other store as it is now: what it has no more of would be missed there later. */
async function isEqualTo({ repositories, boundary }: SwitchStoreOptions): Promise<Judge> {
  const { from, to } = boundary;
  const theirs = viewOf(to, await seen(to, () => repositoryIn(repositories, to).catalog.read()));
  return (state) => {
    const { verdict, differences } = compareCatalogs(viewOf(from, state), theirs);
    if (verdict === 'equal') return { decision: 'append' };
    throw new NotYet(`${from} and ${to} differ in ${differences.length} entries`);
  };
}
