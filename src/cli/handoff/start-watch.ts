import { controlQueue } from '../../../workflows/queues.ts';
import type { watchCluster } from '../../../workflows/watchCluster.ts';
import type { TemporalSession } from '../temporal-client.ts';

/** Starts the watch over a cluster's archived source, or finds it running. */
export async function startWatch(
  { client }: TemporalSession,
  cluster: string,
  region: string,
): Promise<void> {
  await client.workflow.start<typeof watchCluster>('watchCluster', {
    workflowId: `watch/${cluster}`,
    taskQueue: controlQueue(region),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [{ cluster }],
    staticSummary: `Watches who is archived in ${cluster}, and hands over to a fallback`,
  });
}
