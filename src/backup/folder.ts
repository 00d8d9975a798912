import { chmod, chown, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../domain/errors.ts';
import type { BackupId } from '../domain/identity.ts';
import { explainDiskFull, isCode, writeWhole } from '../process/files.ts';

/** The folder of one backup while it is made: `{stagingDir}/backups/{backupId}`. */
export interface BackupFolder {
  readonly path: string;
  /** The cloned data folder. */
  readonly clone: string;
  /** What the throw-away server on the clone leaves beside it. */
  readonly work: string;
}

/** Paths of a backup's files. Nothing is created. */
export function backupFolder(stagingDir: string, backupId: BackupId): BackupFolder {
  const path = join(resolve(stagingDir), 'backups', backupId);
  return { path, clone: join(path, 'clone'), work: join(path, 'work') };
}

/** Others may pass through, not look around. */
const PASSAGE = 0o711;

/**
 * Creates the folder, where the server may write: it belongs to the owner of the data folder when this
 * process is root, and to this process otherwise, which then is the same user. Root also opens the way
 * through the staging folder, whose own content stays closed.
 */
export async function createBackupFolder(folder: BackupFolder, dataDir: string): Promise<void> {
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  await mkdir(folder.work, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dataDir);
  await chown(folder.path, uid, gid);
  if (uid === 0) return;
  const backups = dirname(folder.path);
  for (const passage of [backups, dirname(backups)]) await chmod(passage, PASSAGE);
}

/** Removes all that a backup left on this host; nothing there is fine. */
export async function removeBackupFolder(folder: BackupFolder): Promise<void> {
  await rm(folder.path, { recursive: true, force: true, maxRetries: 3 });
}

/** A phase's result, kept beside the clone so that the phase is not done twice. */
export type PhaseMark = 'cloned' | 'captured' | `stored-${string}`;

/** Writes a phase's result whole or not at all: its presence says that the phase is complete. */
export async function writeMark(folder: BackupFolder, mark: PhaseMark, value: object): Promise<void> {
  const path = markFile(folder, mark);
  try {
    await writeWhole(path, (file) => file.writeFile(`${JSON.stringify(value)}\n`));
  } catch (error) {
    throw explainDiskFull(error, path);
  }
}

/** A phase's result; undefined where it is not complete. */
export async function readMark<T>(folder: BackupFolder, mark: PhaseMark): Promise<T | undefined> {
  try {
    // Trusted without a schema: only `writeMark` makes this file, whole, in a folder of our own.
    return JSON.parse(await readFile(markFile(folder, mark), 'utf8')) as T;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The clone, which an earlier phase must have left. @throws refused `StagedCloneLost` */
export async function requireMark(folder: BackupFolder, mark: PhaseMark): Promise<void> {
  if ((await readMark(folder, mark)) !== undefined) return;
  throw new AppError({
    code: 'StagedCloneLost',
    kind: 'refused',
    message: `${folder.path} does not hold the finished clone of this backup any more, so it cannot go on.`,
    hint: 'Take the backup again. The staging folder must stay as it is while a backup runs.',
    facts: { folder: folder.path, missing: mark },
  });
}

function markFile(folder: BackupFolder, mark: PhaseMark): string {
  return join(folder.work, `${encodeURIComponent(mark)}.json`);
}
