import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { placeOrders, startWorkload } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type ChaosWorld, promote, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { acknowledgedIn, untilArchived } from '../held.ts';
import { onHosts, reroutedLogs, startHosts } from '../hosts.ts';
import { proveArchive } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

/** The primary dies; its replica has everything, and the watch hands the archive to it. */
export const failoverWithoutLoss: Scenario = {
  name: 'failover-without-loss',
  fault: 'primary killed, its replica has all',
  async run() {
    const world = await startChaosWorld(onHosts(), startHosts);
    try {
      const load = await startWorkload(world.mysql, { connections: 2, pauseMs: 20 });
      await until('something was archived under load', async () => (await world.archived()).length > 2);
      await load.stop();
      await world.replica.catchUp();
      const committed = await world.mysql.gtidExecuted();
      const took = stopwatch();
      await world.mysql.kill();
      await until('the replica is archived', async () => (await reroutedLogs(world)).length > 0);
      const recoverySeconds = took();
      await promote(world);
      await placeOrders(world.replica, 20, 2);
      await untilArchived(world.stores, await world.replica.gtidExecuted());
      const acknowledged = (await acknowledgedIn(world.stores)).union(GtidSet.parse(committed));
      const proof = await proveArchive(world, world.stores, { acknowledged, equals: world.replica });
      return {
        ...proof,
        recoverySeconds,
        recovered: 'the first log of the replica is archived',
        invariants: [...proof.invariants, await oneTimeline(world)],
      };
    } finally {
      await world.stop();
    }
  },
};

/** The primary dies with transactions that are archived and never reached its replica. */
export const failoverWithLoss: Scenario = {
  name: 'failover-with-loss',
  fault: 'primary killed, archived transactions never reached its replica',
  async run() {
    const world = await startChaosWorld(onHosts(), startHosts);
    try {
      await world.replica.run('STOP REPLICA');
      const shared = await world.replica.gtidExecuted();
      await placeOrders(world.mysql, 10, 3);
      const committed = await world.mysql.gtidExecuted();
      await untilArchived(world.stores, committed);
      const lost = GtidSet.parse(committed).subtract(GtidSet.parse(shared));
      const acknowledged = await acknowledgedIn(world.stores);
      const took = stopwatch();
      await world.mysql.kill();
      await until('the watch has refused', async () => (await refusals(world)).length > 0);
      const recoverySeconds = took();
      await promote(world);
      await placeOrders(world.replica, 5, 4);
      const asked = await world.handoff('--to', 'shop-2');
      const [refused = ''] = await refusals(world);
      const before = await proveArchive(world, world.stores, { acknowledged, equals: null });
      const resync = await world.handoff('--to', 'shop-2', '--policy', 'resync');
      await untilArchived(world.stores, await world.replica.gtidExecuted());
      const after = await proveArchive(world, world.stores, {
        acknowledged: GtidSet.parse(await world.replica.gtidExecuted()),
        equals: world.replica,
      });
      const names = lost.toString().replaceAll('\n', '');
      return {
        lostTransactions: before.lostTransactions + after.lostTransactions,
        recoverySeconds,
        recovered: 'the handoff is refused by name; what was archived restores',
        invariants: [
          {
            name: 'the handoff is refused and names what was lost',
            ok:
              refused.includes(names) &&
              asked.code === 3 &&
              asked.document.error.facts['lostGtids'] === names,
            detail: `the server says ${names}; the watch said: ${refused.slice(0, 300)}`,
          },
          ...before.invariants.map((it) => ({ ...it, name: `${it.name} (before the resync)` })),
          {
            name: 'with --policy resync a history of its own begins behind a new base backup',
            ok:
              resync.code === 0 &&
              resync.document.continuity === 'resync' &&
              resync.document.backupId !== null,
            detail: resync.code === 0 ? resync.document.detail : resync.stderr.slice(-400),
          },
          ...after.invariants.map((it) => ({ ...it, name: `${it.name} (after the resync)` })),
        ],
      };
    } finally {
      await world.stop();
    }
  },
};

async function refusals(world: ChaosWorld): Promise<string[]> {
  const watch = await world.watching();
  return watch.lastHandoffs.filter(({ outcome }) => outcome === 'failed').map(({ detail }) => detail);
}

async function oneTimeline(world: ChaosWorld): Promise<Invariant> {
  const timelines = (await world.catalog()).timelines().length;
  return {
    name: 'continuity: one timeline goes on without a gap',
    ok: timelines === 1 && (await world.catalog()).acceptedGaps().length === 0,
    detail: `${timelines} timelines, ${(await world.catalog()).acceptedGaps().length} accepted gaps`,
  };
}
