import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { installFolder } from './install-folder.mjs';
import { hasProgram, runQuietly } from './run.mjs';
import { root, say, stillRunning } from './say.mjs';

/** Builds a pinned Go program into `<cache>/<name>/<version>/bin`. @throws where Go is missing or the build fails */
export async function getGoTool(name, cache) {
  const versions = JSON.parse(await readFile(join(root, 'scripts', 'versions.json'), 'utf8'));
  const { module, version, trial } = versions[name];
  if (!(await hasProgram('go'))) throw new Error('Go is not on PATH, and it is built from source');
  const home = join(cache, name);
  await mkdir(home, { recursive: true });
  const work = await mkdtemp(join(home, 'making-'));
  const done = stillRunning(name);
  say(`${name}: building version ${version} (go install ${module}@v${version}; minutes, once)`);
  try {
    const bin = join(work, 'bin');
    const env = { ...process.env, GOBIN: bin, GOFLAGS: '' };
    await runQuietly('go', ['install', '-ldflags=-s -w', `${module}@v${version}`], {
      env,
      cwd: work,
    });
    await runQuietly(join(bin, name), [trial]);
    await installFolder(work, join(home, version));
  } finally {
    done();
    await rm(work, { recursive: true, force: true });
  }
}
