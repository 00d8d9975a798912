import { join } from 'node:path';
import { FAULT_POINTS } from '../../../src/process/fault.ts';
import type { RunningProcess } from '../../../src/process/start.ts';
import { placeOrders } from '../../support/workload.ts';
import { QUIET, startChaosWorld, stopwatch } from '../chaos-world.ts';
import { untilArchived } from '../held.ts';
import { proveEqualTo } from '../prove.ts';
import type { Invariant, Scenario } from '../scenario.ts';

const POINTS = FAULT_POINTS.filter((point) => point.startsWith('handoff.'));

/** A worker is killed at each step of a handoff; the next one ends what it began. To and fro between two sources. */
export const killedHandoff: Scenario = {
  name: 'worker-killed-in-handoff',
  fault: 'the worker killed (SIGKILL) at each step of a handoff',
  async run() {
    const current: { worker: RunningProcess | null } = { worker: null };
    // The worker is away for as long as the next one takes to start: the watch is not to act on that.
    const world = await startChaosWorld({ fallback: QUIET }, async (begun) => {
      current.worker = await begun.startWorker();
    });
    try {
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const steps: Invariant[] = [];
      let slowest = 0;
      for (const [index, point] of POINTS.entries()) {
        await placeOrders(world.mysql, 5, 20 + index);
        await world.replica.catchUp();
        await current.worker?.stop();
        const once = join(world.dir, `once-${point}`);
        const doomed = await world.startWorker({ PITRAIL_FAULT: point, PITRAIL_FAULT_ONCE: once });
        const handoff = world.handoff('--to', index % 2 === 0 ? 'shop-2' : 'shop-1');
        await doomed.exited;
        const took = stopwatch();
        current.worker = await world.startWorker();
        const { code, document } = await handoff;
        slowest = Math.max(slowest, took());
        const boundaries = (await world.catalog()).handoffs().length;
        steps.push({
          name: `killed at ${point}, the handoff ends once`,
          ok: code === 0 && document.outcome === 'handed-over' && boundaries === index + 1,
          detail: `exit ${code}, ${document.outcome ?? document.error.code}, ${boundaries} boundaries`,
        });
      }
      await untilArchived(world.stores, await world.mysql.gtidExecuted());
      const proof = await proveEqualTo(world, world.mysql);
      return {
        ...proof,
        invariants: [...steps, ...proof.invariants],
        recoverySeconds: slowest,
        recovered: 'the slowest of them has ended and is validated',
      };
    } finally {
      await world.stop();
    }
  },
};
