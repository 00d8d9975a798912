import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { debianMirror } from './debian-sources.mjs';
import { installFolder } from './install-folder.mjs';
import { hasProgram, runQuietly } from './run.mjs';
import { root, say, stillRunning } from './say.mjs';

const PACKAGES = ['mysql-server-core', 'mysql-client-core', 'mysql-server'];
const PROGRAMS = ['sbin/mysqld', 'bin/mysql', 'bin/mysqlbinlog', 'bin/mysqldump', 'bin/mysqladmin'];
/** Parts of the unpacked packages that no program here reads. */
const UNUSED = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/perl', 'usr/lib/systemd'];

/**
 * Unpacks MySQL and all libraries it needs from Debian's unstable suite into `<cache>/mysql/<version>`,
 * without touching the system: Debian's stable suite has MariaDB only. Signatures are checked by apt.
 * @throws where apt-get, dpkg or a Debian mirror is missing, or a step fails
 */
export async function getMysql(name, cache) {
  for (const program of ['apt-get', 'dpkg-deb']) {
    if (!(await hasProgram(program)))
      throw new Error(`${program} is not on PATH, and MySQL is unpacked from Debian packages`);
  }
  const source = debianMirror();
  if (source === null) throw new Error("this system's apt uses no Debian mirror");
  const home = join(cache, name);
  await mkdir(home, { recursive: true });
  const work = await mkdtemp(join(home, 'making-'));
  const done = stillRunning(name);
  try {
    const tree = join(work, 'tree');
    const version = await fill(tree, join(work, 'apt'), source);
    await installFolder(tree, join(home, version));
  } finally {
    done();
    await rm(work, { recursive: true, force: true });
  }
}

async function fill(tree, apt, source) {
  const archives = await download(apt, source);
  say('mysql: unpacking');
  const mysqlRoot = join(tree, 'mysqlroot');
  await mkdir(mysqlRoot, { recursive: true });
  for (const archive of archives) await runQuietly('dpkg-deb', ['-x', archive, mysqlRoot]);
  await Promise.all(UNUSED.map((path) => rm(join(mysqlRoot, path), { recursive: true, force: true })));
  await writeWrappers(tree, mysqlRoot);
  await runQuietly(join(tree, 'bin', 'mysqld'), ['--no-defaults', '--version']);
  const server = archives.find((path) => /\/mysql-server-core_/.test(path));
  if (server === undefined) throw new Error('apt-get gave no package mysql-server-core');
  const version = (await runQuietly('dpkg-deb', ['-f', server, 'Version'])).trim();
  return version.replaceAll(/[^0-9A-Za-z.+~-]/g, '_');
}

/** Downloads into a state and cache of apt's own making; the system's apt state is neither read nor changed. */
async function download(apt, { mirror, signedBy }) {
  const versions = JSON.parse(await readFile(join(root, 'scripts', 'versions.json'), 'utf8'));
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true });
  await mkdir(join(apt, 'cache', 'archives', 'partial'), { recursive: true });
  const list = join(apt, 'sources.list');
  await writeFile(list, `deb [signed-by=${signedBy}] ${mirror} ${versions.mysql.debianSuite} main\n`);
  await writeFile(join(apt, 'status'), '');
  const options = [
    `-oDir::Etc::sourcelist=${list}`,
    '-oDir::Etc::sourceparts=/dev/null',
    '-oDir::Etc::preferencesparts=/dev/null',
    `-oDir::State=${apt}`,
    `-oDir::State::Lists=${join(apt, 'lists')}`,
    `-oDir::State::status=${join(apt, 'status')}`,
    `-oDir::Cache=${join(apt, 'cache')}`,
    // As root, apt would drop to a user who may not enter this folder.
    ...(process.getuid?.() === 0 ? ['-oAPT::Sandbox::User=root'] : []),
  ];
  say(`mysql: reading Debian's package list (suite ${versions.mysql.debianSuite})`);
  await runQuietly('apt-get', [...options, '-q', 'update']);
  say('mysql: downloading the packages (about 80 MB)');
  const install = ['-q', '-y', '--no-install-recommends', '--download-only', 'install', ...PACKAGES];
  await runQuietly('apt-get', [...options, ...install]);
  const folder = join(apt, 'cache', 'archives');
  return (await readdir(folder)).filter((file) => file.endsWith('.deb')).map((file) => join(folder, file));
}

/** The programs need the libraries they were built with, so each runs by the loader that came with them. */
async function writeWrappers(tree, mysqlRoot) {
  const { libraries, loader } = await findLoader(join(mysqlRoot, 'usr', 'lib'));
  await mkdir(join(tree, 'bin'));
  for (const program of PROGRAMS) {
    const path = join(tree, 'bin', program.slice(program.indexOf('/') + 1));
    await writeFile(path, wrapper(program, libraries, loader));
    await chmod(path, 0o755);
  }
}

async function findLoader(lib) {
  for (const libraries of await readdir(lib)) {
    if (!/-linux-gnu/.test(libraries)) continue;
    const loader = (await readdir(join(lib, libraries))).find((file) => /^ld-linux.*\.so\.\d+$/.test(file));
    if (loader !== undefined) return { libraries, loader };
  }
  throw new Error('the unpacked packages contain no program loader');
}

/** Finds the tree by its own place, so that the cache may be moved or mounted elsewhere. */
function wrapper(program, libraries, loader) {
  return `#!/bin/sh
here=$(readlink -f -- "$0")
usr=\${here%/*/*}/mysqlroot/usr
lib=$usr/lib/${libraries}
exec "$lib/${loader}" --library-path "$lib:$usr/lib/mysql/private" --argv0 "$usr/${program}" "$usr/${program}" "$@"
`;
}
