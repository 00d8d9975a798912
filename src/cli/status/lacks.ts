import { GtidSet } from '../../domain/gtid-set.ts';
import { formatCount, shortGtids } from '../words.ts';
import type { ReadableStore } from './facts.ts';

/** What a store never gets and another one holds, and that a base backup of its own lies behind. */
export interface BridgedLack {
  readonly heldBy: string;
  readonly gtids: GtidSet;
}

/**
 * What a store lacks for good without being worse off from now on: a base backup behind it lies in the store, from
 * which it restores all that comes later alone. What comes before the first log is such a lack only where archiving
 * has found it out of reach.
 *
 * @param short ids of stores that never get some of it
 */
export function bridgedLacks(
  store: ReadableStore,
  stores: readonly ReadableStore[],
  short: readonly string[],
): BridgedLack[] {
  const bridged = missingOf(store, 'behind-it', short);
  return lacksOf(store, bridged, stores);
}

/** True where a base backup of the store lies behind all that it never gets. */
export function isBridged(store: ReadableStore, stores: readonly ReadableStore[]): boolean {
  const lacks = (base: ReadableStore['holes'][number]['base']) =>
    lacksOf(store, missingOf(store, base, [store.id]), stores).length > 0;
  return lacks('behind-it') && !lacks('none');
}

function missingOf(
  { id, holes }: ReadableStore,
  base: ReadableStore['holes'][number]['base'],
  short: readonly string[],
): GtidSet {
  const isLack = ({ place }: ReadableStore['holes'][number]) =>
    place === 'between-logs' || short.includes(id);
  return GtidSet.unionAll(
    holes.filter((hole) => hole.base === base && isLack(hole)).map(({ missing }) => missing),
  );
}

function lacksOf(store: ReadableStore, missing: GtidSet, stores: readonly ReadableStore[]): BridgedLack[] {
  const lacked = missing.subtract(store.archived);
  return stores.flatMap(({ id, archived }) => {
    const gtids = archived.intersect(lacked);
    return id === store.id || gtids.isEmpty ? [] : [{ heldBy: id, gtids }];
  });
}

/** Not a problem: targets among them are reached with the other store. */
export function describeBridged(lacks: readonly BridgedLack[]): string[] {
  return lacks.map(
    ({ heldBy, gtids }) =>
      `    ${formatCount(Number(gtids.count()), 'transaction')} before a base of it are in ${heldBy} only, and never come here: ${shortGtids(gtids.toString())}`,
  );
}
