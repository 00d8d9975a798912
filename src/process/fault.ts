/**
 * Named points at which a test may kill this process, to prove what a crash there leaves.
 * `PITRAIL_FAULT=name` kills at the first pass; `PITRAIL_FAULT_ONCE=/path` makes it once per file,
 * so that a restarted process goes on. Without the variable a point costs one comparison.
 */
import { closeSync, openSync } from 'node:fs';

const armed = process.env['PITRAIL_FAULT'];

/** Every fault point; a test walks this list, so a point that is never reached fails it. */
export const FAULT_POINTS = [
  'archive.staged',
  'archive.sealed',
  'archive.mid-upload',
  'archive.uploaded',
  'archive.read-back',
  'archive.committed',
  'archive.released',
  'backup.cloned',
  'backup.captured',
  'backup.mid-upload',
  'backup.uploaded',
  'backup.registered',
  'restore.mid-fetch',
  'restore.fetched',
  'restore.mid-replay',
  'restore.replayed',
  'restore.verified',
  'restore.handed-over',
  'handoff.archive-read',
  'handoff.candidate-seen',
  'handoff.current-seen',
  'handoff.boundary-written',
  'handoff.validated',
  'handoff.recorded',
  'sync.mid-copy',
  'sync.copied',
  'sync.committed',
  'switch.anchored',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Kills this process with SIGKILL where the environment names this point. */
export function faultPoint(point: FaultPoint): void {
  if (armed !== point) return;
  const once = process.env['PITRAIL_FAULT_ONCE'];
  if (once !== undefined && !createdNow(once)) return;
  process.kill(process.pid, 'SIGKILL');
}

function createdNow(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
