import { isCancellation } from '@temporalio/workflow';
import type { ArchiveSettings } from '../activities/archive.ts';
import type { OpenLog } from '../src/archiving/discovery.ts';
import { hostActivities } from './archive-activities.ts';
import { type ArchiveEntity, failureOf } from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { nowText } from './now.ts';

/** Closes the open log where someone sent `rotateNow`. */
export async function rotateIfAsked(entity: ArchiveEntity, settings: ArchiveSettings): Promise<void> {
  if (!entity.rotateAsked) return;
  entity.rotateAsked = false;
  await rotate(entity, settings);
}

/** Closes the open log where it holds transactions and is older than the configuration wants. */
export async function rotateIfDue(
  entity: ArchiveEntity,
  settings: ArchiveSettings,
  open: OpenLog | null,
): Promise<void> {
  if (!isRotationDue(open, settings.rotateSeconds)) return;
  if (entity.mode === 'paused' || Date.now() < entity.rotationNotBefore) return;
  // One that is denied is not tried at every poll.
  entity.rotationNotBefore = Date.now() + settings.rotateSeconds * 1000;
  await rotate(entity, settings);
}

/** True where the open log waits too long with transactions that nobody has archived. */
export function isRotationDue(open: OpenLog | null, rotateSeconds: number): boolean {
  return (
    rotateSeconds > 0 && open !== null && open.holds === 'transactions' && open.ageSeconds >= rotateSeconds
  );
}

/** A server that refuses to rotate is archived all the same, only later; `status` says so. */
async function rotate(entity: ArchiveEntity, { host }: ArchiveSettings): Promise<void> {
  try {
    await hostActivities(host).rotateBinlog(entity.input);
    entity.rotationFailure = null;
    entity.wake = true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    entity.rotationFailure = failureOf(describeFailure(error), nowText());
  }
}
