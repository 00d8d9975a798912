import versions from '../../scripts/versions.json' with { type: 'json' };
import { assertNever } from '../domain/errors.ts';

/** Every program that pitrail starts. */
export type ToolName =
  | 'mysqld'
  | 'mysql'
  | 'mysqlbinlog'
  | 'mysqladmin'
  | 'mysqldump'
  | 'temporal'
  | 'versitygw'
  | 'fake-gcs-server';

/** Programs that set-up builds in the one version that is pinned. */
export type PinnedTool = 'temporal' | 'versitygw' | 'fake-gcs-server';

const PINNED: ReadonlySet<ToolName> = new Set<PinnedTool>(['temporal', 'versitygw', 'fake-gcs-server']);

export function isPinned(name: ToolName): name is PinnedTool {
  return PINNED.has(name);
}

/** What a program's own `--version` says about its use here. */
export type VersionVerdict =
  | { readonly kind: 'usable'; readonly version: string }
  | { readonly kind: 'unusable'; readonly reason: string };

/** Orders versions by their numbers: `8.4.10` after `8.4.9`, `9.7.4-2` after `9.7.4`. */
export function compareVersions(a: string, b: string): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(version: string): number[] {
  return version
    .split(/[^0-9]+/)
    .filter((part) => part !== '')
    .map(Number);
}

/** Decides from the text of `--version` whether a program serves. */
export function judgeVersion(name: ToolName, text: string): VersionVerdict {
  switch (name) {
    case 'mysqld':
    case 'mysql':
    case 'mysqlbinlog':
    case 'mysqladmin':
    case 'mysqldump':
      return judgeMysql(text);
    case 'temporal':
      return judgeTemporal(text);
    case 'fake-gcs-server':
      // It tells no version; its flags are what it prints.
      return /filesystem-root/.test(text)
        ? { kind: 'usable', version: 'unknown' }
        : { kind: 'unusable', reason: 'is no fake-gcs-server' };
    case 'versitygw':
      return { kind: 'usable', version: /version\s*:\s*v?(\S+)/i.exec(text)?.[1] ?? 'unknown' };
    default:
      return assertNever(name);
  }
}

/** Decides from the name of its folder whether a program in the cache serves. */
export function judgeCachedVersion(name: ToolName, version: string): VersionVerdict {
  return isPinned(name) ? atLeast(version, versions[name].version) : atLeast(version, versions.mysql.minimum);
}

function judgeMysql(text: string): VersionVerdict {
  if (/mariadb/i.test(text)) {
    return { kind: 'unusable', reason: 'is MariaDB, whose binary logs and GTIDs are another format' };
  }
  const version = /\bVer (\d+\.\d+\.\d+[^\s]*)/.exec(text)?.[1];
  if (version === undefined) return { kind: 'unusable', reason: 'does not tell a MySQL version' };
  return atLeast(version, versions.mysql.minimum);
}

function judgeTemporal(text: string): VersionVerdict {
  const server = /\(Server (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (server === undefined) return { kind: 'unusable', reason: 'carries no development server' };
  const verdict = atLeast(server, versions.temporal.minimumServer);
  const own = /version (\S+)/.exec(text)?.[1] ?? 'unknown';
  return verdict.kind === 'usable' ? { kind: 'usable', version: `${own} (server ${server})` } : verdict;
}

function atLeast(version: string, minimum: string): VersionVerdict {
  return compareVersions(version, minimum) >= 0
    ? { kind: 'usable', version }
    : { kind: 'unusable', reason: `is version ${version}, and ${minimum} or later is needed` };
}
