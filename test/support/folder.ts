import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetFolder, removeAtExit } from './leftovers.ts';

export interface TestFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** A fresh folder with a path short enough for sockets; removed at the latest when the test process ends. */
export async function testFolder(name = 'pt'): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), `${name}-`));
  removeAtExit(path);
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      forgetFolder(path);
    },
  };
}
