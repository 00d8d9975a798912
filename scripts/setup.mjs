/**
 * Sets up a checkout: node modules, Node 24 among them, then the servers. Plain Node 20, no dependencies,
 * because it runs before there are any. A second run finds everything and ends in a second.
 *
 * Usage: node scripts/setup.mjs [mysql | temporal | versitygw | fake-gcs-server]…   default: all servers
 */
import { ensureNodeModules, node24 } from './lib/node-modules.mjs';
import { runInherited } from './lib/run.mjs';
import { fail, root } from './lib/say.mjs';

const MINIMUM_NODE = 20;

async function main() {
  if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
    fail(`Node ${process.versions.node} is too old to set pitrail up.`, [
      `Install Node ${MINIMUM_NODE} or later; pitrail then brings the Node 24 that it runs on.`,
    ]);
  }
  await ensureNodeModules();
  const code = await runInherited(node24(), [`${root}/scripts/servers.mjs`, ...process.argv.slice(2)]);
  if (code !== 0) process.exit(code);
}

await main();
