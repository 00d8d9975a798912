/**
 * Checks the sources without running them: types, lint and format, dependency rules, dead code.
 * Runs all of them and then fails if any failed.
 *
 * Usage: npm run check
 */
import { ensureNodeModules, node24 } from './lib/node-modules.mjs';
import { runInherited } from './lib/run.mjs';
import { elapsed, root } from './lib/say.mjs';

const CHECKS = [
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
  {
    name: 'lint and format',
    args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  },
  {
    name: 'dependency rules',
    args: [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      '.dependency-cruiser.mjs',
      'src',
      'workflows',
      'activities',
      'test',
      'scripts',
    ],
  },
  { name: 'dead code', args: ['node_modules/knip/bin/knip.js'] },
];

await ensureNodeModules();
const failed = [];
for (const { name, args } of CHECKS) {
  const since = performance.now();
  const code = await runInherited(node24(), args, { cwd: root });
  process.stderr.write(`check: ${name}: ${code === 0 ? 'passed' : 'FAILED'} (${elapsed(since)})\n`);
  if (code !== 0) failed.push(name);
}
if (failed.length > 0) {
  process.stderr.write(`check: failed: ${failed.join(', ')}\n`);
  process.exit(1);
}
