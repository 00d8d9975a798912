import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decideRound } from '../../archiving/decide-round.ts';
import { serversOf, viewWhole } from '../../archiving/discover.ts';
import { claimHold } from '../../archiving/hold.ts';
import { configuredStores } from '../../archiving/read-stores.ts';
import { ArchiveResources, type ArchiveSourceContext } from '../../archiving/resources.ts';
import type { SourceView } from '../../archiving/server-view.ts';
import type { LogRef } from '../../archiving/staging.ts';
import type { PitrailConfig, SourceConfig } from '../../config/types.ts';
import { readBinlogScope } from '../../mysql/binlog-scope.ts';
import { readServerFacts } from '../../mysql/facts.ts';
import { formatCount, formatSeconds } from '../words.ts';
import { type CheckFinding, failed, findingsOf, ok, warning } from './finding.ts';
import { retentionSeconds } from './server-settings.ts';

/** What waits to be archived, against what the server keeps. */
export interface Backlog {
  readonly logs: number;
  /** The oldest log that only the server has; null where all that wait are staged. */
  readonly oldest: { readonly binlog: string; readonly closedAtMs: number } | null;
  /** 0 where the server purges nothing by itself. */
  readonly retentionSeconds: number;
}

/**
 * Checks whether the server will keep its closed binlogs until they are archived. Only where they
 * can be read from here; what else stands in the way of a look is a finding of other checks.
 */
export async function checkBacklog(
  config: PitrailConfig,
  cluster: string,
  source: SourceConfig,
  known: readonly CheckFinding[],
): Promise<readonly CheckFinding[]> {
  const part = `source ${cluster}/${source.id}`;
  if (source.mode === 'host' && !(await mayRead(source.binlogDir))) return [];
  const resources = new ArchiveResources(config);
  try {
    const found = await findingsOf(part, async () => {
      const context = await resources.source(cluster, source.id);
      if (await isStandingBy(context)) return [ok(part, 'stands by: another source holds the archive')];
      return [judgeBacklog(part, await readBacklog(context), Date.now())];
    });
    return found.filter((finding) => !isKnown(finding, known));
  } finally {
    await resources.close();
  }
}

/** Judges how long the backlog may still last. Pure. */
export function judgeBacklog(part: string, backlog: Backlog, nowMs: number): CheckFinding {
  const { logs, oldest } = backlog;
  if (logs === 0) return ok(part, 'every closed binlog is archived');
  const wait = `${formatCount(logs, 'closed binlog')} ${logs === 1 ? 'waits' : 'wait'} to be archived`;
  if (oldest === null) return ok(part, `${wait}, staged where no purge reaches them`);
  if (backlog.retentionSeconds === 0) return ok(part, `${wait}, and the server purges none by age`);
  const leftSeconds = backlog.retentionSeconds - (nowMs - oldest.closedAtMs) / 1000;
  const left =
    leftSeconds > 0
      ? `may be purged in ${formatSeconds(leftSeconds)} (binlog_expire_logs_seconds)`
      : 'may be purged at any moment (binlog_expire_logs_seconds)';
  const message = `${wait}; the oldest, ${oldest.binlog}, ${left}.`;
  const hint =
    'See why it is not archived: pitrail status. Until then: SET GLOBAL binlog_expire_logs_seconds higher.';
  if (leftSeconds <= backlog.retentionSeconds / 4) {
    return failed(part, 'BacklogExpires', 'unavailable', message, hint);
  }
  return leftSeconds <= backlog.retentionSeconds / 2 ? warning(part, message, hint) : ok(part, message);
}

/** What it logs is another one's to archive. */
async function isStandingBy({ source, repositories, withSession }: ArchiveSourceContext): Promise<boolean> {
  const { serverUuid } = await withSession(readServerFacts);
  const claim = await claimHold(repositories, { source: source.id, serverUuid, role: source.role });
  return claim.kind !== 'held';
}

async function readBacklog(context: ArchiveSourceContext): Promise<Backlog> {
  return context.withSession(async (session) => {
    const look = {
      ...context,
      stores: configuredStores(context.cluster),
      session,
      heads: new Map(),
      setAside: [],
      givenUp: [],
      nowMs: Date.now(),
    };
    const view = await viewWhole(look);
    const { backlog, stage } = decideRound(serversOf(view));
    const [first] = stage;
    const scope = await readBinlogScope(session);
    return {
      logs: backlog.logs,
      oldest: first === undefined ? null : await closedLog(context.source, view, first),
      retentionSeconds: retentionSeconds(view.facts, scope),
    };
  });
}

/** The server purges by the time of the last write to a log; the next one is begun then. */
async function closedLog(
  source: SourceConfig,
  { present }: SourceView,
  { binlog, createdAt }: LogRef,
): Promise<Backlog['oldest']> {
  if (source.mode === 'host') {
    const { mtimeMs } = await stat(join(source.binlogDir, binlog));
    return { binlog, closedAtMs: mtimeMs };
  }
  const next = present.listed[present.listed.findIndex(({ name }) => name === binlog) + 1];
  return { binlog, closedAtMs: Date.parse(next?.peek?.createdAt ?? createdAt) };
}

function mayRead(folder: string): Promise<boolean> {
  return access(folder, constants.R_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

function isKnown(finding: CheckFinding, known: readonly CheckFinding[]): boolean {
  if (finding.status !== 'failed') return false;
  const { code } = finding;
  return (
    code === 'RepositoryMissing' || known.some((other) => other.status === 'failed' && other.code === code)
  );
}
