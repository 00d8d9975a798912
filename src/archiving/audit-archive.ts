import type { ClusterConfig } from '../config/types.ts';
import { formatInstant } from '../domain/time.ts';
import { appendAuditOnce } from '../telemetry/audit.ts';
import type { GapAudit, HandoffAudit, RefusalAudit } from '../telemetry/audit-events.ts';
import type { RefusalRecord } from './refuse.ts';
import { wallClock } from './repositories.ts';

/** Writes into this machine's audit log that a binlog was not archived, once. */
export async function auditRefusal(cluster: ClusterConfig, refusal: RefusalRecord): Promise<void> {
  const event: RefusalAudit = { action: 'refusal', cluster: cluster.name, ...refusal };
  await appendAuditOnce(cluster.auditFile, event, formatInstant(wallClock()), ({ event: it }) => {
    const same = it.action === 'refusal' && it.cluster === event.cluster && it.binlog === event.binlog;
    return (
      same && it.serverUuid === event.serverUuid && it.reason === event.reason && it.detail === event.detail
    );
  });
}

/**
 * Writes into this machine's audit log that an operator gave transactions up. A second call for the same
 * decision finds the first line: by then nothing is left to give up.
 */
export async function auditGap(cluster: ClusterConfig, gap: Omit<GapAudit, 'action'>): Promise<void> {
  const event: GapAudit = { action: 'gap-accepted', ...gap };
  await appendAuditOnce(cluster.auditFile, event, formatInstant(wallClock()), ({ event: it }) => {
    const same = it.action === 'gap-accepted' && it.cluster === event.cluster && it.source === event.source;
    return (
      same &&
      it.serverUuid === event.serverUuid &&
      it.binlog === event.binlog &&
      it.reason === event.reason &&
      (it.lostGtids === event.lostGtids || event.lostGtids === '')
    );
  });
}

/** Writes into this machine's audit log what became of a handoff, once for each epoch, route and outcome. */
export async function auditHandoff(
  cluster: ClusterConfig,
  handoff: Omit<HandoffAudit, 'action' | 'cluster'>,
): Promise<void> {
  const event: HandoffAudit = { action: 'handoff', cluster: cluster.name, ...handoff };
  await appendAuditOnce(cluster.auditFile, event, formatInstant(wallClock()), ({ event: it }) => {
    const same = it.action === 'handoff' && it.cluster === event.cluster && it.subject === event.subject;
    return (
      same &&
      it.epoch === event.epoch &&
      it.from === event.from &&
      it.to === event.to &&
      it.outcome === event.outcome
    );
  });
}
