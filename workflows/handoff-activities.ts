import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type {
  HandoffControlActivities,
  HandoffHostActivities,
  HandoffStoreActivities,
} from '../activities/handoff.ts';
import type { FallbackHandoffInput } from './contracts/handoff.ts';
import { controlQueue, hostQueue, regionOf, storeQueue } from './queues.ts';

/** A worker that died is noticed by its missing heartbeat, and the next one does the step again. */
const STEP = {
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '6 seconds',
  retry: {
    initialInterval: '500 ms',
    backoffCoefficient: 2,
    maximumInterval: '5 seconds',
    maximumAttempts: 6,
  },
} as const;

/** Activities that read pitrail.yaml. */
export function handoffControl(): HandoffControlActivities {
  return proxyActivities<HandoffControlActivities>({ ...STEP, taskQueue: controlQueue(region()) });
}

/** Activities on the catalogs. */
export function handoffStores(): HandoffStoreActivities {
  return proxyActivities<HandoffStoreActivities>({ ...STEP, taskQueue: storeQueue(region()) });
}

/** How long a host may leave a look untaken before it counts as one without a worker. */
const PATIENCE = {
  // Who asks for a handoff by hand may just be starting the worker of the candidate.
  operator: { current: '10 seconds', candidate: '1 minute', retry: STEP.retry },
  // A host that froze takes a look and never ends it: it was watched for long enough.
  watch: { current: '2 seconds', candidate: '8 seconds', retry: { maximumAttempts: 1 } },
} as const;

/** Looks at the source that is archived, which may be gone. */
export function currentHost(
  host: string,
  trigger: FallbackHandoffInput['trigger']['kind'],
): Pick<HandoffHostActivities, 'lookAtCurrent'> {
  const { current: scheduleToStartTimeout, retry } = PATIENCE[trigger];
  return proxyActivities<HandoffHostActivities>({
    ...STEP,
    retry,
    scheduleToStartTimeout,
    taskQueue: hostQueue(host),
  });
}

/** Looks at the source that shall go on. */
export function candidateHost(
  host: string,
  trigger: FallbackHandoffInput['trigger']['kind'],
): Omit<HandoffHostActivities, 'lookAtCurrent'> {
  const scheduleToStartTimeout = PATIENCE[trigger].candidate;
  return proxyActivities<HandoffHostActivities>({
    ...STEP,
    scheduleToStartTimeout,
    taskQueue: hostQueue(host),
  });
}

function region(): string {
  return regionOf(workflowInfo().taskQueue);
}
