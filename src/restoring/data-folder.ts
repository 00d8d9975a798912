import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { freeBytes } from '../process/disk.ts';
import { isCode, removeIfThere, syncPath } from '../process/files.ts';

export interface ClaimRequest {
  /** Where the restored data folder comes to lie. Must not exist, or be empty, or be this restore's own. */
  readonly targetDir: string;
  /** The same id finds its own folder again after a crash. */
  readonly restoreId: string;
  /** Bytes that the restore will write: see `neededBytes`. */
  readonly neededBytes: number;
}

/** A data folder that belongs to one restore. */
export interface ClaimedFolder {
  /** Absolute. */
  readonly targetDir: string;
  /** `{targetDir}.pitrail`: plan, logs and marks of the restore, beside the data folder and never in it. */
  readonly workDir: string;
  readonly restoreId: string;
}

/** Room that a restore takes: the base, a tenth more for what InnoDB adds, and the binlogs as relay logs. */
export function neededBytes(tarBytes: number, logBytes: number): number {
  return Math.ceil(tarBytes * 1.1) + logBytes;
}

/**
 * Claims a target folder for a restore, and makes it and its work folder (both mode 0700 or stricter).
 * Of two restores with the same target one wins. Nothing is changed where it refuses.
 * A crash leaves a work folder without its claim, which any restore may take, or a claim, which its own
 * restore takes up.
 * @throws refused `TargetNotEmpty`, `TargetInUse`, `TargetNotFolder`, `TargetParentMissing`, `DiskTooSmall`
 */
export async function claimDataFolder(request: ClaimRequest): Promise<ClaimedFolder> {
  const targetDir = resolve(request.targetDir);
  const folder = { targetDir, workDir: workDirOf(targetDir), restoreId: request.restoreId };
  const owner = await readClaim(folder.workDir);
  if (owner !== null && owner !== request.restoreId) throw targetInUse(folder, owner);
  const state = await lookAt(targetDir);
  if (owner === null) {
    if (state === 'full') throw targetNotEmpty(targetDir);
    await assertRoom(targetDir, request.neededBytes);
    await takeClaim(folder);
  }
  await mkdir(targetDir, { recursive: true, mode: 0o700 });
  return folder;
}

/**
 * Removes the work folder; the data folder stays and is the user's from now on. May be run again. The
 * claim goes first: whatever a crash leaves then, nobody takes the data for an unfinished restore's.
 */
export async function releaseDataFolder({ workDir }: ClaimedFolder): Promise<void> {
  await removeIfThere(claimFile(workDir));
  await rm(workDir, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * Removes all of the work folder but the claim. A plan is written into an empty one: the steps of an
 * earlier restore that are marked there as complete would not be done in this one.
 */
export async function emptyWorkFolder({ workDir }: ClaimedFolder): Promise<void> {
  for (const name of await readdir(workDir)) {
    const path = join(workDir, name);
    if (path !== claimFile(workDir)) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Removes everything of a restore that is given up, the data folder last but one, the claim last: after
 * a crash in between the same restore may be given up again, or begun anew.
 * @throws refused `TargetInUse` where the folder belongs to another restore
 */
export async function abandonDataFolder(folder: ClaimedFolder): Promise<void> {
  const owner = await readClaim(folder.workDir);
  if (owner === null) return;
  if (owner !== folder.restoreId) throw targetInUse(folder, owner);
  await emptyWorkFolder(folder);
  await rm(folder.targetDir, { recursive: true, force: true, maxRetries: 3 });
  await releaseDataFolder(folder);
}

/** Empties a claimed data folder; what is in it is of an unfinished try of this very restore. */
export async function emptyDataFolder(folder: ClaimedFolder): Promise<void> {
  const owner = await readClaim(folder.workDir);
  if (owner !== folder.restoreId) throw targetInUse(folder, owner ?? 'nobody');
  for (const name of await readdir(folder.targetDir)) {
    await rm(join(folder.targetDir, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The work folder of a target: beside it, so that mysqld does not take it for a schema. */
export function workDirOf(targetDir: string): string {
  return `${resolve(targetDir)}.pitrail`;
}

function claimFile(workDir: string): string {
  return join(workDir, 'claim.json');
}

/** The restore that owns a work folder; null where none does. */
export async function readClaim(workDir: string): Promise<string | null> {
  try {
    const { restoreId } = JSON.parse(await readFile(claimFile(workDir), 'utf8')) as { restoreId: string };
    return restoreId;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** The claim appears whole by the link, which fails where another restore was faster. */
async function takeClaim(folder: ClaimedFolder): Promise<void> {
  const { workDir, restoreId, targetDir } = folder;
  await makeWorkDir(workDir, targetDir);
  const draft = join(workDir, `claim.${randomBytes(6).toString('hex')}.partial`);
  try {
    await writeFile(draft, `${JSON.stringify({ restoreId })}\n`, { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, claimFile(workDir));
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    const owner = await readClaim(workDir);
    if (owner !== restoreId) throw targetInUse(folder, owner ?? 'nobody');
  } finally {
    await removeIfThere(draft);
  }
  await syncPath(workDir);
  await syncPath(dirname(workDir));
}

async function makeWorkDir(workDir: string, targetDir: string): Promise<void> {
  try {
    await mkdir(workDir, { mode: 0o700 });
  } catch (error) {
    if (isCode(error, 'EEXIST')) return;
    if (!isCode(error, 'ENOENT')) throw error;
    throw new AppError({
      code: 'TargetParentMissing',
      kind: 'refused',
      message: `${dirname(targetDir)} does not exist, so nothing was restored to ${targetDir}.`,
      hint: 'Create that folder, or name another target.',
      facts: { targetDir },
    });
  }
}

async function lookAt(targetDir: string): Promise<'absent' | 'empty' | 'full'> {
  try {
    if ((await lstat(targetDir)).isDirectory()) {
      return (await readdir(targetDir)).length === 0 ? 'empty' : 'full';
    }
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 'absent';
    throw error;
  }
  throw new AppError({
    code: 'TargetNotFolder',
    kind: 'refused',
    message: `${targetDir} is not a folder (a link is not followed), so nothing was restored.`,
    hint: 'Name a folder that does not exist, or is empty.',
    facts: { targetDir },
  });
}

async function assertRoom(targetDir: string, needed: number): Promise<void> {
  const free = await freeBytes(targetDir);
  if (free >= needed) return;
  throw new AppError({
    code: 'DiskTooSmall',
    kind: 'refused',
    message: `The file system of ${targetDir} has ${free} bytes free where the restore needs ${needed}: nothing was begun.`,
    hint: 'Free space there, or name a target in another file system.',
    facts: { targetDir, freeBytes: free, neededBytes: needed },
  });
}

function targetNotEmpty(targetDir: string): AppError {
  return new AppError({
    code: 'TargetNotEmpty',
    kind: 'refused',
    message: `${targetDir} is not empty, so nothing was restored: what lies there is never overwritten.`,
    hint: 'Name a folder that does not exist, or move its content away.',
    facts: { targetDir },
  });
}

function targetInUse(folder: ClaimedFolder, owner: string): AppError {
  return new AppError({
    code: 'TargetInUse',
    kind: 'refused',
    message: `${folder.targetDir} belongs to the restore ${owner}, so the restore ${folder.restoreId} does not touch it.`,
    hint: `Wait for that restore or end it; if it is gone for good, remove ${folder.targetDir} and ${folder.workDir}.`,
    facts: { targetDir: folder.targetDir, owner },
  });
}
