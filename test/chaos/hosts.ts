import type { RunningProcess } from '../../src/process/start.ts';
import type { HandoffWorld } from '../workflow/handoff-world.ts';
import type { ChaosOptions } from './chaos-world.ts';

/** The primary belongs to a host of its own, so that its worker can be stopped without the others. */
export function onHosts(more: ChaosOptions = {}): ChaosOptions {
  return { ...more, endpoint: (source) => (source === 'shop-1' ? { workerHost: 'db-1' } : {}) };
}

/** Starts a worker for everything but the primary's host, and one for that. @returns the latter */
export async function startHosts(world: HandoffWorld): Promise<RunningProcess> {
  await world.startWorker();
  return world.startWorker({}, ['--roles', 'host:db-1']);
}

/** Logs of the replica that are archived behind the newest boundary. */
export async function reroutedLogs(world: HandoffWorld): Promise<string[]> {
  const state = await world.catalog();
  const boundary = state.handoffs().at(-1)?.sequence ?? Number.POSITIVE_INFINITY;
  return state
    .allSegments()
    .filter(({ sequence, segment }) => sequence > boundary && segment.serverUuid === world.replica.serverUuid)
    .map(({ segment }) => segment.binlog);
}
