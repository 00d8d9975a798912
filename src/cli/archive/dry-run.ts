import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decideRound } from '../../archiving/decide-round.ts';
import { serversOf, viewWhole } from '../../archiving/discover.ts';
import type { LogProblem, PlannedLog } from '../../archiving/discovery.ts';
import { configuredStores } from '../../archiving/read-stores.ts';
import { ArchiveResources, type ArchiveSourceContext } from '../../archiving/resources.ts';
import { stagedFiles } from '../../archiving/staging.ts';
import { scanFile, scanStream } from '../../binlog/scan.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { AppError, EXIT_CODES } from '../../domain/errors.ts';
import { parseSha256 } from '../../domain/identity.ts';
import { segmentKey } from '../../domain/object-keys.ts';
import { parseInstant } from '../../domain/time.ts';
import { readGrants } from '../../mysql/facts.ts';
import { judgeGrants } from '../../mysql/grants.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import { isCode } from '../../process/files.ts';
import { PROBE_KEY } from '../../storage/probe.ts';
import type { CliContext } from '../command.ts';
import type { SourceEntity } from './entity.ts';

/** A log that would be archived. */
interface DryRunLog {
  readonly binlog: string;
  readonly lengthBytes: number;
  readonly gtids: string;
  /** The same in every store. */
  readonly key: string;
  readonly stores: readonly string[];
}

/** What `archive --once` would do for one source. */
interface DryRunSource {
  readonly cluster: string;
  readonly source: string;
  readonly serverUuid: string;
  readonly archive: readonly DryRunLog[];
  readonly problems: readonly LogProblem[];
  readonly backlog: { readonly logs: number; readonly bytes: number };
  /** Permissions that archiving would miss, each with what lacks it. */
  readonly missingPermissions: readonly string[];
}

/** Prints, as JSON in either mode, what archiving would do. Reads only; needs no Temporal. */
export async function dryRun(
  { output, signal }: CliContext,
  config: PitrailConfig,
  sources: readonly SourceEntity[],
): Promise<number> {
  const resources = new ArchiveResources(config);
  try {
    const results: DryRunSource[] = [];
    for (const { cluster, source } of sources) {
      const context = await resources.source(cluster, source);
      results.push(await context.withSession((session) => lookAt(context, session, signal)));
    }
    const document = { sources: results };
    output.result(document, () => JSON.stringify(document, null, 2));
    return Math.max(0, ...results.map(exitCodeOf));
  } finally {
    await resources.close();
  }
}

async function lookAt(
  context: ArchiveSourceContext,
  session: MysqlSession,
  signal: AbortSignal,
): Promise<DryRunSource> {
  const { cluster, source } = context;
  const nothing = { heads: new Map(), setAside: [], givenUp: [] };
  const stores = configuredStores(cluster);
  const look = { ...context, ...nothing, stores, session, nowMs: Date.now() };
  const view = await viewWhole(look);
  const { archive, problems, backlog } = decideRound(serversOf(view));
  const logs: DryRunLog[] = [];
  for (const planned of archive) logs.push(await describeLog(context, planned, signal));
  return {
    cluster: cluster.name,
    source: source.id,
    serverUuid: view.present.serverUuid,
    archive: logs,
    problems,
    backlog,
    missingPermissions: [
      ...(await missingGrants(session, source.user)),
      ...(await missingFileAccess(context)),
      ...(await deniedStores(context)),
    ],
  };
}

/** The key holds the digest of the log, so the log is read once. */
async function describeLog(
  { source, access, repositories }: ArchiveSourceContext,
  { log, stores }: PlannedLog,
  signal: AbortSignal,
): Promise<DryRunLog> {
  const { log: staged } = stagedFiles(source.stagingDir, log);
  const report = (await isThere(staged))
    ? await scanFile(staged)
    : await scanStream(access.read(log, signal), { file: log.binlog });
  const sha256 = parseSha256(report.sha256 ?? '');
  const encryption = repositories.key.kind === 'none' ? 'none' : 'aws-encryption-sdk';
  return {
    binlog: log.binlog,
    lengthBytes: log.lengthBytes,
    gtids: report.gtids.toString(),
    key: segmentKey(log.serverUuid, log.binlog, parseInstant(log.createdAt), sha256, encryption),
    stores,
  };
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function missingGrants(session: MysqlSession, user: string): Promise<string[]> {
  const { missing } = judgeGrants(await readGrants(session), 'archiver');
  return missing.map((privilege) => `MySQL privilege ${privilege} for '${user}'`);
}

async function missingFileAccess({ source }: ArchiveSourceContext): Promise<string[]> {
  const folders = source.mode === 'host' ? [source.binlogDir] : [];
  const wanted = [
    ...folders.map((path) => ({ path, mode: constants.R_OK | constants.X_OK, what: 'read access to' })),
    { path: source.stagingDir, mode: constants.W_OK | constants.X_OK, what: 'write access to' },
  ];
  const lacking = await Promise.all(
    wanted.map(async ({ path, mode, what }) => ((await mayAccess(path, mode)) ? [] : [`${what} ${path}`])),
  );
  return lacking.flat();
}

/** A folder that does not exist yet would be made in its nearest existing parent. */
async function mayAccess(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT') && dirname(path) !== path) return mayAccess(dirname(path), mode);
    if (isCode(error, 'EACCES', 'EPERM', 'EROFS')) return false;
    throw error;
  }
}

/** Reading was proven by the catalogs; whether a store may be written shows `pitrail check`, which writes. */
async function deniedStores({ repositories }: ArchiveSourceContext): Promise<string[]> {
  const denied = repositories.all.map(async ({ store }) => {
    try {
      await store.head(PROBE_KEY);
      return [];
    } catch (error) {
      if (error instanceof AppError && error.code === 'StoreDenied')
        return [`${store.location}: ${error.message}`];
      throw error;
    }
  });
  return (await Promise.all(denied)).flat();
}

function exitCodeOf({ problems, missingPermissions }: DryRunSource): number {
  const codes = problems.map(({ kind }) => EXIT_CODES[kind]);
  return Math.max(0, ...codes, missingPermissions.length > 0 ? EXIT_CODES.refused : 0);
}
