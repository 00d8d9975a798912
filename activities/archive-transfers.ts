import type { PlannedLog } from '../src/archiving/discovery.ts';
import { requireFacts } from '../src/archiving/facts-file.ts';
import { heirsHaveIt, judgeFence } from '../src/archiving/fence.ts';
import { knownRepositoryId, repositoryIn } from '../src/archiving/repositories.ts';
import type { ArchiveResources, ArchiveSourceContext } from '../src/archiving/resources.ts';
import { sealSegment } from '../src/archiving/seal-segment.ts';
import { type LogRef, stagedFiles } from '../src/archiving/staging.ts';
import { uploadSegment } from '../src/archiving/upload.ts';
import { AppError } from '../src/domain/errors.ts';
import type { StoredObject } from '../src/domain/segment.ts';
import { archiveFillActivities, type StoreTry } from './archive-stores.ts';
import type { Beat } from './heartbeat.ts';
import { onSource, type SourceName } from './on-source.ts';

export interface SealInput extends SourceName {
  readonly planned: PlannedLog;
}

/** What sealing made, in a few numbers; the facts themselves stay beside the sealed file. */
export interface SealSummary {
  /** `before`: an earlier step sealed it, for another store or before a crash; nothing was read again. */
  readonly made: 'now' | 'before';
  readonly key: string;
  readonly transactions: number;
  readonly lengthBytes: number;
  readonly storedBytes: number;
}

export interface UploadInput extends SourceName, StoreTry {
  readonly log: LogRef;
  readonly store: string;
  /** `follows`: nobody waits for it, so that it takes nothing from those that are waited for. */
  readonly pace: 'counts' | 'follows';
}

/** A segment as it lies in one store. */
export interface StoredIn {
  readonly store: string;
  readonly object: StoredObject;
}

/** Activities of the queue for transfers of that host: they last, and have slots of their own. */
export function archiveTransferActivities(resources: ArchiveResources) {
  const on = onSource(resources);
  return {
    ...archiveFillActivities(resources),

    /** Scans and seals one staged log. */
    sealSegment: (input: SealInput) =>
      on(input, (context, beat) => sealPlanned(context, input.planned, beat)),

    /** Stores one sealed log in one store, and reads it back. */
    uploadSegment: (input: UploadInput) =>
      on(input, (context, beat) =>
        (input.pace === 'counts' ? context.budget : context.followersBudget(input.store)).run(
          input.log.lengthBytes,
          beat.signal,
          () => uploadTo(context, input, beat),
        ),
      ),
  };
}

export type ArchiveTransferActivities = ReturnType<typeof archiveTransferActivities>;

async function sealPlanned(
  { cluster, source, access, repositories }: ArchiveSourceContext,
  { log, successor }: PlannedLog,
  beat: Beat,
): Promise<SealSummary> {
  const sealed = sealSegment({
    stagingDir: source.stagingDir,
    log,
    nextPreviousGtids: await access.successorGtids(successor),
    repositoryId: await knownRepositoryId(repositories),
    key: repositories.key,
    level: cluster.archive.level,
    signal: beat.signal,
    onProgress: (doneBytes) => beat.report({ doneBytes, totalBytes: log.lengthBytes }),
  });
  const { segment, object, made } = await sealed.catch(async (error: unknown) => {
    if (error instanceof AppError && error.kind === 'corrupt') await access.dropDamaged(log);
    throw error;
  });
  const { transactions, lengthBytes } = segment;
  return { made, key: object.key, transactions, lengthBytes, storedBytes: object.lengthBytes };
}

async function uploadTo(
  { cluster, source, repositories, gate }: ArchiveSourceContext,
  { log, store }: UploadInput,
  beat: Beat,
): Promise<StoredIn> {
  const repositoryId = await knownRepositoryId(repositories);
  const { key } = repositories;
  const repository = repositoryIn(repositories, store);
  const { segment } = await requireFacts(stagedFiles(source.stagingDir, log).facts, { repositoryId, key });
  // What will not be committed is not stored either: no entry would name it.
  const fence = judgeFence(await repository.catalog.read(), segment);
  if (fence.kind === 'recognized') throw heirsHaveIt(segment);
  const object = await uploadSegment({
    stagingDir: source.stagingDir,
    log,
    store: repository.store,
    verify: cluster.stores.find(({ id }) => id === store)?.verify ?? 'full',
    gate,
    repositoryId,
    key,
    signal: beat.signal,
    onProgress: (doneBytes) => beat.report({ doneBytes, totalBytes: log.lengthBytes }),
  });
  return { store, object };
}
