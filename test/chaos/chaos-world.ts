import { GtidSet } from '../../src/domain/gtid-set.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { placeOrders } from '../support/workload.ts';
import { until } from '../workflow/archive-world.ts';
import { type HandoffWorld, type HandoffWorldOptions, startHandoffWorld } from '../workflow/handoff-world.ts';
import { archivedIn } from './prove.ts';

/** A primary, its replica, two stores and a base backup; archiving runs. */
export interface ChaosWorld extends HandoffWorld {
  readonly stores: readonly ObjectStore[];
}

/** Seconds since something began. */
export function stopwatch(): () => number {
  const startedAt = performance.now();
  return () => (performance.now() - startedAt) / 1000;
}

const SECOND = { id: 'second', directory: 'second' };

/**
 * Starts servers, worker and archiving, takes a base backup and archives the first orders.
 * @param begin starts the workers, where one with all roles is not what a scenario wants
 */
export async function startChaosWorld(
  options: HandoffWorldOptions = {},
  begin: (world: HandoffWorld) => Promise<unknown> = (world) => world.startWorker(),
): Promise<ChaosWorld> {
  const world = await startHandoffWorld({ stores: [SECOND], rotateSeconds: 2, ...options });
  try {
    await begin(world);
    await must(world, 'apply');
    await must(world, 'backup', '--source', 'shop-1');
    await placeOrders(world.mysql, 20, 1);
    await world.replica.catchUp();
  } catch (error) {
    await world.stop();
    throw error;
  }
  const directory = `${world.dir}/second`;
  const stores =
    options.stores === undefined
      ? [world.store, openDirectoryStore({ id: 'second', directory })]
      : [world.store];
  return { ...world, stores };
}

/** Runs pitrail, which must succeed. @throws with what it said */
export async function must(world: HandoffWorld, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await world.pitrail(...args);
  if (code !== 0) throw new Error(`pitrail ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
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

/** What every store holds: that is what was called archived. */
export async function acknowledgedIn(stores: readonly ObjectStore[]): Promise<GtidSet> {
  const held = await Promise.all(stores.map(archivedIn));
  return held.reduce((one, other) => one.intersect(other));
}

/** Makes the replica the primary, as an operator does after a failover. */
export async function promote(world: HandoffWorld): Promise<void> {
  await world.replica.run('STOP REPLICA', 'RESET REPLICA ALL');
}
