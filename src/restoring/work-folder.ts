import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupFacts } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import type { RestorePlan } from '../domain/restore-plan.ts';
import { isCode, removeIfThere, writeWhole } from '../process/files.ts';
import { type ClaimedFolder, workDirOf } from './data-folder.ts';
import type { FalloverReport } from './fallover.ts';
import { isSameRestore, type RestoreJob } from './job.ts';

/** What `plan.json` in the work folder holds: the job, and all that its steps need of the catalog. */
export interface StoredPlan {
  readonly format: 1;
  readonly job: RestoreJob;
  /** The stores whose catalogs were read, in order. */
  readonly stores: readonly string[];
  /** Stores that could not be read, and logs that were left out, each with its reason. */
  readonly passedOver: readonly string[];
  readonly plan: RestorePlan;
  readonly backup: BackupFacts;
  /** RFC 3339 UTC. */
  readonly plannedAt: string;
  readonly planSeconds: number;
}

/** A step's result, kept so that the step is not done twice; `cuts` is what became of an unfinished replay. */
export type StepMark = 'base-state' | 'cuts' | 'replayed' | 'verified' | 'handed-over';

/** The folders of a job. Nothing is created. */
export function foldersOf(job: RestoreJob): ClaimedFolder {
  return { targetDir: job.targetDir, workDir: workDirOf(job.targetDir), restoreId: job.requestId };
}

/** The plan of this very job; undefined where nothing was planned yet. @throws refused `TargetInUse` */
export async function readPlan(job: RestoreJob): Promise<StoredPlan | undefined> {
  const folder = foldersOf(job);
  const stored = await readJson<StoredPlan>(planFile(folder));
  if (stored === undefined || (stored.job.requestId === job.requestId && isSameRestore(stored.job, job))) {
    return stored;
  }
  const { requestId, target } = stored.job;
  throw new AppError({
    code: 'TargetInUse',
    kind: 'refused',
    message: `${job.targetDir} belongs to the unfinished restore ${requestId} to ${target}, so nothing was done.`,
    hint: `Let that one finish, or, if nobody needs it, remove ${job.targetDir} and ${folder.workDir}.`,
    facts: { targetDir: job.targetDir, requestId, target },
  });
}

/** The plan of this very job. @throws refused `RestoreNotBegun`, `TargetInUse` */
export async function requirePlan(job: RestoreJob): Promise<StoredPlan> {
  const stored = await readPlan(job);
  if (stored !== undefined) return stored;
  throw new AppError({
    code: 'RestoreNotBegun',
    kind: 'refused',
    message: `${foldersOf(job).workDir} holds no plan, so nothing is known of the restore to ${job.targetDir} and it cannot go on.`,
    hint: 'Its work folder was removed, or it began on another machine. Begin again: pitrail restore.',
    facts: { targetDir: job.targetDir },
  });
}

/** Writes the plan into the claimed work folder, whole or not at all. */
export async function writePlan(stored: StoredPlan): Promise<void> {
  await writeWhole(planFile(foldersOf(stored.job)), (file) => file.writeFile(`${JSON.stringify(stored)}\n`));
}

/** Writes a step's result whole or not at all: its presence says that the step is complete. */
export async function writeMark(folder: ClaimedFolder, mark: StepMark, value: object): Promise<void> {
  await writeWhole(markFile(folder, mark), (file) => file.writeFile(`${JSON.stringify(value)}\n`));
}

/** A step's result; undefined where it is not complete. */
export function readMark<T>(folder: ClaimedFolder, mark: StepMark): Promise<T | undefined> {
  return readJson<T>(markFile(folder, mark));
}

/** Takes a step's result back: the step is to be done again. */
export async function removeMark(folder: ClaimedFolder, mark: StepMark): Promise<void> {
  await removeIfThere(markFile(folder, mark));
}

/** A step's result, which must be there. @throws refused `RestoreStepMissing` */
export async function requireMark<T>(folder: ClaimedFolder, mark: StepMark): Promise<T> {
  const value = await readMark<T>(folder, mark);
  if (value !== undefined) return value;
  throw new AppError({
    code: 'RestoreStepMissing',
    kind: 'refused',
    message: `${folder.workDir} does not say that the step before is complete (${mark}), so this one cannot begin.`,
    hint: 'The work folder was changed. Remove it and the target folder, and restore again.',
    facts: { folder: folder.workDir, mark },
  });
}

/** What fell over to another store so far; undefined where nothing did. */
export function readFallovers(folder: ClaimedFolder): Promise<FalloverReport | undefined> {
  return readJson<FalloverReport>(falloversFile(folder));
}

export async function writeFallovers(folder: ClaimedFolder, report: FalloverReport): Promise<void> {
  await writeWhole(falloversFile(folder), (file) => file.writeFile(`${JSON.stringify(report)}\n`));
}

function falloversFile({ workDir }: ClaimedFolder): string {
  return join(workDir, 'fallovers.json');
}

function planFile({ workDir }: ClaimedFolder): string {
  return join(workDir, 'plan.json');
}

function markFile({ workDir }: ClaimedFolder, mark: StepMark): string {
  return join(workDir, `${mark}.json`);
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    // Trusted without a schema: only this module makes these files, whole, in a folder of our own.
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
