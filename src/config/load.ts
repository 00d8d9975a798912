import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AppError } from '../domain/errors.ts';
import { crossCheck, type Finding } from './cross-checks.ts';
import { type Place, parseYaml } from './document.ts';
import { explainIssues } from './explain.ts';
import { configSchema } from './schema.ts';
import { settleConfig } from './settle.ts';
import type { PitrailConfig } from './types.ts';

/** Where a configuration is looked for, first to last, when neither flag nor variable names one. */
export const CONFIG_PLACES = ['pitrail.yaml', '/etc/pitrail/pitrail.yaml'] as const;
export const CONFIG_VARIABLE = 'PITRAIL_CONFIG';

/**
 * Finds the configuration file: the flag, then PITRAIL_CONFIG, then ./pitrail.yaml, then
 * /etc/pitrail/pitrail.yaml. @throws config `ConfigMissing`
 */
export async function findConfig(flag: string | null, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = flag ?? (env[CONFIG_VARIABLE] === '' ? undefined : env[CONFIG_VARIABLE]);
  if (named !== undefined) return resolve(named);
  for (const place of CONFIG_PLACES) {
    if (await isReadable(resolve(place))) return resolve(place);
  }
  throw new AppError({
    code: 'ConfigMissing',
    kind: 'config',
    message: `No configuration was found (${CONFIG_PLACES.map((place) => resolve(place)).join(', ')}), so it is unknown what to work on.`,
    hint: `Name it with --config FILE or ${CONFIG_VARIABLE}. "pitrail config schema" tells what it holds; "pitrail quickstart" needs none.`,
  });
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Reads and checks a configuration file. All errors are told at once, each with its line.
 * @throws config `ConfigMissing`, `ConfigInvalid`
 */
export async function loadConfig(file: string): Promise<PitrailConfig> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  return parseConfig(text, resolve(file));
}

/** Checks the text of a configuration file; relative paths are relative to `file`. @throws config `ConfigInvalid` */
export function parseConfig(text: string, file: string): PitrailConfig {
  const yaml = parseYaml(text);
  if (yaml.status === 'malformed') throw invalid(file, yaml.errors);
  const { root, placeOf } = yaml.file;
  const result = configSchema.safeParse(root);
  const findings = [
    ...(result.success ? [] : explainIssues(result.error.issues, configSchema, root)),
    ...crossCheck(root, dirname(file)),
  ];
  if (result.success && findings.length === 0) return settleConfig(result.data, file);
  throw invalid(
    file,
    distinct(findings).map(({ path, problem }) => ({ place: placeOf(path), problem })),
  );
}

/** One finding a path: the schema and the cross-checks may both speak of the same secret. */
function distinct(findings: readonly Finding[]): Finding[] {
  const seen = new Map<string, Finding>();
  for (const finding of findings) {
    const key = JSON.stringify(finding.path);
    if (!seen.has(key)) seen.set(key, finding);
  }
  return [...seen.values()];
}

interface PlacedProblem {
  readonly place: Place;
  readonly problem: string;
}

function invalid(file: string, problems: readonly PlacedProblem[]): AppError {
  const lines = [...problems]
    .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
    .map(({ place, problem }) => `${file}:${place.line}:${place.column}: ${problem}`);
  const count = lines.length === 1 ? 'an error' : `${lines.length} errors`;
  return new AppError({
    code: 'ConfigInvalid',
    kind: 'config',
    message: `The configuration has ${count}, so nothing was started:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    hint: '"pitrail config schema" prints what each key may hold.',
    facts: { file, errors: lines },
  });
}

function unreadable(file: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
  return new AppError({
    code: 'ConfigMissing',
    kind: 'config',
    message: `The configuration ${file} cannot be read (${reason}), so it is unknown what to work on.`,
    hint: 'Check the path and its permissions.',
    facts: { file, reason },
    cause,
  });
}
