import type { RunningProcess } from '../../../src/process/start.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';
import { placeOrders } from '../../support/workload.ts';
import { until } from '../../workflow/archive-world.ts';
import { type ChaosWorld, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { untilArchived } from '../held.ts';
import { onHosts, reroutedLogs, startHosts } from '../hosts.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario, ScenarioFindings } from '../scenario.ts';

/** Delay, then resets, then a partition between the worker and the primary; the replica still gets everything. */
export const sourcePartition: Scenario = {
  name: 'source-partition',
  fault: 'worker cut off from the primary: delays, resets, then a partition',
  async run() {
    const proxy = await tcpProxy({ host: '127.0.0.1', port: 1 });
    const world = await startChaosWorld({
      endpoint: (source) => (source === 'shop-1' ? { host: proxy.host, port: proxy.port, tls: 'off' } : {}),
      onServer: ({ host, port }) => proxy.retarget({ host, port }),
    });
    try {
      proxy.setWeather({ kind: 'delay', ms: 150 });
      await placeOrders(world.mysql, 5, 5);
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      proxy.reset();
      await placeOrders(world.mysql, 5, 6);
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const stayed = (await world.catalog()).epoch;
      const took = stopwatch();
      proxy.setWeather({ kind: 'hold' });
      await placeOrders(world.mysql, 10, 7);
      await until('the replica is archived', async () => (await reroutedLogs(world)).length > 0);
      const recoverySeconds = took();
      proxy.setWeather({ kind: 'clear' });
      proxy.reset();
      const findings = await proveHandedOver(world, recoverySeconds);
      const steady: Invariant = {
        name: 'delay and resets alone hand nothing over',
        ok: stayed === 1,
        detail: `the catalog stood at epoch ${stayed} before the partition`,
      };
      return { ...findings, invariants: [...findings.invariants, steady] };
    } finally {
      await world.stop();
      await proxy.stop();
    }
  },
};

/** The only worker of the primary's host dies; the primary itself is well. */
export const hostDies: Scenario = {
  name: 'host-worker-dies',
  fault: "the worker of the primary's host killed, the server lives",
  async run() {
    const host: { worker: RunningProcess | null } = { worker: null };
    const world = await startChaosWorld(onHosts(), async (begun) => {
      host.worker = await startHosts(begun);
    });
    try {
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const took = stopwatch();
      host.worker?.kill('SIGKILL');
      await host.worker?.exited;
      await placeOrders(world.mysql, 10, 8);
      await until('the replica is archived', async () => (await reroutedLogs(world)).length > 0);
      const recoverySeconds = took();
      await world.startWorker({}, ['--roles', 'host:db-1']);
      return await proveHandedOver(world, recoverySeconds);
    } finally {
      await world.stop();
    }
  },
};

/** The old source lives: it stands by, and the archive holds what both servers hold. */
async function proveHandedOver(world: ChaosWorld, recoverySeconds: number): Promise<ScenarioFindings> {
  await until(
    'the old source stands by',
    async () => (await world.statusOf('shop-1')).phase === 'standing-by',
  );
  await placeOrders(world.mysql, 10, 9);
  await world.replica.catchUp();
  await untilArchived(world.stores, await world.replica.gtidExecuted());
  const proof = await proveEqualTo(world, world.mysql);
  return { ...proof, recoverySeconds, recovered: 'the first log of the replica is archived' };
}
