import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { hasProgram, runInherited } from './run.mjs';
import { elapsed, fail, root, say } from './say.mjs';

const versions = JSON.parse(readFileSync(join(root, 'scripts', 'versions.json'), 'utf8'));

/** The Node that everything of pitrail runs on, from the npm package `node`. */
export function node24() {
  return join(root, 'node_modules', 'node', 'bin', 'node');
}

/** Installs what package-lock.json says, unless exactly that is installed already. */
export async function ensureNodeModules() {
  if (isComplete()) return;
  await withLock(
    `modules ${root}`,
    () => say('another set-up installs the node modules here; waiting for it'),
    async () => {
      if (!isInstalled()) await install();
      if (!hasNode24()) await supplyNode24();
    },
  );
}

function isComplete() {
  return isInstalled() && hasNode24();
}

async function install() {
  if (!(await hasProgram('npm'))) {
    fail('npm was not found, so the node modules cannot be installed.', [
      'Install npm 10 or later (it comes with Node).',
    ]);
  }
  const since = performance.now();
  say('installing the node modules (npm ci)');
  const code = await runInherited('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root });
  if (code !== 0) {
    fail(`npm ci ended with exit code ${code}.`, [
      'Look at what npm printed above; it needs a package registry that it can reach.',
    ]);
  }
  say(`node modules installed in ${elapsed(since)}`);
}

/**
 * Compares what npm wrote on its last complete run with the lock file. Derived, so there is no stamp to go stale:
 * an interrupted or older installation differs. Packages for other platforms may be absent.
 */
function isInstalled() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages(join('node_modules', '.package-lock.json'));
  if (wanted === null || installed === null) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    const present = installed[path];
    return present === undefined ? optional === true : present.version === version;
  });
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8')).packages ?? null;
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function hasNode24() {
  if (!existsSync(node24())) return false;
  try {
    const version = execFileSync(node24(), ['--version'], { encoding: 'utf8' });
    return version.startsWith(`v${versions.node.major}.`);
  } catch {
    return false; // A binary that does not start is as good as none; it is supplied again.
  }
}

/** The package `node` fetches its binary in an install script, which npm may be set to leave out. */
async function supplyNode24() {
  const folder = join(root, 'node_modules', 'node');
  say('npm ran no install script for the package `node`; fetching its binary now');
  const code = await runInherited(process.execPath, ['installArchSpecificPackage.js'], { cwd: folder });
  if (code === 0 && hasNode24()) {
    linkNode24();
    return;
  }
  fail(`Node ${versions.node.major} could not be installed from the npm package \`node\`.`, [
    `Install Node ${versions.node.major} yourself and link it: ln -sf "$(command -v node)" ${node24()}`,
  ]);
}

/** npm links no program that was not there when it installed; npm scripts and npx find Node 24 by this link. */
function linkNode24() {
  const link = join(root, 'node_modules', '.bin', 'node');
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync('../node/bin/node', link);
}
