import { hostname } from 'node:os';
import {
  archiveControlActivities,
  archiveHostActivities,
  archiveStoreActivities,
} from '../../activities/archive.ts';
import { archiveTransferActivities } from '../../activities/archive-transfers.ts';
import { backupHostActivities, backupStoreActivities } from '../../activities/backup.ts';
import {
  handoffControlActivities,
  handoffHostActivities,
  handoffStoreActivities,
} from '../../activities/handoff.ts';
import { restoreActivities, restoreHostActivities } from '../../activities/restore.ts';
import {
  controlQueue,
  hostQueue,
  restoreHostQueue,
  restoreQueue,
  storeQueue,
  transferQueue,
} from '../../workflows/queues.ts';
import type { ArchiveResources } from '../archiving/resources.ts';
import { assertNever } from '../domain/errors.ts';
import { workflowBundlePath } from './bundle.ts';
import type { Role } from './roles.ts';

/** What one task queue of a process is polled for. */
export interface QueueWork {
  readonly taskQueue: string;
  readonly activities: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;
  /** Path of the bundle where workflows run on this queue; else null. */
  readonly workflowBundle: string | null;
}

/** The queues of the given roles in a region, and what is done on each. */
export async function queuesOf(
  roles: readonly Role[],
  region: string,
  resources: ArchiveResources,
): Promise<readonly QueueWork[]> {
  return (await Promise.all(roles.map((role) => queuesOfRole(role, region, resources)))).flat();
}

async function queuesOfRole(
  role: Role,
  region: string,
  resources: ArchiveResources,
): Promise<readonly QueueWork[]> {
  switch (role.kind) {
    case 'control':
      return [
        {
          taskQueue: controlQueue(region),
          activities: { ...archiveControlActivities(resources), ...handoffControlActivities(resources) },
          workflowBundle: await workflowBundlePath(),
        },
      ];
    case 'store':
      return [
        activitiesOn(storeQueue(region), {
          ...archiveStoreActivities(resources),
          ...backupStoreActivities(resources),
          ...handoffStoreActivities(resources),
        }),
      ];
    case 'host':
      return [
        activitiesOn(hostQueue(role.host), {
          ...archiveHostActivities(resources),
          ...backupHostActivities(resources),
          ...handoffHostActivities(resources),
        }),
        activitiesOn(transferQueue(role.host), archiveTransferActivities(resources)),
      ];
    case 'restore':
      return [
        activitiesOn(restoreQueue(region), restoreActivities(resources.config)),
        activitiesOn(restoreHostQueue(region, hostname()), restoreHostActivities(resources.config)),
      ];
    default:
      return assertNever(role);
  }
}

function activitiesOn(taskQueue: string, activities: QueueWork['activities']): QueueWork {
  return { taskQueue, activities, workflowBundle: null };
}
