import { lstat, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { freeBytes } from '../process/disk.ts';
import { isCode } from '../process/files.ts';

/** What ext2 to ext4 keep at the root of a file system for fsck; no schema has this name on disk. */
const LOST_AND_FOUND = 'lost+found';

/**
 * Says what lies at a target. A mount point with nothing but `lost+found` counts as empty; anywhere else
 * that name is somebody's content.
 * @throws refused `TargetNotFolder`
 */
export async function lookAtTarget(targetDir: string): Promise<'absent' | 'empty' | 'full'> {
  try {
    if ((await lstat(targetDir)).isDirectory()) {
      const names = await readdir(targetDir);
      const alone = names.length === 1 && names[0] === LOST_AND_FOUND && (await isMountPoint(targetDir));
      return names.length === 0 || alone ? 'empty' : 'full';
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

/** Removes all in a folder but `lost+found`, and leaves the folder; one that is gone is empty. */
export async function emptyFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  for (const name of names) {
    if (name !== LOST_AND_FOUND)
      await rm(join(folder, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

/** True where another file system begins; one that is bound to a part of the same one is not seen. */
async function isMountPoint(folder: string): Promise<boolean> {
  const [own, parent] = await Promise.all([stat(folder), stat(dirname(folder))]);
  return own.dev !== parent.dev;
}

/** Proves that the file system of a path has room. @throws refused `DiskTooSmall` */
export async function assertRoom(path: string, neededBytes: number): Promise<void> {
  const free = await freeBytes(path);
  if (free >= neededBytes) return;
  throw new AppError({
    code: 'DiskTooSmall',
    kind: 'refused',
    message: `The file system of ${path} has ${free} bytes free where the restore needs ${neededBytes}: nothing was begun.`,
    hint: 'Free space there, or name a target in another file system.',
    facts: { path, freeBytes: free, neededBytes },
  });
}

/** The refusal of a target with something in it. */
export function targetNotEmpty(targetDir: string): AppError {
  return new AppError({
    code: 'TargetNotEmpty',
    kind: 'refused',
    message: `${targetDir} is not empty, so nothing was restored: what lies there is never overwritten.`,
    hint: 'Name a folder that does not exist, or move its content away.',
    facts: { targetDir },
  });
}

/** The refusal of a target whose parent does not exist. */
export function parentMissing(targetDir: string): AppError {
  return new AppError({
    code: 'TargetParentMissing',
    kind: 'refused',
    message: `${dirname(targetDir)} does not exist, so nothing was restored to ${targetDir}.`,
    hint: 'Create that folder, or name another target.',
    facts: { targetDir },
  });
}

/** The refusal of a target beside which nothing can be made, such as a mount point in a folder of root's. */
export function parentUnwritable(workDir: string, targetDir: string): AppError {
  return new AppError({
    code: 'TargetParentUnwritable',
    kind: 'refused',
    message: `${dirname(targetDir)} cannot be written by this user, and the restore keeps its notes in ${workDir}: nothing was restored to ${targetDir}.`,
    hint: `Name a folder inside the target, such as ${join(targetDir, 'data')}, or let this user write to ${dirname(targetDir)}.`,
    facts: { targetDir, workDir },
  });
}
