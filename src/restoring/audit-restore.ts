import type { ClusterConfig } from '../config/types.ts';
import { appendAuditOnce, readAudit } from '../telemetry/audit.ts';
import type { RestoreAudit } from '../telemetry/audit-events.ts';
import type { RestoreJob } from './job.ts';
import type { StoredPlan } from './work-folder.ts';

/** The end of a restore, for the audit file. */
export interface RestoreEnding {
  readonly outcome: RestoreAudit['outcome'];
  readonly gtidExecuted: string | null;
  readonly detail: string;
}

/** Writes down how a planned restore ended, once; a second call for the same plan finds the first line. */
export async function auditRestore(
  cluster: ClusterConfig,
  stored: StoredPlan,
  ending: RestoreEnding,
  at: string,
): Promise<void> {
  const { job, plan, backup } = stored;
  const event: RestoreAudit = {
    action: 'restore',
    requestId: job.requestId,
    cluster: job.cluster,
    repositoryId: plan.repositoryId,
    store: plan.base?.stores[0] ?? '',
    target: job.target,
    backupId: backup.backupId,
    expectedGtids: plan.expectedGtids,
    skippedGtids: plan.skippedGtids,
    dataDir: job.targetDir,
    ...ending,
  };
  await appendAuditOnce(
    cluster.auditFile,
    event,
    at,
    (line) =>
      line.event.action === 'restore' &&
      line.event.requestId === job.requestId &&
      line.event.outcome === ending.outcome &&
      line.at >= stored.plannedAt,
  );
}

/** True where the audit file says that this very request was handed over in this folder. */
export async function wasHandedOver(cluster: ClusterConfig, job: RestoreJob): Promise<boolean> {
  const lines = await readAudit(cluster.auditFile);
  return lines.some(
    ({ event }) =>
      event.action === 'restore' &&
      event.requestId === job.requestId &&
      event.dataDir === job.targetDir &&
      event.outcome === 'handed-over',
  );
}
