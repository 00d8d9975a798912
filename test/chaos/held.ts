import { openCatalog } from '../../src/catalog/catalog.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { until } from '../workflow/archive-world.ts';

/** GTIDs that a store's catalog holds on all of its timelines. */
export async function archivedIn(store: ObjectStore): Promise<GtidSet> {
  const state = await openCatalog(store).read();
  return GtidSet.unionAll(state.timelines().map(({ timeline }) => state.archivedThrough(timeline)));
}

/** What every store holds: that is what was called archived. */
export async function acknowledgedIn(stores: readonly ObjectStore[]): Promise<GtidSet> {
  const held = await Promise.all(stores.map(archivedIn));
  return held.reduce((one, other) => one.intersect(other));
}

/** Waits until every store holds these transactions. */
export async function untilArchived(
  stores: readonly ObjectStore[],
  gtids: string,
  timeoutMs = 90_000,
): Promise<void> {
  const wanted = GtidSet.parse(gtids);
  await until(
    'all is archived',
    async () => {
      const held = await Promise.all(stores.map(archivedIn));
      return held.every((archived) => wanted.isSubsetOf(archived));
    },
    timeoutMs,
  );
}

/** Names of the binlogs that a store's catalog holds, in its order. */
export async function binlogsIn(store: ObjectStore): Promise<string[]> {
  const state = await openCatalog(store).read();
  return state.allSegments().map(({ segment }) => segment.binlog);
}
