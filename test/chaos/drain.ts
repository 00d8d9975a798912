import { placeOrders } from '../support/workload.ts';
import { filesUnder, until } from '../workflow/archive-world.ts';
import type { ChaosWorld } from './chaos-world.ts';
import { untilArchived } from './held.ts';
import { proveEqualTo } from './prove.ts';
import type { ScenarioFindings } from './scenario.ts';

/** Proves that a store that was away or slow is like the others again, and that nothing waits for it any more. */
export async function proveDrained(world: ChaosWorld, recoverySeconds: number): Promise<ScenarioFindings> {
  await placeOrders(world.mysql, 5, 30);
  await untilArchived(world.stores, await world.mysql.gtidExecuted());
  await until('nothing is staged any more', async () => (await filesUnder(world.stagingDir)).length === 0);
  const proof = await proveEqualTo(world, world.mysql);
  return { ...proof, recoverySeconds, recovered: 'the store has all that was committed meanwhile' };
}
