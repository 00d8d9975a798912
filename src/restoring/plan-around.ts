import type { ClusterConfig } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import { planWithout } from '../domain/plan-without.ts';
import type { PlannedSegment } from '../domain/restore-plan.ts';
import { conflictOn } from '../domain/union/union-builder.ts';
import { type Archive, openArchive } from './archive.ts';
import type { RestoreContext } from './context.ts';
import { FalloverLog } from './fallover-log.ts';
import { makeRestorePlan } from './make-plan.ts';
import { foldersOf, type StoredPlan, writePlan } from './work-folder.ts';

/**
 * Plans the rest of a restore around binlogs that no store gives whole: their transactions come from binlogs of
 * other servers. The new plan is kept, and each change told of; null where there is no other way.
 * @param lost by the keys of their objects, why they cannot be read
 */
export async function planAround(
  cluster: ClusterConfig,
  stored: StoredPlan,
  lost: ReadonlyMap<string, AppError>,
): Promise<StoredPlan | null> {
  const archive = await openIfReadable(cluster, stored);
  if (archive === null) return null;
  try {
    const { plan } = stored;
    if (conflictOn(archive, plan.timeline) !== null || !isSameLine(archive, stored)) return null;
    const around = planWithout(archive.facts, plan, new Set(lost.keys()));
    if (around === null) return null;
    const log = new FalloverLog(foldersOf(stored.job));
    const left = plan.segments.filter((segment) => !around.segments.some((it) => isSameObject(it, segment)));
    const taken = around.segments.filter((segment) => !plan.segments.some((it) => isSameObject(it, segment)));
    for (const segment of left) {
      await log.add({
        key: segment.object.key,
        from: segment.stores.join(', '),
        to: taken[0]?.stores[0] ?? around.segments[0]?.stores[0] ?? '',
        reason: reasonOf(segment, taken, lost.get(segment.object.key)),
      });
    }
    return await keep({ ...stored, plan: around }, archive);
  } finally {
    await archive.close();
  }
}

/**
 * Plans the same restore from another base backup, where no store gives the planned one; null where none leads to
 * the very same state. Nothing is replayed yet.
 * @param lost by the keys of their objects, why they cannot be read
 */
export async function planFromOtherBase(
  { cluster, signal }: RestoreContext,
  stored: StoredPlan,
  lost: ReadonlyMap<string, AppError>,
): Promise<StoredPlan | null> {
  const archive = await openIfReadable(cluster, stored);
  if (archive === null) return null;
  try {
    const { job, plan, backup } = stored;
    const backups = archive.facts.backups.filter(({ object }) => !lost.has(object.key));
    const rest = { ...archive, facts: { ...archive.facts, backups } };
    const other = await makeRestorePlan(rest, job, signal);
    const chosen = backups.find((it) => it.backup.backupId === other.base?.backupId);
    const isSame = other.verdict.status === 'PASS' && other.expectedGtids === plan.expectedGtids;
    if (!isSame || chosen === undefined || plan.base === null) return null;
    const { key } = plan.base.object;
    const log = new FalloverLog(foldersOf(job));
    await log.add({
      key,
      from: plan.base.stores.join(', '),
      to: chosen.stores[0] ?? '',
      reason: `${lost.get(key)?.message ?? ''} The restore begins from base backup ${chosen.backup.backupId} in the place of ${backup.backupId}.`,
    });
    return await keep({ ...stored, plan: other, backup: chosen.backup }, archive);
  } finally {
    await archive.close();
  }
}

/** Keeps the new plan, with the stores that it passed over, too. Last: a crash before it meets the loss once more, and plans the same. */
async function keep(stored: StoredPlan, { passedOver }: Archive): Promise<StoredPlan> {
  const next = { ...stored, passedOver: [...new Set([...stored.passedOver, ...passedOver])] };
  await writePlan(next);
  return next;
}

/** Where no catalog can be read now, the loss itself is what is told. */
async function openIfReadable(cluster: ClusterConfig, { job }: StoredPlan): Promise<Archive | null> {
  try {
    return await openArchive(cluster, job.store);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Which stores can be read decides how timelines are numbered: a log or the base tells that it is the same one. */
function isSameLine({ facts }: Archive, { plan }: StoredPlan): boolean {
  const lines = new Map(facts.segments.map(({ segment, timeline }) => [segment.sha256 as string, timeline]));
  const base = facts.backups.find(({ backup }) => backup.backupId === plan.base?.backupId);
  const found = plan.segments.flatMap(({ sha256 }) => lines.get(sha256) ?? []);
  const all = base === undefined ? found : [...found, base.backup.timeline];
  return all.length > 0 && all.every((timeline) => timeline === plan.timeline);
}

function isSameObject(a: PlannedSegment, b: PlannedSegment): boolean {
  return a.object.key === b.object.key;
}

function reasonOf(
  { serverUuid, binlog }: PlannedSegment,
  taken: readonly PlannedSegment[],
  why: AppError | undefined,
): string {
  const others = taken.slice(0, 5).map((it) => `${it.serverUuid}/${it.binlog}`);
  const from = others.length === 0 ? 'other binlogs of the plan' : others.join(', ');
  const cause = why === undefined ? '' : `${why.message} `;
  return `${cause}What ${serverUuid}/${binlog} held comes from ${from}.`;
}
