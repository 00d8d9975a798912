import { newestLine, nextTimeline } from '../archiving/line.ts';
import { type Repository, repositoryIn } from '../archiving/repositories.ts';
import type { Judgement } from '../catalog/catalog.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { BackupFacts } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { faultPoint } from '../process/fault.ts';
import { verifyStored } from '../storage/read-back.ts';
import type { BackupContext } from './context.ts';
import { backupFolder, removeBackupFolder } from './folder.ts';
import { assertSameHistory } from './same-history.ts';
import { backupContext } from './seal-context.ts';
import type { RegisteredBackup, StoredBase, UploadedBackup } from './state.ts';

/**
 * Phase 5: reads the backup back from every store, whole: decrypted, decompressed, compared. Then
 * names it in every catalog, which is when it counts, and removes the staged clone. May be run again
 * after any crash: an entry that stands is found.
 * @throws corrupt (a store gives back other bytes), conflict (`BackupIdTaken`, stale epoch),
 *   refused `TimelineMoved`, `HistoryReplaced`; unavailable
 */
export async function validateAndRegister(
  ctx: BackupContext,
  uploaded: UploadedBackup,
): Promise<RegisteredBackup> {
  await readAllBack(ctx, uploaded);
  const registered: RegisteredBackup['registered'][number][] = [];
  for (const { store, object } of uploaded.objects) {
    const repository = repositoryIn(ctx.repositories, store);
    const entry = await register(ctx, repository, uploaded, object);
    registered.push({ store, object, ...entry });
  }
  faultPoint('backup.registered');
  await removeBackupFolder(backupFolder(ctx.stagingDir, uploaded.backupId));
  return { backupId: uploaded.backupId, registered, notes: uploaded.notes };
}

async function readAllBack(ctx: BackupContext, uploaded: UploadedBackup): Promise<void> {
  const totalBytes = uploaded.objects.reduce((sum, { object }) => sum + object.lengthBytes, 0);
  let before = 0;
  for (const { store, object } of uploaded.objects) {
    const done = before;
    await verifyStored(
      repositoryIn(ctx.repositories, store).store,
      object,
      ctx.repositories.key,
      backupContext(uploaded.backupId, uploaded.repositoryId),
      { plaintextSha256: uploaded.tarSha256, lengthBytes: uploaded.tarBytes },
      { signal: ctx.signal, onProgress: (readBytes) => ctx.onProgress(done + readBytes, totalBytes) },
    );
    before += object.lengthBytes;
  }
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
    const timeline = newestLine(state, uploaded.serverUuid)?.timeline ?? null;
    if (planned !== null && timeline !== planned) throw timelineMoved(store.location, planned, timeline);
    if (timeline === null) {
      await startTimeline(ctx, { store, catalog }, state, uploaded);
      continue;
    }
    if (line !== undefined) assertSameHistory(state, line, uploaded.coordinates.gtidExecuted);
    const backup = factsOf(uploaded, timeline);
    await catalog.append({ kind: 'backup-registered', backup, object }, ctx.sign(uploaded.epoch), (now) =>
      judge(now, uploaded, timeline),
    );
  }
}

/** Where another writer changed what was decided on, nothing is written and the loop decides anew. */
function judge(now: CatalogState, uploaded: UploadedBackup, timeline: number): Judgement {
  const unchanged =
    now.backup(uploaded.backupId) === undefined &&
    newestLine(now, uploaded.serverUuid)?.timeline === timeline;
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
    ctx.sign(uploaded.epoch),
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
