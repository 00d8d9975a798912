import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { ClusterConfig } from '../../config/types.ts';
import { verifyAuditFile } from '../audit/verify.ts';
import { type CheckFinding, failed, failedBy, findingsOf, ok, warning } from './finding.ts';
import { nearestExisting } from './staging.ts';

/** Checks the audit log of this machine: its chain, and that it can be written. */
export function checkAudit({ name, auditFile }: ClusterConfig): Promise<readonly CheckFinding[]> {
  const part = `audit ${name}`;
  return findingsOf(part, async () => {
    const verified = await verifyAuditFile(auditFile, { expected: null, missing: 'allowed' });
    if (verified.status === 'broken') {
      const { code, message, hint = '' } = verified.error;
      // A crash leaves a cut line, and the next entry mends it.
      return [code === 'AuditTorn' ? warning(part, message, hint) : failedBy(part, verified.error)];
    }
    const place = await nearestExisting(auditFile);
    const isWritable = await access(place, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (isWritable) return [ok(part, `${auditFile} is whole and can be written`)];
    const message = `${place} cannot be written by this user, so restores and refused binlogs cannot be put on record in ${auditFile}.`;
    return [failed(part, 'AuditUnwritable', 'refused', message, 'Set auditFile to a file of this user.')];
  });
}
