import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../domain/errors.ts';

/** Random for each process, so that a partial file of a dead process with our id is told apart. */
export const PROCESS_NONCE = randomBytes(4).toString('hex');

/**
 * Writes a file so that it is there whole or not at all: a partial file of its own name, fsync,
 * rename, fsync of the folder. A crash leaves at most `{path}.{process id}-{nonce}-{random}.partial`.
 * @throws unavailable `DiskFull`, what `write` throws, the system's errors
 */
export async function writeWhole<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const partial = `${path}.${process.pid}-${PROCESS_NONCE}-${randomBytes(4).toString('hex')}.partial`;
  const file = await open(partial, 'wx', 0o600);
  try {
    const result = await write(file);
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncPath(dirname(path));
    return result;
  } catch (error) {
    await file.close();
    await removeIfThere(partial);
    throw explainDiskFull(error, path);
  }
}

/** fsync of a file, or of a folder: then the names in it outlive a power cut. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes a file; one that is gone already is fine. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

/** Length in bytes of a file; null where there is none. */
export async function fileSize(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** True where an error of the file system has one of these codes. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** What a full disk threw as an error that says so; anything else unchanged. */
export function explainDiskFull(error: unknown, path: string): unknown {
  if (!isCode(error, 'ENOSPC', 'EDQUOT')) return error;
  return new AppError({
    code: 'DiskFull',
    kind: 'unavailable',
    message: `The file system of ${path} is full, so writing there stopped and what was written was removed.`,
    hint: 'Free space there; the work goes on by itself then.',
    facts: { path },
    cause: error,
  });
}
