import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folders whose sources can end up in the workflow bundle. */
const BUNDLED_FOLDERS = ['workflows', 'activities', 'src/domain'] as const;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The folder of the workflow sources. */
export function workflowsFolder(): string {
  return join(root, 'workflows');
}

/** A digest over everything that can end up in the bundle, for naming a cached one. */
export async function workflowSourcesDigest(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of BUNDLED_FOLDERS) {
    for (const name of (await readdir(join(root, folder), { recursive: true })).sort()) {
      if (name.endsWith('.ts'))
        hash.update(`${folder}/${name}\0`).update(await readFile(join(root, folder, name)));
    }
  }
  for (const file of ['src/worker/build-bundle.ts', 'package-lock.json']) {
    hash.update(await readFile(join(root, file)));
  }
  return hash.digest('hex');
}
