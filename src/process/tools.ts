import { constants } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { execa } from 'execa';
import versions from '../../scripts/versions.json' with { type: 'json' };
import { AppError } from '../domain/errors.ts';
import {
  compareVersions,
  isPinned,
  judgeCachedVersion,
  judgeVersion,
  type ToolName,
  type VersionVerdict,
} from './tool-version.ts';

export type { ToolName } from './tool-version.ts';

/** Where a tool was found; earlier ones win. */
export type ToolOrigin = 'environment' | 'path' | 'cache';

/** A program that can be started: `program` with `args` first, then the caller's own arguments. */
export interface Tool {
  readonly name: ToolName;
  /** Absolute path. */
  readonly program: string;
  /** Fixed arguments that must come before all others. Never secret. */
  readonly args: readonly string[];
  readonly version: string;
  readonly origin: ToolOrigin;
}

/** The environment variable that names a tool's program. */
export const TOOL_VARIABLES: Readonly<Record<ToolName, string>> = {
  mysqld: 'PITRAIL_MYSQLD',
  mysql: 'PITRAIL_MYSQL',
  mysqlbinlog: 'PITRAIL_MYSQLBINLOG',
  mysqladmin: 'PITRAIL_MYSQLADMIN',
  mysqldump: 'PITRAIL_MYSQLDUMP',
  temporal: 'PITRAIL_TEMPORAL',
  versitygw: 'PITRAIL_VERSITYGW',
  'fake-gcs-server': 'PITRAIL_FAKE_GCS_SERVER',
};

/** Outcome of a search: the tool, or every place that was tried with the reason it did not serve. */
export type ToolSearch =
  | { readonly kind: 'found'; readonly tool: Tool }
  | { readonly kind: 'missing'; readonly tried: readonly string[] };

interface Candidate {
  readonly program: string;
  readonly origin: ToolOrigin;
  /** Version by the folder it lies in. */
  readonly cachedVersion: string | null;
}

const found = new Map<string, Promise<ToolSearch>>();

/** The folder of unpacked and built tools, shared by all checkouts of a user. */
export function toolCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'];
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.cache'), 'pitrail', 'tools');
}

/**
 * Finds a program: environment variable, then PATH, then the user's cache. The answer is remembered
 * per program for the life of the process. @throws config, naming the ways to supply it
 */
export async function findTool(name: ToolName): Promise<Tool> {
  const search = await searchTool(name);
  if (search.kind === 'found') return search.tool;
  throw new AppError({
    code: 'ToolMissing',
    kind: 'config',
    message: `${name} was not found, so what needs it cannot run. Tried: ${search.tried.join('; ')}.`,
    hint: `Set ${TOOL_VARIABLES[name]} to the program, put it on PATH, or run \`node scripts/setup.mjs\` in a checkout to fill ${toolCacheDir()}.`,
    facts: { tool: name, variable: TOOL_VARIABLES[name], tried: search.tried },
  });
}

/**
 * Looks for a program without failing where there is none.
 * @throws config where the environment variable names something that cannot be used
 */
export function searchTool(name: ToolName, env: NodeJS.ProcessEnv = process.env): Promise<ToolSearch> {
  const key = JSON.stringify([name, env[TOOL_VARIABLES[name]], env['PATH'], toolCacheDir(env)]);
  const known = found.get(key);
  if (known !== undefined) return known;
  const search = searchAnew(name, env);
  found.set(key, search);
  // A failed or empty search is not remembered: set-up may supply the tool while this process runs.
  const forget = () => found.delete(key);
  search.then((result) => result.kind === 'missing' && forget(), forget);
  return search;
}

async function searchAnew(name: ToolName, env: NodeJS.ProcessEnv): Promise<ToolSearch> {
  const named = env[TOOL_VARIABLES[name]];
  if (named !== undefined && named !== '') return { kind: 'found', tool: await namedTool(name, named) };
  const tried = [`${TOOL_VARIABLES[name]} is not set`];
  const candidates = [...(await onPath(name, env)), ...(await inCache(name, env))];
  for (const candidate of candidates) {
    const verdict = await versionOf(name, candidate);
    if (verdict.kind === 'usable') return { kind: 'found', tool: await toTool(name, candidate, verdict) };
    tried.push(`${candidate.program} ${verdict.reason}`);
  }
  if (candidates.length === 0) tried.push('it is neither on PATH nor in the cache');
  return { kind: 'missing', tried };
}

