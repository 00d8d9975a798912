import type { Circuit } from './circuit.ts';

/** `required`: nothing counts as archived without it. `catch-up`: gets everything too, but nobody waits for it. */
export type StorePolicy = 'required' | 'catch-up';

/** One store, as routing sees it. Plain JSON. */
export interface RoutedStore {
  readonly store: string;
  readonly policy: StorePolicy;
  readonly circuit: Circuit;
}

/**
 * True where a log counts as archived: every required store has it, read back. Where no store is
 * required (which the configuration refuses), nothing ever is.
 *
 * @param lackedBy ids of the stores that lack it, or of which it is not known
 */
export function isArchived(
  lackedBy: ReadonlySet<string>,
  stores: readonly Pick<RoutedStore, 'store' | 'policy'>[],
): boolean {
  const required = stores.filter(({ policy }) => policy === 'required');
  return required.length > 0 && required.every(({ store }) => !lackedBy.has(store));
}
