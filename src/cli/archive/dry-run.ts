import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decideRound } from '../../archiving/decide-round.ts';
import { serversOf, viewSource } from '../../archiving/discover.ts';
import type { PlannedLog } from '../../archiving/discovery.ts';
import { claimReachable } from '../../archiving/hold.ts';
import { configuredStores, type StoreLook, tryStores } from '../../archiving/read-stores.ts';
import { ArchiveResources, type ArchiveSourceContext } from '../../archiving/resources.ts';
import { stagedFiles } from '../../archiving/staging.ts';
import { scanFile, scanStream } from '../../binlog/scan.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { type AppError, EXIT_CODES } from '../../domain/errors.ts';
import { parseServerUuid, parseSha256 } from '../../domain/identity.ts';
import { segmentKey } from '../../domain/object-keys.ts';
import { standsBy } from '../../domain/routing/hold.ts';
import { effectivePolicies } from '../../domain/routing/store-handoff.ts';
import { parseInstant } from '../../domain/time.ts';
import { readGrants } from '../../mysql/facts.ts';
import { judgeGrants } from '../../mysql/grants.ts';
import type { MysqlSession } from '../../mysql/session.ts';
import { isCode } from '../../process/files.ts';
import { worstExit } from '../checks/finding.ts';
import type { CliContext } from '../command.ts';
import { type DryRunLog, type DryRunSource, describeDryRun } from './dry-run-words.ts';
import type { SourceEntity } from './entity.ts';

/** Tells what archiving would do, by what the catalogs say of handoffs and stand-ins. Reads only; needs no Temporal. */
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
    output.result({ sources: results }, () => results.map(describeDryRun).join('\n'));
    return exitCodeOf(results);
  } finally {
    await resources.close();
  }
}

async function lookAt(
  context: ArchiveSourceContext,
  session: MysqlSession,
  signal: AbortSignal,
): Promise<DryRunSource> {
  const { cluster, source, repositories } = context;
  const named = { cluster: cluster.name, source: source.id };
  const { looks, errors } = await askStores(context);
  const claimant = { source: source.id, serverUuid: parseServerUuid(session.serverUuid), role: source.role };
  const { claim, standIns } = await claimReachable(repositories, { claimant, looks, boundaries: [] });
  const why = standsBy(source.id, claim);
  if (why !== null) return { state: 'stands-by', ...named, why: why.message };
  const stores = effectivePolicies(looks, standIns);
  const missed = stores.find(({ store, policy }) => policy === 'required' && errors.has(store));
  if (missed !== undefined) throw errors.get(missed.store);
  const nothing = { heads: new Map(), setAside: [], givenUp: [] };
  const view = await viewSource({ ...context, ...nothing, stores, session, nowMs: Date.now() });
  const { archive, problems, backlog } = decideRound(serversOf(view));
  const logs: DryRunLog[] = [];
  for (const planned of archive) logs.push(await describeLog(context, planned, signal));
  return {
    state: 'archives',
    ...named,
    serverUuid: view.present.serverUuid,
    archive: logs,
    problems,
    backlog,
    standIns,
    away: [...errors].map(([store, { code, kind, message }]) => ({ store, code, kind, message })),
    missingPermissions: [
      ...(await missingGrants(session, source.user)),
      ...(await missingFileAccess(context)),
    ],
    unchecked: repositories.all.map(
      ({ store }) => `whether ${store.location} may be written, for this writes nothing: see pitrail check`,
    ),
  };
}

/** Reads every catalog with patience: one that answers late is no store that lacks all. */
async function askStores({ cluster, repositories }: ArchiveSourceContext): Promise<{
  readonly looks: readonly StoreLook[];
  readonly errors: ReadonlyMap<string, AppError>;
}> {
  const looks = configuredStores(cluster);
  const waited = looks.map((look) => ({ ...look, policy: 'required' as const }));
  const { errors } = await tryStores(repositories, waited, new Map());
  const access = (store: string) => (errors.has(store) ? 'held-back' : 'open');
  return { looks: looks.map((look) => ({ ...look, access: access(look.store) })), errors };
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

/** As `archive --once`: where all sources stand by nothing is archived. */
function exitCodeOf(results: readonly DryRunSource[]): number {
  if (results.every(({ state }) => state === 'stands-by')) return EXIT_CODES.refused;
  return Math.max(0, ...results.map(exitCodeOfOne));
}

function exitCodeOfOne(result: DryRunSource): number {
  if (result.state === 'stands-by') return 0;
  const { problems, missingPermissions, away } = result;
  const kinds = [...problems, ...away].map(({ kind }) => kind);
  return worstExit(missingPermissions.length > 0 ? [...kinds, 'refused'] : kinds);
}
