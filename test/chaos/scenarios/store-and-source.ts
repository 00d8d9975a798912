import { openCatalog } from '../../../src/catalog/catalog.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { placeOrders, startWorkload } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type Bucket, startS3Bucket, withBuckets } from '../buckets.ts';
import { type ChaosWorld, promote, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { archivedIn, untilArchived } from '../held.ts';
import { onHosts, reroutedLogs, startHosts } from '../hosts.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario, ScenarioFindings } from '../scenario.ts';

/** A region is lost: a required store and the primary at once. The replica goes on into the store that is left. */
export const storeAndSourceLost: Scenario = {
  name: 'store-and-source-lost',
  fault: 'a required store and the primary killed at once; the store started again after the handoff',
  run: () => withBuckets([startS3Bucket], loseBoth),
};

async function loseBoth(far: Bucket): Promise<ScenarioFindings> {
  const world = await startChaosWorld(onHosts({ buckets: [far] }), startHosts);
  try {
    const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
    await until('something was archived under load', async () => (await world.archived()).length > 3);
    await load.stop();
    await world.replica.catchUp();
    // Committed and on the replica, and archived nowhere yet: the newest log is open.
    const committed = await world.mysql.gtidExecuted();
    const took = stopwatch();
    await Promise.all([far.kill(), world.mysql.kill()]);
    await until('the replica is archived', async () => (await reroutedLogs(world)).length > 0);
    const recoverySeconds = took();
    await promote(world);
    await placeOrders(world.replica, 20, 2);
    await untilArchived([world.store], await world.replica.gtidExecuted());
    const early = await calledArchived(world);
    await far.start();
    await placeOrders(world.replica, 10, 3);
    await untilArchived(world.stores, await world.replica.gtidExecuted(), 180_000);
    const kept: Invariant = {
      name: 'all that the primary had committed is in the store that came back',
      ok: GtidSet.parse(committed).isSubsetOf(await archivedIn(far.store)),
      detail: committed.replaceAll('\n', ''),
    };
    const proof = await proveEqualTo(world, world.replica);
    return {
      ...proof,
      recoverySeconds,
      recovered: 'the first log of the replica is in the store that is left',
      invariants: [early, kept, await oneBoundary(world), ...proof.invariants],
    };
  } finally {
    await world.stop();
  }
}

/** One of two required stores has it: that is not enough to say so. */
async function calledArchived(world: ChaosWorld): Promise<Invariant> {
  const { segmentsArchived, archivedThrough } = await world.statusOf('shop-2');
  const inMain = await reroutedLogs(world);
  return {
    name: 'nothing of the replica is called archived while the store is away',
    ok:
      inMain.length > 0 && segmentsArchived === 0 && archivedThrough?.serverUuid !== world.replica.serverUuid,
    detail: `${inMain.length} logs of it were in main, ${segmentsArchived} called archived`,
  };
}

/** The store that was away got the handoff in its place. */
async function oneBoundary(world: ChaosWorld): Promise<Invariant> {
  const states = await Promise.all(world.stores.map((store) => openCatalog(store).read()));
  const boundaries = states.map((state) =>
    state
      .handoffs()
      .map(({ epoch }) => epoch)
      .join(),
  );
  return {
    name: 'the handoff stands once in each store, in one epoch',
    ok:
      boundaries.every((epochs) => epochs === '2') && states.every((state) => state.timelines().length === 1),
    detail: `epochs of handoffs: ${boundaries.join(' and ')}`,
  };
}
