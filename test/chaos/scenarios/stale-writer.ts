import type { RunningProcess } from '../../../src/process/start.ts';
import { placeOrders } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { startChaosWorld, stopwatch } from '../chaos-world.ts';
import { untilArchived } from '../held.ts';
import { onHosts, startHosts } from '../hosts.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

/** The old writer sleeps in the middle of its work (a paused machine), and wakes behind the boundary. */
export const staleWriter: Scenario = {
  name: 'stale-writer-wakes',
  fault: 'the old writer stopped in its work (SIGSTOP), woken after the handoff',
  async run() {
    const host: { worker: RunningProcess | null } = { worker: null };
    const world = await startChaosWorld(onHosts(), async (begun) => {
      host.worker = await startHosts(begun);
    });
    try {
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const load = placeOrders(world.mysql, 40, 10).then(() => world.mysql.run('FLUSH BINARY LOGS'));
      await until('a log is staged', async () => (await world.staged()).length > 0);
      host.worker?.kill('SIGSTOP');
      const took = stopwatch();
      await load;
      await world.replica.catchUp();
      await until('the archive was handed over', async () => (await world.catalog()).handoffs().length > 0);
      await untilArchived(world.stores, await world.replica.gtidExecuted());
      const recoverySeconds = took();
      host.worker?.kill('SIGCONT');
      await until(
        'the old source stands by',
        async () => (await world.statusOf('shop-1')).phase === 'standing-by',
      );
      const behind = await Promise.all(
        [world.storeDir, `${world.dir}/second`].map((dir) => oldBehind(world, dir)),
      );
      const fenced: Invariant = {
        name: 'nothing of the old writer stands behind the boundary',
        ok: behind.every((count) => count === 0),
        detail: `${behind.join(' and ')} entries of it in the two stores`,
      };
      const proof = await proveEqualTo(world, world.mysql);
      return {
        ...proof,
        invariants: [...proof.invariants, fenced],
        recoverySeconds,
        recovered: 'the replica has archived all that was committed',
      };
    } finally {
      host.worker?.kill('SIGCONT');
      await world.stop();
    }
  },
};

/** Segments of the old source behind the boundary, as the entries lie in the store. */
async function oldBehind(
  world: Awaited<ReturnType<typeof startChaosWorld>>,
  storeDir: string,
): Promise<number> {
  const entries = await world.rawEntries(storeDir);
  const boundary = entries.find(({ body }) => body.kind === 'handoff')?.sequence ?? 0;
  return entries.filter(
    ({ sequence, body }) =>
      sequence > boundary &&
      body.kind === 'segment-archived' &&
      body.segment.serverUuid === world.mysql.serverUuid,
  ).length;
}
