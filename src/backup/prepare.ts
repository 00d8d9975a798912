import { claimHold } from '../archiving/hold.ts';
import { newestLine } from '../archiving/line.ts';
import { sharedRepositoryId } from '../archiving/repositories.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { handedAway, inReserve } from '../domain/routing/hold.ts';
import { formatInstant } from '../domain/time.ts';
import { cloneRefused } from '../engines/clone/obstacles.ts';
import { type CloneSurvey, judgeSurvey, surveyForClone } from '../engines/clone/survey.ts';
import type { BackupContext } from './context.ts';
import type { BackupRequest, PreparedBackup, StoreLine } from './state.ts';

/**
 * Phase 1: finds out whether this server can be backed up here, and refuses with every reason where
 * it cannot. Changes nothing, on the server or on disk; may be run again.
 * @throws refused (each obstacle by name; `HistoryDiffers`, `HandedAway`), unavailable, what the catalogs throw
 */
export async function prepareBackup(ctx: BackupContext, request: BackupRequest): Promise<PreparedBackup> {
  const session = await ctx.connect();
  try {
    const startedAt = formatInstant(ctx.now());
    const survey = await surveyForClone(session, ctx.stagingDir, ctx.mysqld);
    const [first, ...others] = judgeSurvey(survey);
    if (first !== undefined) throw cloneRefused(session.where, [first, ...others]);
    const { server } = survey;
    // A fallback may be backed up while it waits: the archive is another matter.
    const claimant = { source: ctx.source, serverUuid: server.serverUuid, role: 'archived' } as const;
    const claim = await claimHold(ctx.repositories, claimant);
    if (claim.kind === 'handed-away') throw handedAway(ctx.source, claim);
    if (claim.kind === 'in-reserve') throw inReserve(ctx.source);
    return {
      backupId: request.backupId,
      repositoryId: await sharedRepositoryId(ctx.repositories),
      epoch: claim.epoch,
      startedAt,
      serverUuid: server.serverUuid,
      serverVersion: server.version,
      lowerCaseTableNames: server.lowerCaseTableNames,
      characterSetServer: server.characterSetServer,
      collationServer: server.collationServer,
      lines: await readLines(ctx, survey),
      notes: notesOf(survey),
    };
  } finally {
    await session.close();
  }
}

async function readLines(ctx: BackupContext, { server }: CloneSurvey): Promise<StoreLine[]> {
  const executed = GtidSet.parse(server.gtidExecuted);
  const lines: StoreLine[] = [];
  for (const { store, catalog } of ctx.repositories.all) {
    const state = await catalog.read();
    const timeline = lineOf(state, server.serverUuid, executed);
    lines.push({ store: store.id, timeline, sequence: state.head.sequence });
  }
  return lines;
}

/** The timeline that the server is on; its archived transactions must all be in the server's history. */
function lineOf(
  state: CatalogState,
  serverUuid: PreparedBackup['serverUuid'],
  executed: GtidSet,
): number | null {
  const line = newestLine(state, serverUuid);
  if (line === null) return null;
  const foreign = state.archivedThrough(line.timeline).subtract(executed);
  if (foreign.isEmpty) return line.timeline;
  throw new AppError({
    code: 'HistoryDiffers',
    kind: 'refused',
    message: `${foreign.count()} transactions that were archived from this server are not in its gtid_executed (${foreign.ranges().slice(0, 5).join(', ')}): its history was reset or replaced, and a backup now would lie on no known timeline.`,
    hint: 'Archive once (pitrail archive --once), which starts a new timeline, then take the backup.',
    facts: { timeline: line.timeline, foreignGtids: foreign.ranges().slice(0, 100) },
  });
}

function notesOf({ server }: CloneSurvey): string[] {
  if (server.binlogFormat === 'ROW') return [];
  return [
    `binlog_format is ${server.binlogFormat}: a temporary table that was open while the clone was taken cannot be seen, and statements that use it later do not replay from this backup.`,
  ];
}
