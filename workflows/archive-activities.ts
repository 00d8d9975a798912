import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type {
  ArchiveControlActivities,
  ArchiveHostActivities,
  ArchiveStoreActivities,
} from '../activities/archive.ts';
import type { ArchiveTransferActivities } from '../activities/archive-transfers.ts';
import { STORE_FAILURES } from '../src/domain/routing/store-failures.ts';
import { controlQueue, hostQueue, regionOf, storeQueue, transferQueue } from './queues.ts';

/** A round that fails is tried again by the next one, so an activity gives up after some minutes. */
const RETRY = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
  maximumAttempts: 7,
} as const;

/** As `RETRY`; a store that fails is the workflow's to decide on, at once. */
const STORE_RETRY = { ...RETRY, nonRetryableErrorTypes: [...STORE_FAILURES] };

/** Work of seconds. A worker that died is noticed by its missing heartbeat. */
const SHORT = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '8 seconds',
  // Nobody polls the queue: the worker of that host is gone.
  scheduleToStartTimeout: '90 seconds',
  retry: RETRY,
} as const;

/**
 * Work that takes as long as a log is large; may wait in the queue behind others, but not for ever:
 * where the host's worker is gone, the round must end, so that `status` says so.
 */
export const LONG = {
  startToCloseTimeout: '24 hours',
  heartbeatTimeout: '8 seconds',
  scheduleToStartTimeout: '15 minutes',
  retry: STORE_RETRY,
} as const;

/** Activities that read pitrail.yaml. */
export function controlActivities(): ArchiveControlActivities {
  return proxyActivities<ArchiveControlActivities>({ ...SHORT, taskQueue: controlQueue(region()) });
}

/** Activities on the catalogs. */
export function storeActivities(): ArchiveStoreActivities {
  return proxyActivities<ArchiveStoreActivities>({ ...SHORT, taskQueue: storeQueue(region()) });
}

/** Short activities on the host of a source. */
export function hostActivities(host: string): Omit<ArchiveHostActivities, 'stageBinlogs' | StoreTry> {
  return proxyActivities<ArchiveHostActivities>({ ...SHORT, retry: STORE_RETRY, taskQueue: hostQueue(host) });
}

type StoreTry = 'commitSegment' | 'reachStore' | 'switchStore' | 'bringBoundaries';

/** Short activities on one store: where it fails, they end at once. */
export function storeTries(host: string): Pick<ArchiveHostActivities, StoreTry> {
  return proxyActivities<ArchiveHostActivities>({ ...SHORT, retry: STORE_RETRY, taskQueue: hostQueue(host) });
}

type OnceOnly = 'acceptGap' | 'stageClosed' | 'auditSwitch' | 'validateSwitch';

/** As `hostActivities`, tried once: for what the next round does again. */
export function hostActivitiesOnce(host: string): Pick<ArchiveHostActivities, OnceOnly> {
  const retry = { maximumAttempts: 1 };
  return proxyActivities<ArchiveHostActivities>({ ...SHORT, retry, taskQueue: hostQueue(host) });
}

/** Staging on the host of a source: short where logs can be linked, and as long as they are large where not. */
export function stagingActivities(host: string): Pick<ArchiveHostActivities, 'stageBinlogs'> {
  return proxyActivities<ArchiveHostActivities>({ ...LONG, taskQueue: hostQueue(host) });
}

/** Transfers from the host of a source. */
export function transferActivities(host: string): ArchiveTransferActivities {
  return proxyActivities<ArchiveTransferActivities>({ ...LONG, taskQueue: transferQueue(host) });
}

function region(): string {
  return regionOf(workflowInfo().taskQueue);
}
