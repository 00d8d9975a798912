/**
 * Finds each server (environment, PATH, the user's cache), and gets what is missing into the cache.
 * Runs on Node 24, after the node modules: it searches with the code that pitrail itself searches with.
 *
 * Usage: node scripts/servers.mjs [mysql | temporal | versitygw | fake-gcs-server]…   default: all
 */
import { searchTool, TOOL_VARIABLES, toolCacheDir } from '../src/process/tools.ts';
import { getGoTool } from './lib/get-go-tool.mjs';
import { getMysql } from './lib/get-mysql.mjs';
import { withLock } from './lib/lock.mjs';
import { elapsed, fail, say } from './lib/say.mjs';

const GROUPS = [
  { name: 'mysql', tools: ['mysqld', 'mysql', 'mysqlbinlog'], get: getMysql },
  { name: 'temporal', tools: ['temporal'], get: getGoTool },
  { name: 'versitygw', tools: ['versitygw'], get: getGoTool },
  { name: 'fake-gcs-server', tools: ['fake-gcs-server'], get: getGoTool },
];

const WAYS = {
  mysql: [
    'Install MySQL 8.4 or later (server and client programs; MariaDB will not do), so that they are on PATH.',
    'On Debian or Ubuntu with apt-get and dpkg, and a reachable Debian mirror, set-up unpacks MySQL beside the system.',
  ],
  temporal: [
    'Put the Temporal CLI (https://docs.temporal.io/cli) on PATH.',
    'Install Go with a reachable module proxy; set-up then builds it.',
  ],
  versitygw: [
    'Put versitygw (https://github.com/versity/versitygw) on PATH.',
    'Install Go with a reachable module proxy; set-up then builds it.',
  ],
  'fake-gcs-server': [
    'Put fake-gcs-server (https://github.com/fsouza/fake-gcs-server) on PATH.',
    'Install Go with a reachable module proxy; set-up then builds it.',
  ],
};

async function missingOf(group) {
  const searches = await Promise.all(group.tools.map((tool) => searchTool(tool)));
  const missing = searches.filter((search) => search.kind === 'missing');
  return { tools: searches.flatMap((search) => (search.kind === 'found' ? [search.tool] : [])), missing };
}

async function ensure(group) {
  if ((await missingOf(group)).missing.length === 0) return;
  const cache = toolCacheDir();
  await withLock(
    `${cache} ${group.name}`,
    () => say(`another set-up gets ${group.name}; waiting for it`),
    async () => {
      if ((await missingOf(group)).missing.length === 0) return;
      const since = performance.now();
      await group.get(group.name, cache);
      say(`${group.name} is ready after ${elapsed(since)}`);
    },
  );
  const { missing } = await missingOf(group);
  if (missing.length > 0) throw new Error(missing.flatMap((search) => search.tried).join('; '));
}

/** The groups that the command line names; all where it names none. */
function chosenGroups(names) {
  const unknown = names.filter((name) => !GROUPS.some((group) => group.name === name));
  if (unknown.length > 0) {
    fail(`${unknown.join(', ')} is not a server that set-up knows.`, [
      `Name any of ${GROUPS.map((g) => g.name).join(', ')}.`,
    ]);
  }
  return names.length === 0 ? GROUPS : GROUPS.filter((group) => names.includes(group.name));
}

const since = performance.now();
const groups = chosenGroups(process.argv.slice(2));
// The downloads of one and the builds of the others go well together.
const outcomes = await Promise.allSettled(groups.map(ensure));
for (const [index, outcome] of outcomes.entries()) {
  if (outcome.status === 'fulfilled') continue;
  const group = groups[index];
  const variables = group.tools.map((tool) => TOOL_VARIABLES[tool]).join(', ');
  const ways = [`Name the programs yourself: set ${variables}.`, ...WAYS[group.name]];
  fail(`${group.name} is missing and could not be had: ${outcome.reason.message}`, ways);
}
const found = (await Promise.all(groups.map(missingOf))).flatMap(({ tools }) => tools);
say(`${found.map((tool) => `${tool.name} ${tool.version} (${tool.origin})`).join(', ')}; ${elapsed(since)}`);
