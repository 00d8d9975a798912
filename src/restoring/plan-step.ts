import type { BackupFacts } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import type { RestorePlan, TransactionRef } from '../domain/restore-plan.ts';
import { formatInstant } from '../domain/time.ts';
import { compareVersions } from '../process/tool-version.ts';
import { type Archive, openArchive } from './archive.ts';
import type { RestoreContext } from './context.ts';
import { claimDataFolder, emptyWorkFolder, neededBytes, readClaim } from './data-folder.ts';
import { FalloverLog } from './fallover-log.ts';
import type { RestoreJob } from './job.ts';
import { makeRestorePlan, requirePass } from './make-plan.ts';
import { withRestoreLock } from './restore-lock.ts';
import { foldersOf, readPlan, type StoredPlan, writePlan } from './work-folder.ts';

/** What a plan comes to, without its lists. */
export interface PlannedRestore {
  readonly repositoryId: string;
  /** The store that the base is read from, as planned. */
  readonly store: string;
  /** The stores that were planned with, in order. */
  readonly stores: readonly string[];
  /** Stores that could not be read, and logs that were left out, each with its reason. */
  readonly passedOver: readonly string[];
  readonly backupId: string;
  readonly expectedGtids: string;
  readonly skippedGtids: string;
  readonly segments: number;
  readonly transactions: number;
  /** Stored bytes to fetch. */
  readonly bytes: { readonly base: number; readonly segments: number };
  readonly estimatedSeconds: number;
  readonly lastIncluded: TransactionRef | null;
  readonly firstExcluded: TransactionRef | null;
  readonly planSeconds: number;
}

/**
 * Plans the restore and claims its target folder. Run again, it finds the plan that was made. After a
 * refusal nothing is left behind.
 * @throws refused `PlanRefused`, `TargetNotEmpty`, `TargetInUse`, `DiskTooSmall`, `ServerTooOld`; usage; corrupt; unavailable
 */
export function planStep(context: RestoreContext, job: RestoreJob): Promise<PlannedRestore> {
  return withRestoreLock(job.targetDir, () => plan(context, job));
}

async function plan(context: RestoreContext, job: RestoreJob): Promise<PlannedRestore> {
  // Without a claim, what lies there is of a restore that was handed over.
  const claimed = (await readClaim(foldersOf(job).workDir)) !== null;
  const known = claimed ? await readPlan(job) : undefined;
  if (known !== undefined) return summaryOf(known);
  const archive = await openArchive(context.cluster, job.store);
  try {
    const stored = await planAnew(context, job, archive);
    const { backup } = stored;
    const logBytes = stored.plan.segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const needed = neededBytes(backup.tarBytes, logBytes);
    const { targetDir, requestId: restoreId } = job;
    await emptyWorkFolder(await claimDataFolder({ targetDir, restoreId, neededBytes: needed }));
    const log = new FalloverLog(foldersOf(job));
    for (const fallover of archive.fallovers) await log.add(fallover);
    // Last: a plan that lies there is not made again, so what it met must lie there before it.
    await writePlan(stored);
    return summaryOf(stored);
  } finally {
    await archive.close();
  }
}

async function planAnew(context: RestoreContext, job: RestoreJob, archive: Archive): Promise<StoredPlan> {
  const startedAt = performance.now();
  const { target, skipGtids, timeline } = job;
  const made = await makeRestorePlan(archive, { target, skipGtids, timeline }, context.signal);
  requirePass(made, archive.passedOver);
  const backup = baseOf(archive, made);
  assertServerFits(context, backup);
  return {
    format: 1,
    job,
    stores: archive.stores,
    passedOver: archive.passedOver,
    plan: made,
    backup,
    plannedAt: formatInstant(context.now()),
    planSeconds: secondsSince(startedAt),
  };
}

function baseOf({ facts }: Archive, plan: RestorePlan): BackupFacts {
  const found = facts.backups.find(({ backup }) => backup.backupId === plan.base?.backupId);
  if (found !== undefined) return found.backup;
  throw new AppError({
    code: 'PlanWithoutBase',
    kind: 'bug',
    message: 'A plan passed without a base backup of its catalog.',
  });
}

/** InnoDB opens the files of an older release by upgrading them, and refuses those of a newer one. */
function assertServerFits({ mysqld }: RestoreContext, { serverVersion, backupId }: BackupFacts): void {
  if (compareVersions(mysqld.version, serverVersion) >= 0) return;
  throw new AppError({
    code: 'ServerTooOld',
    kind: 'refused',
    message: `The base backup ${backupId} was taken from MySQL ${serverVersion}, and ${mysqld.program} is ${mysqld.version}, which cannot open it: nothing was done.`,
    hint: `Name a mysqld of ${serverVersion} or later as restore.mysqld in pitrail.yaml, or in PITRAIL_MYSQLD.`,
    facts: { backupVersion: serverVersion, programVersion: mysqld.version, program: mysqld.program },
  });
}

function summaryOf(stored: StoredPlan): PlannedRestore {
  const { plan, backup, stores, passedOver, planSeconds } = stored;
  return {
    repositoryId: plan.repositoryId,
    store: plan.base?.stores[0] ?? '',
    stores,
    passedOver,
    backupId: backup.backupId,
    expectedGtids: plan.expectedGtids,
    skippedGtids: plan.skippedGtids,
    segments: plan.segments.length,
    transactions: plan.transactions,
    bytes: plan.bytes,
    estimatedSeconds: plan.estimatedSeconds,
    lastIncluded: plan.lastIncluded,
    firstExcluded: plan.firstExcluded,
    planSeconds,
  };
}

/** Seconds since a reading of `performance.now()`, to the millisecond. */
export function secondsSince(startedAt: number): number {
  return Math.round(performance.now() - startedAt) / 1000;
}
