import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { isCode, removeIfThere, syncPath } from '../process/files.ts';
import {
  assertRoom,
  emptyFolder,
  lookAtTarget,
  parentMissing,
  parentUnwritable,
  targetNotEmpty,
} from './target-folder.ts';

export interface ClaimRequest {
  /** Where the restored data folder comes to lie. Must not exist, or be empty, or be this restore's own: see `lookAtTarget`. */
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
  /** `{targetDir}.pitrail`: plan, log and marks of the restore, small files all, beside the data folder. */
  readonly workDir: string;
  readonly restoreId: string;
}

/** What the plan, the marks and the server's log may take in the work folder. */
const WORK_BYTES = 64 * 1024 * 1024;

/**
 * Room that a restore takes in the target's file system, where relay logs and temporary files lie too:
 * the base, a tenth more for what InnoDB adds, and the binlogs as relay logs.
 */
export function neededBytes(tarBytes: number, logBytes: number): number {
  return Math.ceil(tarBytes * 1.1) + logBytes;
}

/**
 * Claims a target folder for a restore, and makes it and its work folder (both mode 0700 or stricter).
 * Of two restores with the same target one wins. Nothing is changed where it refuses.
 * A crash leaves a work folder without its claim, which any restore may take, or a claim, which its own
 * restore takes up.
 * @throws refused `TargetNotEmpty`, `TargetInUse`, `TargetNotFolder`, `TargetParentMissing`,
 *   `TargetParentUnwritable`, `DiskTooSmall`
 */
export async function claimDataFolder(request: ClaimRequest): Promise<ClaimedFolder> {
  const targetDir = resolve(request.targetDir);
  const folder = { targetDir, workDir: workDirOf(targetDir), restoreId: request.restoreId };
  const owner = await readClaim(folder.workDir);
  if (owner !== null && owner !== request.restoreId) throw targetInUse(folder, owner);
  const state = await lookAtTarget(targetDir);
  if (owner === null) {
    if (state === 'full') throw targetNotEmpty(targetDir);
    await assertRoom(targetDir, request.neededBytes);
    await assertRoom(dirname(folder.workDir), WORK_BYTES);
    await takeClaim(folder, state === 'absent' ? 'made' : 'found');
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
 * a crash in between the same restore may be given up again, or begun anew. A folder that was there
 * before is emptied and stays: it may be a mount point, or one that only root could make again.
 * @throws refused `TargetInUse` where the folder belongs to another restore
 */
export async function abandonDataFolder(folder: ClaimedFolder): Promise<void> {
  const claim = await readClaimFile(folder.workDir);
  if (claim === null) return;
  if (claim.restoreId !== folder.restoreId) throw targetInUse(folder, claim.restoreId);
  await emptyWorkFolder(folder);
  if (claim.target === 'found') await emptyFolder(folder.targetDir);
  else await rm(folder.targetDir, { recursive: true, force: true, maxRetries: 3 });
  await releaseDataFolder(folder);
}

/** Empties a claimed data folder; what is in it is of an unfinished try of this very restore. */
export async function emptyDataFolder(folder: ClaimedFolder): Promise<void> {
  const owner = await readClaim(folder.workDir);
  if (owner !== folder.restoreId) throw targetInUse(folder, owner ?? 'nobody');
  await emptyFolder(folder.targetDir);
}

/** The work folder of a target: beside it, so that mysqld does not take it for a schema. */
export function workDirOf(targetDir: string): string {
  return `${resolve(targetDir)}.pitrail`;
}

function claimFile(workDir: string): string {
  return join(workDir, 'claim.json');
}

/** What a claim says: whose the target is, and whether the restore made it or found it there, empty. */
interface Claim {
  readonly restoreId: string;
  readonly target: 'made' | 'found';
}

/** The restore that owns a work folder; null where none does. */
export async function readClaim(workDir: string): Promise<string | null> {
  return (await readClaimFile(workDir))?.restoreId ?? null;
}

async function readClaimFile(workDir: string): Promise<Claim | null> {
  try {
    return JSON.parse(await readFile(claimFile(workDir), 'utf8')) as Claim;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** The claim appears whole by the link, which fails where another restore was faster. */
async function takeClaim(folder: ClaimedFolder, target: Claim['target']): Promise<void> {
  const { workDir, restoreId, targetDir } = folder;
  await makeWorkDir(workDir, targetDir);
  const draft = join(workDir, `claim.${randomBytes(6).toString('hex')}.partial`);
  const claim: Claim = { restoreId, target };
  try {
    await writeFile(draft, `${JSON.stringify(claim)}\n`, { mode: 0o600, flag: 'wx', flush: true });
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
    if (isCode(error, 'EACCES', 'EPERM', 'EROFS')) throw parentUnwritable(workDir, targetDir);
    if (isCode(error, 'ENOENT')) throw parentMissing(targetDir);
    throw error;
  }
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
