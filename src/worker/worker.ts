import { hostname } from 'node:os';
import {
  NativeConnection,
  type NativeConnectionOptions,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { ArchiveResources } from '../archiving/resources.ts';
import type { ListenAddress } from '../config/listen.ts';
import { weakTransports } from '../config/transport.ts';
import type { PitrailConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Observation, startObserving } from './observation.ts';
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
  /** Where metrics and health are served; null: nowhere. */
  readonly listen: ListenAddress | null;
  /** Aborted to shut down: what runs gets some seconds to end, and goes on elsewhere or later. */
  readonly signal: AbortSignal;
  /** Called once the queues are polled, with where metrics and health are served. */
  readonly onReady: (queues: readonly string[], served: ListenAddress | null) => void;
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
  const { config, logger, roles } = options;
  installRuntime(logger);
  sayWhatIsWeak(config, logger);
  const connection = await connect(options.temporal);
  const resources = new ArchiveResources(config);
  const observation = await startObserving(config, logger, options.listen);
  try {
    const work = await queuesOf(roles, options.region, resources);
    const workers = await Promise.all(
      work.map((queue) => createWorker(queue, connection, options, observation)),
    );
    const queues = work.map(({ taskQueue }, index) => ({
      taskQueue,
      state: () => workers[index]?.getState() ?? 'STOPPED',
    }));
    const { namespace } = options.temporal;
    const served = await observation.serve({ config, roles, connection, namespace, queues });
    options.onReady(
      work.map(({ taskQueue }) => taskQueue),
      served,
    );
    await runUntilAborted(workers, options.signal);
  } finally {
    await observation.close();
    await resources.close();
    await connection.close();
  }
}

/** A connection without proof is somebody's choice, and everybody who reads the log shall know of it. */
function sayWhatIsWeak(config: PitrailConfig, logger: Logger): void {
  for (const { part, message, hint } of config.clusters.flatMap(weakTransports)) {
    logger.warn({ event: 'weak-transport', part, hint }, message);
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
  observation: Observation,
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
    interceptors: { activity: [observation.interceptor] },
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
