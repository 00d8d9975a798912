import { isCancellation, log } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import { hostActivitiesOnce } from './archive-activities.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { looksOf } from './archive-records.ts';
import { nowText } from './now.ts';

/**
 * Tells of switches that stand: the audit log, and the catalogs what became of the last one. Neither
 * holds archiving up: what fails is shown in `status` and tried again by the next round.
 */
export async function tellSwitches(entity: ArchiveEntity, { host }: ArchiveSettings): Promise<void> {
  await auditSwitches(entity, host);
  await validateSwitch(entity, host);
}

async function auditSwitches(entity: ArchiveEntity, host: string): Promise<void> {
  for (const boundary of entity.unaudited) {
    try {
      await hostActivitiesOnce(host).auditSwitch({ ...entity.input, boundary });
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = describeFailure(error);
      log.warn('the audit log does not tell of a switch', { code: failure.code, reason: failure.message });
      entity.auditFailure = failureOf(failure, nowText());
      return;
    }
    entity.unaudited = entity.unaudited.filter(({ epoch }) => epoch !== boundary.epoch);
  }
  entity.auditFailure = null;
}

/** Once the first log counts under the new routing, continuity and lag are looked at and written down. */
async function validateSwitch(entity: ArchiveEntity, host: string): Promise<void> {
  const { unvalidated } = entity;
  if (unvalidated === null || entity.segmentsArchived <= unvalidated.segmentsArchived) return;
  const { boundary, acknowledgedGtids } = unvalidated;
  const reachable = looksOf(entity).flatMap(({ store, access }) => (access === 'open' ? [store] : []));
  if (!reachable.includes(boundary.to)) return;
  try {
    const { epoch, to } = boundary;
    const result = await hostActivitiesOnce(host).validateSwitch({
      ...entity.input,
      epoch,
      store: to,
      acknowledgedGtids,
      reachable,
    });
    if (result.verdict === 'settling') {
      // Looked at again when another log counts.
      entity.unvalidated = { ...unvalidated, segmentsArchived: entity.segmentsArchived };
      return;
    }
    log.info('a switch of stores was validated', { ...boundary, ...result });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { code, kind, message } = describeFailure(error);
    log.warn('a switch of stores could not be validated', { code, reason: message });
    if (kind === 'unavailable') return;
  }
  if (entity.unvalidated === unvalidated) entity.unvalidated = null;
}
