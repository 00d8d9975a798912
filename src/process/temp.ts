import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Gives `use` a fresh folder (mode 0700) under the system's temporary folder and removes it afterwards,
 * whatever happens. The path stays short enough for a socket in it (107 bytes). A SIGKILL leaves the folder.
 */
export async function withTempDir<T>(prefix: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), `${prefix}-`));
  try {
    return await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
