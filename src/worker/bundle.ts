import { access, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from '../process/run.ts';
import { workflowSourcesDigest } from './workflow-sources.ts';

const BUILD_TIMEOUT_MS = 180_000;

/** Where `npm run build` puts the bundle, beside the compiled `src` and `workflows`. */
const PACKED_BUNDLE = fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url));

/**
 * Path of the workflow bundle: the packed one where this code runs compiled; in a checkout, one
 * built from the sources into the cache folder (2 s once, then found by a digest of the sources).
 *
 * @throws refused `ToolFailed` where the workflows do not compile
 */
export async function workflowBundlePath(): Promise<string> {
  if (!import.meta.url.endsWith('.ts')) return PACKED_BUNDLE;
  const folder = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'pitrail',
    'workflow-bundles',
  );
  const path = join(folder, `${(await workflowSourcesDigest()).slice(0, 32)}.js`);
  if (await exists(path)) return path;
  await mkdir(folder, { recursive: true });
  const builder = fileURLToPath(new URL('./build-bundle.ts', import.meta.url));
  await runTool({ program: process.execPath, args: [builder] }, [path], { timeoutMs: BUILD_TIMEOUT_MS });
  return path;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
