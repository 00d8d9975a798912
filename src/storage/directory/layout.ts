import { lstat, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { AppError } from '../../domain/errors.ts';
import { checkKey, RESERVED_SEGMENT } from '../keys.ts';

/** Folders of a directory store. Objects lie under their keys; everything else in `.pitrail`. */
export interface Layout {
  readonly root: string;
  /** Files under way; on the file system of the objects, so that they can be linked. */
  readonly temporary: string;
  /** One JSON file for each object: metadata and CRC. Never needed. */
  readonly metadata: string;
}

export function layoutOf(root: string): Layout {
  const own = join(root, RESERVED_SEGMENT);
  return { root, temporary: join(own, 'tmp'), metadata: join(own, 'metadata') };
}

/** Path of an object. @throws refused `UnsafeKey` */
export function objectPath(layout: Layout, key: string): string {
  checkKey(key);
  return join(layout.root, ...key.split('/'));
}

/** Path of an object's metadata. @throws refused `UnsafeKey` */
export function metadataPath(layout: Layout, key: string): string {
  checkKey(key);
  return join(layout.metadata, ...`${key}.json`.split('/'));
}

/**
 * Refuses a path whose folder lies outside the root by way of a symbolic link. The root itself may
 * be one. The last part is opened without following.
 * @throws refused `LinkOutOfStore`; the system's error where the folder is not there
 */
export async function checkInside(layout: Layout, path: string): Promise<void> {
  const [root, folder] = await Promise.all([realpath(layout.root), realpath(dirname(path))]);
  if (folder === root || folder.startsWith(root + sep)) return;
  throw new AppError({
    code: 'LinkOutOfStore',
    kind: 'refused',
    message: `${dirname(path)} leads out of the store to ${folder} by a symbolic link: nothing is read or written there.`,
    hint: 'Remove the link. To keep the store elsewhere, configure that folder itself.',
    facts: { path, folder },
  });
}

/**
 * Creates the folders from the root down to `folder`, each on disk before the next: a crash later
 * does not forget the way to an object that was reported as created.
 */
export async function makeFolders(layout: Layout, folder: string): Promise<void> {
  if (await isFolder(folder)) return;
  const parent = dirname(folder);
  if (folder !== layout.root) await makeFolders(layout, parent);
  try {
    await mkdir(folder, { mode: 0o750 });
  } catch (error) {
    // Another writer was faster; its folder may not be on disk yet, so it is synced here too.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!(await stat(folder)).isDirectory()) throw underObject(folder);
  }
  await syncFolder(parent);
}

/** Makes names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function underObject(path: string): AppError {
  return new AppError({
    code: 'KeyUnderObject',
    kind: 'refused',
    message: `${path} is an object, so nothing can be stored under it as if it were a folder.`,
    facts: { path },
  });
}
