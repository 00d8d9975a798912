import { wallClock } from '../archiving/repositories.ts';
import type { ClusterConfig } from '../config/types.ts';
import { formatInstant } from '../domain/time.ts';
import { appendAuditOnce } from '../telemetry/audit.ts';
import type { HandoffAudit } from '../telemetry/audit-events.ts';
import { gtidGapDetected, handoffEnded } from '../telemetry/sync-events.ts';

/** How a handoff to another source ended. Plain JSON. */
export type HandoffNote = Omit<HandoffAudit, 'action' | 'subject'> & {
  /** From the detection to the end. */
  readonly seconds: number;
};

/**
 * Writes into this machine's audit log how a handoff ended, once, and counts it.
 * @throws corrupt `AuditBroken`; unavailable `AuditLocked`, `AuditUnwritable`
 */
export async function noteHandoff(cluster: ClusterConfig, { seconds, ...note }: HandoffNote): Promise<void> {
  const event: HandoffAudit = { action: 'handoff', subject: 'source', ...note };
  const text = JSON.stringify(event);
  const { kind } = await appendAuditOnce(
    cluster.auditFile,
    event,
    formatInstant(wallClock()),
    // A watch tries again every few seconds: the same refusal is written once.
    ({ event: it }) => JSON.stringify(it) === text,
  );
  if (kind === 'stands' && note.outcome === 'switched') return;
  if (note.missingGtids !== '') gtidGapDetected(cluster.name, 'handoff');
  handoffEnded({ cluster: cluster.name, subject: 'source', outcome: note.outcome, seconds });
}
