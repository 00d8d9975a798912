import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Free bytes for this user in the file system of `path`; a path that does not exist yet counts
 * as its nearest existing parent. @throws the system's error where even that cannot be read
 */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    return freeBytes(parent);
  }
}
