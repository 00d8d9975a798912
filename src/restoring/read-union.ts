import type { Repository } from '../archiving/repositories.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { storesDisagree } from '../domain/union/conflict.ts';
import type { FencedLog } from '../domain/union/fenced.ts';
import type { StoreCatalog } from '../domain/union/store-catalog.ts';
import { type CatalogUnion, conflictOn, UnionBuilder } from '../domain/union/union-builder.ts';

/** What all readable stores say together. */
export interface ReadUnion extends CatalogUnion {
  /** Stores that could not be read, and logs that were left out, each with its reason. */
  readonly passedOver: readonly string[];
}

/**
 * Reads the catalogs one after the other, so that memory holds one and what is kept of the others. A store that
 * cannot be read or believed is passed over while another can: whoever asked must be told.
 * @throws unavailable `NoStoreReadable`; what the only store throws
 */
export async function readUnion(candidates: readonly Repository[]): Promise<ReadUnion> {
  const builder = new UnionBuilder();
  const failures: { readonly store: string; readonly error: AppError }[] = [];
  for (const { store, catalog } of candidates) {
    try {
      builder.add(storeCatalog(store.id, await catalog.read()));
      catalog.forget();
    } catch (error) {
      if (!isOfStore(error)) throw error;
      failures.push({ store: store.id, error });
    }
  }
  if (failures.length === candidates.length) throw noneReadable(failures);
  const union = builder.build();
  const passedOver = [
    ...failures.map(({ store, error }) => `${store}: ${error.message}`),
    ...union.fenced.map(describeFenced),
  ];
  return { ...union, passedOver };
}

/** What stores say together whose catalogs are at hand. Pure. */
export function unionOf(
  stores: readonly { readonly id: string; readonly state: CatalogState }[],
): CatalogUnion {
  const builder = new UnionBuilder();
  for (const { id, state } of stores) builder.add(storeCatalog(id, state));
  return builder.build();
}

/** Why a restore from all these stores that names no timeline is refused; null where it is not. Pure. */
export function disagreementOf(
  stores: readonly { readonly id: string; readonly state: CatalogState }[],
): AppError | null {
  const conflict = stores.length < 2 ? null : conflictOn(unionOf(stores), null);
  return conflict === null ? null : storesDisagree(conflict);
}

/** Refuses a timeline on which the stores contradict each other; null: the newest. @throws conflict `StoresDisagree` */
export function requireOneHistory(union: CatalogUnion, timeline: number | null): void {
  const conflict = conflictOn(union, timeline);
  if (conflict !== null) throw storesDisagree(conflict);
}

function storeCatalog(store: string, state: CatalogState): StoreCatalog {
  return {
    store,
    repositoryId: state.repositoryId,
    cluster: state.cluster,
    sequence: state.head.sequence,
    timelines: state.timelines(),
    segments: state.allSegments(),
    backups: state.backups(),
    handoffs: state.handoffs(),
  };
}

function isOfStore(error: unknown): error is AppError {
  return error instanceof AppError && error.kind !== 'usage' && error.kind !== 'bug';
}

function describeFenced({ name, stores, epoch, gtids }: FencedLog): string {
  const lacking = gtids.replaceAll('\n', ' ');
  return `${stores.join(', ')}: ${name} is left out, for its server had been handed away (epoch ${epoch}), and the history that goes on lacks ${lacking}`;
}

function noneReadable(failures: readonly { readonly store: string; readonly error: AppError }[]): AppError {
  const [first] = failures;
  const away = failures.find(({ error }) => error.kind === 'unavailable');
  if (away === undefined && first !== undefined) return first.error;
  const reasons = failures.map(({ store, error }) => `${store}: ${error.message}`);
  return new AppError({
    code: 'NoStoreReadable',
    kind: 'unavailable',
    message: `None of ${failures.length} stores can be read, so nothing can be restored now. ${reasons.join(' ')}`,
    hint: 'Bring one of the stores back and try again: one store and its key are enough.',
    facts: { stores: failures.map(({ store }) => store) },
    ...(away === undefined ? {} : { cause: away.error }),
  });
}
