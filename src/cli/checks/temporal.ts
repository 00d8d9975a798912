import { isGrpcServiceError } from '@temporalio/client';
import {
  controlQueue,
  hostQueue,
  restoreQueue,
  storeQueue,
  transferQueue,
} from '../../../workflows/queues.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';
import { type CheckFinding, failed, findingsOf, ok } from './finding.ts';

const PART = 'temporal';
/** A worker polls anew at least once a minute; one that has not for longer is gone. */
const POLLED_WITHIN_MS = 90_000;
/** google.rpc.Code */
const GRPC_NOT_FOUND = 5;
/** temporal.api.enums.v1.TaskQueueType */
const QUEUE_TYPES = { workflow: 1, activity: 2 } as const;

interface NeededQueue {
  readonly name: string;
  readonly type: keyof typeof QUEUE_TYPES;
  readonly roles: string;
}

/** Checks that Temporal answers, knows the namespace, and that a worker polls every queue that is needed. */
export async function checkTemporal(config: PitrailConfig): Promise<readonly CheckFinding[]> {
  return findingsOf(PART, async () => {
    const session = await connectTemporal(config.temporal);
    try {
      return await askTemporal(session, config);
    } finally {
      await session.close();
    }
  });
}

async function askTemporal(session: TemporalSession, config: PitrailConfig): Promise<CheckFinding[]> {
  const { namespace, address } = session;
  const isKnown = await knowsNamespace(session);
  if (!isKnown) {
    const message = `Temporal at ${address} does not know namespace ${namespace}, so no workflow can run there.`;
    return [
      failed(
        PART,
        'NamespaceMissing',
        'config',
        message,
        `temporal operator namespace create -n ${namespace}, or set temporal.namespace.`,
      ),
    ];
  }
  const queues = await Promise.all(neededQueues(config).map((queue) => checkQueue(session, queue)));
  return [ok(PART, `Temporal answers at ${address}, namespace ${namespace}`), ...queues];
}

async function knowsNamespace({ connection, namespace }: TemporalSession): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (isGrpcServiceError(error) && error.code === GRPC_NOT_FOUND) return false;
    throw error;
  }
}

/** The queues that the configured clusters need, each once. Pure. */
export function neededQueues(config: PitrailConfig): NeededQueue[] {
  const { region } = config;
  const hosts = [
    ...new Set(config.clusters.flatMap(({ sources }) => sources.map(({ workerHost }) => workerHost))),
  ];
  return [
    { name: controlQueue(region), type: 'workflow', roles: 'control' },
    { name: storeQueue(region), type: 'activity', roles: 'store' },
    ...hosts.flatMap((host) =>
      [hostQueue(host), transferQueue(host)].map(
        (name): NeededQueue => ({ name, type: 'activity', roles: `host:${host}` }),
      ),
    ),
    { name: restoreQueue(region), type: 'activity', roles: 'restore' },
  ];
}

async function checkQueue(session: TemporalSession, queue: NeededQueue): Promise<CheckFinding> {
  const { pollers } = await session.connection.workflowService.describeTaskQueue({
    namespace: session.namespace,
    taskQueue: { name: queue.name },
    taskQueueType: QUEUE_TYPES[queue.type],
  });
  const now = Date.now();
  const alive = (pollers ?? []).filter(
    (poller) => now - Number(poller.lastAccessTime?.seconds ?? 0) * 1000 < POLLED_WITHIN_MS,
  );
  const part = `worker ${queue.name}`;
  if (alive.length > 0)
    return ok(part, `polled by ${alive.map(({ identity }) => identity ?? 'unnamed').join(', ')}`);
  const message = `no worker polls ${queue.name}, so work for ${queue.roles} waits and nothing of it gets done.`;
  return failed(part, 'NoWorker', 'unavailable', message, `Start one: pitrail worker --roles ${queue.roles}`);
}
