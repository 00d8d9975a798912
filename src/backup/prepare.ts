import { claimedCatalog, standInsOfAll } from '../archiving/hold.ts';
import { currentLine, newestLine } from '../archiving/line.ts';
import { assertOneRepository } from '../archiving/repositories.ts';
import type { CatalogState } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { type Claim, type Claimant, claimEverywhere, handedAway, inReserve } from '../domain/routing/hold.ts';
import { formatInstant } from '../domain/time.ts';
import { cloneRefused } from '../engines/clone/obstacles.ts';
import { type CloneSurvey, judgeSurvey, surveyForClone } from '../engines/clone/survey.ts';
import type { MysqlSession } from '../mysql/session.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { BackupContext } from './context.ts';
import { isEnough, type LeftBehind, tooFewStores, tryStore } from './left-behind.ts';
import { assertReplicates, holderOf, originOf } from './stand-by.ts';
import type { BackupRequest, PreparedBackup, StoreLine } from './state.ts';

/**
 * Phase 1: finds out whether this server can be backed up here, and refuses with every reason where
 * it cannot. Changes nothing, on the server or on disk; may be run again. A store that is away is left behind.
 * @throws refused (each obstacle by name; `HistoryDiffers`, `HandedAway`, `NotReplicating`), unavailable, what the catalogs throw
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
    const { read, left: away } = await readCatalogs(ctx);
    const claim = claimOf(ctx, request, read, away, claimant);
    if (claim.kind === 'in-reserve') throw inReserve(ctx.source);
    // One that was handed away is a replica like any other, where it replicates from its heir.
    const origin = claim.kind === 'handed-away' ? 'stand-by' : originOf(ctx, server.serverUuid, read);
    const epoch = Math.max(...read.map(({ state }) => state.epoch));
    const { takers, left } = takersIn(epoch, read, origin);
    if (origin === 'stand-by') await assertStandsBy(session, ctx.source, takers, claim);
    return {
      backupId: request.backupId,
      repositoryId: assertOneRepository(read.map(({ state }) => state.repositoryId)),
      epoch,
      startedAt,
      serverUuid: server.serverUuid,
      serverVersion: server.version,
      lowerCaseTableNames: server.lowerCaseTableNames,
      characterSetServer: server.characterSetServer,
      collationServer: server.collationServer,
      lines: linesOf(takers, survey, origin),
      origin,
      archivedBy: origin === 'archived' ? ctx.source : holderOf(ctx, takers),
      left: [...away, ...left],
      notes: notesOf(survey),
    };
  } finally {
    await session.close();
  }
}

/** @throws refused `NotReplicating`, `InReserve`; `HandedAway` for one that was handed away */
async function assertStandsBy(
  session: MysqlSession,
  source: string,
  takers: readonly ReadStore[],
  claim: Claim,
): Promise<void> {
  try {
    await assertReplicates(session, source, takers);
  } catch (error) {
    const isRefused = error instanceof AppError && error.kind === 'refused';
    throw isRefused && claim.kind === 'handed-away' ? handedAway(source, claim) : error;
  }
}

interface ReadStore {
  readonly store: ObjectStore;
  readonly state: CatalogState;
}

/** The catalogs of all stores that answer. */
async function readCatalogs(
  ctx: BackupContext,
): Promise<{ readonly read: readonly ReadStore[]; readonly left: readonly LeftBehind[] }> {
  const outcomes = await Promise.all(
    ctx.repositories.all.map(async ({ store, catalog }) => ({
      store,
      outcome: await tryStore(store, ctx.signal, () => catalog.read()),
    })),
  );
  return {
    read: outcomes.flatMap(({ store, outcome }) =>
      outcome.kind === 'done' ? [{ store, state: outcome.value }] : [],
    ),
    left: outcomes.flatMap(({ outcome }) => (outcome.kind === 'left' ? [outcome.left] : [])),
  };
}

/** As a writer that begins: a handoff counts wherever it stands. @throws unavailable where no store that counts was read */
function claimOf(
  { policies }: BackupContext,
  { backupId }: BackupRequest,
  read: readonly ReadStore[],
  away: readonly LeftBehind[],
  claimant: Claimant,
): Claim {
  const catalogs = read.map(({ store, state }) => claimedCatalog(store.id, state));
  const having = read.map(({ store }) => store.id);
  if (!isEnough(having, policies, standInsOfAll(catalogs))) throw tooFewStores(backupId, away);
  return claimEverywhere(catalogs, claimant);
}

/**
 * Stores that can take the backup; one that lacks a handoff, or the timeline on which a replica's backup lies, gets that
 * first, by `sync`, and the backup behind it.
 */
function takersIn(
  epoch: number,
  read: readonly ReadStore[],
  origin: PreparedBackup['origin'],
): { readonly takers: readonly ReadStore[]; readonly left: readonly LeftBehind[] } {
  const missing = ({ store, state }: ReadStore): LeftBehind | null => {
    if (state.epoch < epoch) {
      const message = `${store.location} has not got the handoff of epoch ${epoch} yet.`;
      return { store: store.id, code: 'HandoffMissing', message };
    }
    if (origin === 'archived' || currentLine(state) !== null) return null;
    const message = `${store.location} has nothing of the timeline yet on which the backup lies.`;
    return { store: store.id, code: 'TimelineMissing', message };
  };
  return {
    takers: read.filter((it) => missing(it) === null),
    left: read.flatMap((it) => missing(it) ?? []),
  };
}

function linesOf(
  takers: readonly ReadStore[],
  { server }: CloneSurvey,
  origin: PreparedBackup['origin'],
): StoreLine[] {
  const executed = GtidSet.parse(server.gtidExecuted);
  return takers.map(({ store, state }) => ({
    store: store.id,
    timeline:
      origin === 'stand-by'
        ? (currentLine(state)?.timeline ?? null)
        : lineOf(state, server.serverUuid, executed),
    sequence: state.head.sequence,
  }));
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
