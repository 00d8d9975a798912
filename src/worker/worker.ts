import { hostname } from 'node:os';
import {
  NativeConnection,
  type NativeConnectionOptions,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { ArchiveResources } from '../archiving/resources.ts';
import type { PitrailConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type QueueWork, queuesOf } from './queue-work.ts';
import { formatRole, type Role } from './roles.ts';
import { installRuntime } from './runtime.ts';

export interface RunWorkerOptions {
  readonly config: PitrailConfig;
  readonly roles: readonly Role[];
  readonly region: string;
  readonly temporal: {
    readonly address: string;
    readonly namespace: string;
    readonly options: NativeConnectionOptions;
  };
  readonly logger: Logger;
  /** Aborted to shut down: what runs gets some seconds to end, and goes on elsewhere or later. */
  readonly signal: AbortSignal;
  /** Called with the queues once they are polled. */
  readonly onReady: (queues: readonly string[]) => void;
}

/** Small numbers keep a process with all roles under 300 MB. */
const SHARED = {
  maxConcurrentActivityTaskExecutions: 8,
  maxHeartbeatThrottleInterval: '3 seconds',
  defaultHeartbeatThrottleInterval: '3 seconds',
  shutdownGraceTime: '8 seconds',
  shutdownForceTime: '30 seconds',
} as const satisfies Partial<WorkerOptions>;

const WORKFLOWS = {
  maxCachedWorkflows: 40,
  maxConcurrentWorkflowTaskExecutions: 8,
  maxConcurrentWorkflowTaskPolls: 4,
} as const satisfies Partial<WorkerOptions>;

/**
 * Works on the task queues of the given roles until the signal aborts. One process may have all
 * roles; each queue has a Temporal worker of its own in it.
 *
 * @throws unavailable where Temporal cannot be reached
 */
export async function runWorker(options: RunWorkerOptions): Promise<void> {
  installRuntime(options.logger);
  const connection = await connect(options.temporal);
  const resources = new ArchiveResources(options.config);
  try {
    const work = await queuesOf(options.roles, options.region, resources);
    const workers = await Promise.all(work.map((queue) => createWorker(queue, connection, options)));
    options.onReady(work.map(({ taskQueue }) => taskQueue));
    await runUntilAborted(workers, options.signal);
  } finally {
    await resources.close();
    await connection.close();
  }
}

async function connect({ address, options }: RunWorkerOptions['temporal']): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(options);
  } catch (error) {
    throw new AppError({
      code: 'TemporalUnreachable',
      kind: 'unavailable',
      message: `Temporal does not answer at ${address}, so this worker has no work.`,
      hint: 'Start it, or set temporal.address in pitrail.yaml.',
      facts: { address },
      cause: error,
    });
  }
}

function createWorker(
  queue: QueueWork,
  connection: NativeConnection,
  { temporal, roles }: RunWorkerOptions,
): Promise<Worker> {
  return Worker.create({
    ...SHARED,
    ...(queue.workflowBundle === null
      ? {}
      : { ...WORKFLOWS, workflowBundle: { codePath: queue.workflowBundle } }),
    connection,
    namespace: temporal.namespace,
    taskQueue: queue.taskQueue,
    activities: queue.activities,
    identity: `${hostname()}/${process.pid}/${roles.map(formatRole).join('+')}`,
  });
}

/** A queue whose worker fails takes the others down with it: half a process would look alive. */
async function runUntilAborted(workers: readonly Worker[], signal: AbortSignal): Promise<void> {
  const stop = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const running = workers.map((worker) => worker.run());
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    await Promise.all(running);
  } catch (error) {
    stop();
    await Promise.allSettled(running);
    throw error;
  }
}
