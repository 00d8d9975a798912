import { constants } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { initializeDataDir } from '../../src/process/mysqld.ts';
import { type Tool, toolCacheDir } from '../../src/process/tools.ts';

/** Raise when the options below change. */
const TEMPLATE = 1;
export const TEMPLATE_OPTIONS = ['--innodb-redo-log-capacity=8M', '--innodb-log-buffer-size=1M'] as const;

/**
 * Copies an initialised data folder to `dataDir`, which must not exist. The original is made once per user and
 * server version, and kept in the cache; the copy has no auto.cnf, so its server draws a fresh server_uuid.
 */
export async function copyTemplate(tool: Tool, dataDir: string): Promise<void> {
  const template = await readyTemplate(tool);
  await cp(template, dataDir, { recursive: true, mode: constants.COPYFILE_FICLONE });
}

async function readyTemplate(tool: Tool): Promise<string> {
  const home = join(dirname(toolCacheDir()), 'test-templates');
  const ready = join(home, `mysql-${tool.version}-${TEMPLATE}`);
  if (await exists(ready)) return ready;
  await mkdir(home, { recursive: true });
  const work = await mkdtemp(join(home, 'making-'));
  try {
    const made = join(work, 'data');
    await initializeDataDir(tool, made, TEMPLATE_OPTIONS);
    await rm(join(made, 'auto.cnf'), { force: true });
    await rename(made, ready).catch((error: NodeJS.ErrnoException) => {
      // Another test process was faster; its template is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return ready;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
