import { standInsOfAll } from '../archiving/hold.ts';
import { currentLine, newestLine, nextTimeline } from '../archiving/line.ts';
import { type Repository, repositoryIn } from '../archiving/repositories.ts';
import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { BackupFacts } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { faultPoint } from '../process/fault.ts';
import { verifyStored } from '../storage/read-back.ts';
import type { BackupContext } from './context.ts';
import { backupFolder, removeBackupFolder } from './folder.ts';
import { isEnough, type LeftBehind, tooFewStores, tryStore } from './left-behind.ts';
import { assertSameHistory } from './same-history.ts';
import { backupContext } from './seal-context.ts';
import type { RegisteredBackup, StoredBase, UploadedBackup } from './state.ts';

/**
 * Phase 5: reads the backup back from every store, whole: decrypted, decompressed, compared. Then
 * names it in their catalogs, which is when it counts, and removes the staged clone. A store that fails
 * is left behind: it is named nowhere where it was not read back. May be run again after any crash: an
 * entry that stands is found.
 * @throws corrupt (a store gives back other bytes), conflict (`BackupIdTaken`, stale epoch),
 *   refused `TimelineMoved`, `HistoryReplaced`; unavailable where no store that counts is left
 */
export async function validateAndRegister(
  ctx: BackupContext,
  uploaded: UploadedBackup,
): Promise<RegisteredBackup> {
  const { backupId, notes } = uploaded;
  const proven = await readAllBack(ctx, uploaded);
  assertEnough(ctx, backupId, proven);
  const { registered, left } = await registerAll(ctx, uploaded, proven);
  assertEnough(ctx, backupId, { done: registered, left });
  faultPoint('backup.registered');
  await removeBackupFolder(backupFolder(ctx.stagingDir, backupId));
  return { backupId, registered, left, notes };
}

interface Proven {
  readonly done: readonly StoredBase[];
  readonly left: readonly LeftBehind[];
}

/** How the stores count by now: another one may count for one that failed since the backup began. */
function assertEnough({ policies, repositories }: BackupContext, backupId: string, proven: Proven): void {
  const having = proven.done.map(({ store }) => store);
  const states = having.flatMap((store) => repositoryIn(repositories, store).catalog.known ?? []);
  const standIns = standInsOfAll(states.map((state) => ({ handoffs: state.handoffs() })));
  if (!isEnough(having, policies, standIns)) throw tooFewStores(backupId, proven.left);
}

async function readAllBack(ctx: BackupContext, uploaded: UploadedBackup): Promise<Proven> {
  const totalBytes = uploaded.objects.reduce((sum, { object }) => sum + object.lengthBytes, 0);
  const done: StoredBase[] = [];
  const left = [...uploaded.left];
  let before = 0;
  for (const base of uploaded.objects) {
    const { store, catalog } = repositoryIn(ctx.repositories, base.store);
    const outcome = await tryStore(store, ctx.signal, async () => {
      await verifyStored(
        store,
        base.object,
        ctx.repositories.key,
        backupContext(uploaded.backupId, uploaded.repositoryId),
        { plaintextSha256: uploaded.tarSha256, lengthBytes: uploaded.tarBytes },
        { signal: ctx.signal, onProgress: (readBytes) => ctx.onProgress(before + readBytes, totalBytes) },
      );
      await catalog.read();
    });
    if (outcome.kind === 'done') done.push(base);
    else left.push(outcome.left);
    before += base.object.lengthBytes;
  }
  return { done, left };
}

async function registerAll(
  ctx: BackupContext,
  uploaded: UploadedBackup,
  proven: Proven,
): Promise<Pick<RegisteredBackup, 'registered' | 'left'>> {
  const registered: RegisteredBackup['registered'][number][] = [];
  const left = [...proven.left];
  for (const { store, object } of proven.done) {
    const repository = repositoryIn(ctx.repositories, store);
    const outcome = await tryStore(repository.store, ctx.signal, () =>
      register(ctx, repository, uploaded, object),
    );
    if (outcome.kind === 'done') registered.push({ store, object, ...outcome.value });
    else left.push(outcome.left);
  }
  return { registered, left };
}

