import type { AppendBy, Judge } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { viewOf } from '../catalog/view.ts';
import type { CatalogBody, HandoffReason } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { archivedGtids } from '../domain/routing/catalog-view.ts';
import { compareCatalogs } from '../domain/routing/compare.ts';
import { faultPoint } from '../process/fault.ts';
import { type Repositories, repositoryIn } from './repositories.ts';

/** What moves: store `to` counts in the place of `from` from now on. */
export interface StoreSwitch {
  readonly from: string;
  readonly to: string;
  readonly reason: Extract<HandoffReason, 'circuit-open' | 'switch-back'>;
  /** For people and the audit. */
  readonly detail: string;
}

export interface SwitchStoreOptions {
  readonly repositories: Repositories;
  readonly route: StoreSwitch;
  /** The epoch that the writer holds; the switch raises it by one. */
  readonly epoch: number;
  /** All that may have been called archived, canonical. */
  readonly acknowledgedGtids: string;
  /** Stores that may be asked. */
  readonly reachable: readonly string[];
  readonly sign: (epoch: number) => AppendBy;
}

/** `not-yet`: nothing was written, because what must be so before a switch is not so. */
export type StoreSwitched =
  | { readonly kind: 'switched'; readonly epoch: number; readonly later: readonly string[] }
  | { readonly kind: 'not-yet'; readonly why: string };

/** Thrown by the judge of an append, and caught where the append was asked for. */
class NotYet extends Error {}

/**
 * Makes one store count for another: an entry in the catalog of the stand-in, which fences all writers
 * of the epoch before, then in the others. A stand-in must hold all that was called archived; a store
 * comes back only where both catalogs were compared and found equal, and nothing was written meanwhile.
 * A crash between two stores leaves the entry in the first, and the next try goes on with the others;
 * a store that is away gets it in its place, when it is filled.
 *
 * @throws conflict `StaleEpoch`; unavailable, corrupt
 */
export async function switchStore(options: SwitchStoreOptions): Promise<StoreSwitched> {
  const { repositories, route, reachable } = options;
  const { from, to, reason, detail } = route;
  const epoch = options.epoch + 1;
  const body: CatalogBody = { kind: 'handoff', route: { kind: 'store', from, to }, reason, detail };
  const anchor = reason === 'switch-back' ? from : to;
  const other = anchor === from ? to : from;
  const judge = reason === 'switch-back' ? await isEqualTo(options, other) : holdsAll(options);
  try {
    await repositoryIn(repositories, anchor).catalog.append(
      body,
      options.sign(epoch),
      (state) => standing(state, epoch, route) ?? judge(state),
    );
  } catch (error) {
    if (error instanceof NotYet) return { kind: 'not-yet', why: error.message };
    throw error;
  }
  faultPoint('switch.anchored');
  const later: string[] = [];
  for (const store of reachable) {
    if (store === anchor || (store === from && reason === 'circuit-open')) continue;
    if (!(await written(options, store, body, epoch))) later.push(store);
  }
  return { kind: 'switched', epoch, later };
}

/** Writes the boundary into one more store; false where that must get it by being filled. */
async function written(
  { repositories, route, sign }: SwitchStoreOptions,
  store: string,
  body: CatalogBody,
  epoch: number,
): Promise<boolean> {
  try {
    const { catalog } = repositoryIn(repositories, store);
    await catalog.append(
      body,
      sign(epoch),
      (state) => standing(state, epoch, route) ?? { decision: 'append' },
    );
    return true;
  } catch (error) {
    if (error instanceof AppError && (error.kind === 'unavailable' || error.code === 'HandoffMissing'))
      return false;
    throw error;
  }
}

/** The entry of this very switch, where an earlier try wrote it. */
function standing(state: CatalogState, epoch: number, { from, to }: StoreSwitch): ReturnType<Judge> | null {
  const found = state.handoffs().find((it) => it.epoch === epoch);
  if (found?.route.kind !== 'store' || found.route.from !== from || found.route.to !== to) return null;
  return { decision: 'stands', sequence: found.sequence };
}

function holdsAll({ route, acknowledgedGtids }: SwitchStoreOptions): Judge {
  return (state) => {
    const missing = GtidSet.parse(acknowledgedGtids).subtract(archivedGtids(viewOf(route.to, state)));
    if (missing.isEmpty) return { decision: 'append' };
    throw new NotYet(`${route.to} lacks ${missing.count()} transactions that were called archived`);
  };
}

/** Compares with the other store as it is now: what it has no more of would be missed there later. */
async function isEqualTo({ repositories, route }: SwitchStoreOptions, other: string): Promise<Judge> {
  const theirs = viewOf(other, await repositoryIn(repositories, other).catalog.read());
  return (state) => {
    const { verdict, differences } = compareCatalogs(viewOf(route.from, state), theirs);
    if (verdict === 'equal') return { decision: 'append' };
    throw new NotYet(`${route.from} and ${other} differ in ${differences.length} entries`);
  };
}
