/**
 * Builds dist/: the compiled sources, and the workflow bundle that a packed worker loads.
 *
 * Usage: npm run build
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureNodeModules, node24 } from './lib/node-modules.mjs';
import { runInherited } from './lib/run.mjs';
import { root } from './lib/say.mjs';

async function step(args) {
  const code = await runInherited(node24(), args, { cwd: root });
  if (code !== 0) process.exit(code);
}

await ensureNodeModules();
await rm(join(root, 'dist'), { recursive: true, force: true });
await step(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
await step(['src/worker/build-bundle.ts', 'dist/workflow-bundle.js']);
