import { join } from 'node:path';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { placeOrders } from '../support/workload.ts';
import { type HandoffWorld, type HandoffWorldOptions, startHandoffWorld } from '../workflow/handoff-world.ts';
import type { Bucket } from './buckets.ts';

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

/** No handoff by itself: for scenarios in which no source is to fail. */
export const QUIET = { after: 3_600, lagSeconds: 3_600 };

export interface ChaosOptions extends HandoffWorldOptions {
  /** Buckets that are stores beside the folder `main`; without them it is a second folder. */
  readonly buckets?: readonly Bucket[];
}

/**
 * Starts servers, worker and archiving, takes a base backup and archives the first orders.
 * @param begin starts the workers, where one with all roles is not what a scenario wants
 */
export async function startChaosWorld(
  options: ChaosOptions = {},
  begin: (world: HandoffWorld) => Promise<unknown> = (world) => world.startWorker(),
): Promise<ChaosWorld> {
  const { buckets, ...rest } = options;
  const stores = buckets?.map(({ entry }) => entry) ?? [SECOND];
  const world = await startHandoffWorld({ rotateSeconds: 2, ...rest, stores });
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
  const others = buckets?.map(({ store }) => store) ?? [
    openDirectoryStore({ id: SECOND.id, directory: join(world.dir, SECOND.directory) }),
  ];
  return { ...world, stores: [world.store, ...others] };
}

/** Runs pitrail, which must succeed. @throws with what it said */
export async function must(world: HandoffWorld, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await world.pitrail(...args);
  if (code !== 0) throw new Error(`pitrail ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** Makes the replica the primary, as an operator does after a failover. */
export async function promote(world: HandoffWorld): Promise<void> {
  await world.replica.run('STOP REPLICA', 'RESET REPLICA ALL');
}
