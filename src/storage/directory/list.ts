import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RESERVED_SEGMENT } from '../keys.ts';
import type { ListedObject } from '../object-store.ts';

/**
 * Walks the files whose keys start with a prefix, in the order of their keys' bytes, as S3 lists.
 * Links and special files are no objects. Memory: the names of one folder on each level.
 * @throws the system's error, but for a folder that is not there at the start: that is empty
 */
export async function* walk(root: string, prefix: string): AsyncGenerator<ListedObject> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  try {
    yield* walkFolder(root, folder, prefix);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    const start = join(root, folder);
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || path === undefined || join(path) !== join(start))
      throw error;
  }
}

async function* walkFolder(root: string, folder: string, prefix: string): AsyncGenerator<ListedObject> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const keyed = entries
    .filter(({ name }) => folder !== '' || name !== RESERVED_SEGMENT)
    .map((entry) => ({ entry, key: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}` }))
    .filter(({ key }) => key.startsWith(prefix) || prefix.startsWith(key))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { entry, key } of keyed) {
    if (entry.isDirectory()) yield* walkFolder(root, key, prefix);
    else if (entry.isFile()) yield { key, lengthBytes: (await lstat(join(root, key))).size };
  }
}