async function namedTool(name: ToolName, program: string): Promise<Tool> {
  const candidate: Candidate = { program, origin: 'environment', cachedVersion: null };
  const verdict: VersionVerdict = (await isProgram(program))
    ? await versionOf(name, candidate)
    : { kind: 'unusable', reason: 'is not a program that can be run' };
  if (verdict.kind === 'usable') return toTool(name, candidate, verdict);
  throw new AppError({
    code: 'ToolUnusable',
    kind: 'config',
    message: `${TOOL_VARIABLES[name]} names ${program}, which ${verdict.reason}; it is not replaced by another one silently.`,
    hint: `Correct ${TOOL_VARIABLES[name]}, or unset it to search PATH and the cache.`,
    facts: { tool: name, program },
  });
}

async function toTool(
  name: ToolName,
  candidate: Candidate,
  verdict: { readonly version: string },
): Promise<Tool> {
  const { program, origin } = candidate;
  return { name, program, args: await fixedArguments(name, program), version: verdict.version, origin };
}

async function onPath(name: ToolName, env: NodeJS.ProcessEnv): Promise<Candidate[]> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  // Servers lie in sbin, which an ordinary user's PATH leaves out.
  if (name === 'mysqld') folders.push('/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/usr/local/mysql/bin');
  const candidates: Candidate[] = [];
  for (const folder of new Set(folders)) {
    const program = join(folder, name);
    if (await isProgram(program)) candidates.push({ program, origin: 'path', cachedVersion: null });
  }
  return candidates;
}

/** Newest version first. A folder that bears a version is complete: it was renamed into place. */
async function inCache(name: ToolName, env: NodeJS.ProcessEnv): Promise<Candidate[]> {
  const pinned = isPinned(name) ? versions[name].version : null;
  const home = join(toolCacheDir(env), pinned === null ? 'mysql' : name);
  const folders = pinned === null ? await versionFolders(home) : [pinned];
  const candidates: Candidate[] = [];
  for (const version of folders) {
    const program = join(home, version, 'bin', name);
    if (await isProgram(program)) candidates.push({ program, origin: 'cache', cachedVersion: version });
  }
  return candidates;
}

async function versionFolders(home: string): Promise<string[]> {
  try {
    const names = await readdir(home);
    return names.filter((entry) => /^[0-9]/.test(entry)).sort((a, b) => compareVersions(b, a));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false; // Whatever the reason, it cannot be run; the caller says which path was meant.
  }
}

async function versionOf(name: ToolName, candidate: Candidate): Promise<VersionVerdict> {
  // What stands in the cache was tried before it was put there; programs built by Go do not know their version.
  if (candidate.cachedVersion !== null) return judgeCachedVersion(name, candidate.cachedVersion);
  const args = isPinned(name) ? [versions[name].trial] : ['--no-defaults', '--version'];
  const shown = await execa(candidate.program, args, { reject: false, stdin: 'ignore', timeout: 20_000 });
  if (shown.exitCode !== 0) {
    return { kind: 'unusable', reason: `does not start (${shown.shortMessage ?? 'no exit code'})` };
  }
  return judgeVersion(name, shown.stdout === '' ? shown.stderr : shown.stdout);
}

/** An unpacked MySQL does not lie where it was compiled for, so it must be told its folders. */
async function fixedArguments(name: ToolName, program: string): Promise<string[]> {
  if (name !== 'mysqld') return [];
  const root = join(dirname(dirname(await realpath(program))), 'mysqlroot', 'usr');
  const plugins = join(root, 'lib', 'mysql', 'plugin');
  const unpacked = await stat(plugins).then(
    () => true,
    () => false,
  );
  if (!unpacked) return [];
  return [
    `--basedir=${root}`,
    `--plugin-dir=${plugins}`,
    `--lc-messages-dir=${join(root, 'share', 'mysql')}`,
    `--character-sets-dir=${join(root, 'share', 'mysql', 'charsets')}`,
    '--secure-file-priv=NULL',
  ];
}