async function register(
  ctx: BackupContext,
  { store, catalog }: Repository,
  uploaded: UploadedBackup,
  object: StoredBase['object'],
): Promise<{ readonly sequence: number; readonly backup: BackupFacts }> {
  const line = uploaded.lines.find((it) => it.store === store.id);
  const planned = line?.timeline ?? null;
  for (;;) {
    const state = await catalog.read();
    const standing = state.backup(uploaded.backupId);
    if (standing !== undefined) {
      assertSame(store.location, standing.backup, uploaded);
      return { sequence: standing.sequence, backup: standing.backup };
    }
    const timeline = timelineIn(state, uploaded);
    if (planned !== null && timeline !== planned) throw timelineMoved(store.location, planned, timeline);
    if (timeline === null) {
      await startTimeline(ctx, { store, catalog }, state, uploaded);
      continue;
    }
    // A replica may lag behind what is archived; phase 1 saw that it replicates from the server that is.
    if (line !== undefined && uploaded.origin === 'archived')
      assertSameHistory(state, line, uploaded.coordinates.gtidExecuted);
    const backup = factsOf(uploaded, timeline);
    const epoch = epochIn(state, uploaded);
    try {
      await catalog.append({ kind: 'backup-registered', backup, object }, ctx.sign(epoch), (now) =>
        judge(now, uploaded, timeline),
      );
    } catch (error) {
      // Another store may have begun to count just now.
      if (!isStale(error) || epochIn(await catalog.read(), uploaded) === epoch) throw error;
    }
  }
}

/** The timeline on which the backup lies by a catalog; null where its server has none yet. */
function timelineIn(state: CatalogState, { origin, serverUuid }: UploadedBackup): number | null {
  const line = origin === 'stand-by' ? currentLine(state) : newestLine(state, serverUuid);
  return line?.timeline ?? null;
}

/**
 * The epoch in which the backup is named: the one that it claimed when it began, or a newer one where
 * only stores were switched since then. A handoff of the source keeps it from being named.
 */
function epochIn(state: CatalogState, { epoch }: UploadedBackup): number {
  const since = state.handoffs().filter((handoff) => handoff.epoch > epoch);
  return since.every(({ route }) => route.kind === 'store') ? Math.max(epoch, state.epoch) : epoch;
}

function isStale(error: unknown): boolean {
  return error instanceof AppError && error.code === 'StaleEpoch';
}

/** Where another writer changed what was decided on, nothing is written and the loop decides anew. */
function judge(now: CatalogState, uploaded: UploadedBackup, timeline: number): Judgement {
  const unchanged = now.backup(uploaded.backupId) === undefined && timelineIn(now, uploaded) === timeline;
  return unchanged ? { decision: 'append' } : { decision: 'stands', sequence: now.head.sequence };
}

/** A backup that comes before the first archived binlog starts the timeline, which archiving then fills. */
async function startTimeline(
  ctx: BackupContext,
  { catalog }: Repository,
  state: CatalogState,
  uploaded: UploadedBackup,
): Promise<void> {
  const { serverUuid, backupId } = uploaded;
  const timeline = nextTimeline(state);
  await catalog.append(
    {
      kind: 'timeline-started',
      timeline,
      parent: timeline === 1 ? null : timeline - 1,
      serverUuid,
      reason: 'first',
      detail: `The base backup ${backupId} is the first that is stored of this server.`,
    },
    ctx.sign(epochIn(state, uploaded)),
    (now) =>
      nextTimeline(now) === timeline
        ? { decision: 'append' }
        : { decision: 'stands', sequence: now.head.sequence },
  );
}

function factsOf(uploaded: UploadedBackup, timeline: number): BackupFacts {
  return {
    backupId: uploaded.backupId,
    engine: 'clone',
    serverUuid: uploaded.serverUuid,
    serverVersion: uploaded.serverVersion,
    coordinates: uploaded.coordinates,
    startedAt: uploaded.startedAt,
    finishedAt: uploaded.clonedAt,
    lowerCaseTableNames: uploaded.lowerCaseTableNames,
    characterSetServer: uploaded.characterSetServer,
    collationServer: uploaded.collationServer,
    dataBytes: uploaded.dataBytes,
    tarBytes: uploaded.tarBytes,
    tarSha256: uploaded.tarSha256,
    preparedXa: uploaded.preparedXa,
    schemaSha256: uploaded.schemaSha256,
    timeline,
  };
}

function assertSame(location: string, standing: BackupFacts, uploaded: UploadedBackup): void {
  if (standing.tarSha256 === uploaded.tarSha256 && standing.serverUuid === uploaded.serverUuid) return;
  throw new AppError({
    code: 'BackupIdTaken',
    kind: 'conflict',
    message: `${location} already knows another backup under the id ${standing.backupId}, so this one was not registered.`,
    hint: 'Take the backup again: it gets a new id.',
    facts: { backupId: standing.backupId, standing: standing.tarSha256, ours: uploaded.tarSha256 },
  });
}

function timelineMoved(location: string, planned: number, found: number | null): AppError {
  return new AppError({
    code: 'TimelineMoved',
    kind: 'refused',
    message: `The source went from timeline ${planned} to ${found} in ${location} while its backup was taken, so it is not certain on which one the backup lies: it was not registered.`,
    hint: 'Take the backup again.',
    facts: { planned, found },
  });
}
