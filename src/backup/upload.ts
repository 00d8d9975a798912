import { type Repository, repositoryIn } from '../archiving/repositories.ts';
import { AppError } from '../domain/errors.ts';
import { backupKey } from '../domain/object-keys.ts';
import type { StoredObject } from '../domain/segment.ts';
import { freeSealed, type SealResult, seal } from '../envelope/seal.ts';
import { faultPoint } from '../process/fault.ts';
import type { CreateOutcome } from '../storage/object-store.ts';
import { adoptStored, digestOfTar } from './adopt.ts';
import type { BackupContext } from './context.ts';
import { fanOut } from './fan-out.ts';
import { type BackupFolder, backupFolder, readMark, requireMark, writeMark } from './folder.ts';
import { type LeftBehind, StoreTries, tooFewStores } from './left-behind.ts';
import { backupContext } from './seal-context.ts';
import type { CapturedBackup, StoredBase, UploadedBackup } from './state.ts';
import { dataLength, listTarEntries, type TarDigest, type TarEntry, tarLength } from './tar-entries.ts';
import { packFolder } from './tar-pack.ts';

/** What the upload to one store left: kept in the staging folder, so that only the other stores are tried again. */
type Receipt = StoredBase & TarDigest;

/**
 * Phase 4: tar → zstd → encryption → every store, as one stream and in one pass, with no second copy
 * on disk. A store that fails drops out, and the others go on; it is tried again alone, and left behind
 * once it has failed three times in a row.
 * A crash leaves nothing under the key of a store, or the whole object, which the next try proves and adopts.
 * @throws conflict `BackupConflict`, refused, corrupt (after the other stores are done); unavailable where
 *   no store is left
 */
export async function uploadBackup(ctx: BackupContext, captured: CapturedBackup): Promise<UploadedBackup> {
  const folder = backupFolder(ctx.stagingDir, captured.backupId);
  await requireMark(folder, 'captured');
  const job = { ctx, captured, folder, entries: await listTarEntries(folder.clone) };
  const pending: Repository[] = [];
  for (const { store } of captured.lines) {
    const receipt = await readMark<Receipt>(folder, `stored-${store}`);
    if (receipt === undefined) pending.push(repositoryIn(ctx.repositories, store));
  }
  const left = [...captured.left, ...(await storeAll(job, pending))];
  return collect(job, left);
}

interface Job {
  readonly ctx: BackupContext;
  readonly captured: CapturedBackup;
  readonly folder: BackupFolder;
  readonly entries: readonly TarEntry[];
}

/** What one try left undone. */
interface StoreError {
  readonly repository: Repository;
  readonly error: unknown;
}

/** Gives the backup to these stores; returns those that are left behind. */
async function storeAll(job: Job, pending: readonly Repository[]): Promise<LeftBehind[]> {
  const { signal } = job.ctx;
  const tries = new Map(pending.map(({ store }) => [store.id, new StoreTries(store.id)]));
  const left: LeftBehind[] = [];
  let trying = pending;
  while (trying.length > 0) {
    const failures = await storeOnce(job, trying);
    signal.throwIfAborted();
    const again: Repository[] = [];
    for (const { repository, error } of failures) {
      const given = tries.get(repository.store.id)?.failed(error) ?? null;
      if (given === null) again.push(repository);
      else left.push(given);
    }
    trying = again;
    const [first] = again;
    if (first !== undefined) await tries.get(first.store.id)?.pause(signal);
  }
  return left;
}

async function storeOnce(job: Job, pending: readonly Repository[]): Promise<readonly StoreError[]> {
  const { ctx } = job;
  const key = keyOf(job);
  const absent: Repository[] = [];
  const present: Repository[] = [];
  const failures: StoreError[] = [];
  for (const repository of pending) {
    try {
      const info = await repository.store.head(key, { signal: ctx.signal });
      (info === undefined ? absent : present).push(repository);
    } catch (error) {
      failures.push({ repository, error });
    }
  }
  const created = await sealInto(job, absent);
  const adoptable = [...present, ...created.foundThere];
  const adopted = adoptable.length > 0 ? await adoptAll(job, adoptable, created.tar) : [];
  return [...failures, ...created.failures, ...adopted];
}

/** Proves that what stands in these stores is this backup, and writes their receipts. Returns where it could not. */
async function adoptAll(
  job: Job,
  repositories: readonly Repository[],
  known: TarDigest | null,
): Promise<readonly StoreError[]> {
  const { ctx, captured, folder, entries } = job;
  const tar = known ?? (await digestOfTar(packFolder(folder.clone, entries, ctx.signal)));
  const failures: StoreError[] = [];
  for (const repository of repositories) {
    const { store } = repository;
    try {
      const object = await adoptStored({ ctx, store, key: keyOf(job), context: contextOf(captured), tar });
      await writeReceipt(folder, { store: store.id, object, ...tar });
    } catch (error) {
      failures.push({ repository, error });
    }
  }
  return failures;
}

interface Created {
  /** null where nothing had to be sealed to its end. */
  readonly tar: TarDigest | null;
  /** Stores that turned out to hold an object under the key. */
  readonly foundThere: readonly Repository[];
  readonly failures: readonly StoreError[];
}

/** One sealing, given to all stores that lack the object; writes the receipts of those that took it. */
async function sealInto(job: Job, absent: readonly Repository[]): Promise<Created> {
  if (absent.length === 0) return { tar: null, foundThere: [], failures: [] };
  const { ctx, captured, folder, entries } = job;
  const totalBytes = tarLength(entries);
  let doneBytes = 0;
  const sealed = seal(packFolder(folder.clone, entries, ctx.signal), {
    key: ctx.repositories.key,
    context: contextOf(captured),
    level: ctx.level,
    signal: ctx.signal,
    onPlaintext(chunk) {
      doneBytes += chunk.length;
      ctx.onProgress(doneBytes, totalBytes);
    },
  });
  const fan = fanOut(sealed.output, absent.length, freeSealed(ctx.repositories.key));
  const outcomes = await Promise.allSettled(
    absent.map(async ({ store }, index) => {
      const branch = fan.branches[index] ?? missingBranch();
      try {
        return await store.create(keyOf(job), ctx.gate.paced(branch.output, ctx.signal), {
          metadata: metadataOf(captured),
          signal: ctx.signal,
        });
      } finally {
        branch.leave();
      }
    }),
  );
  await fan.done;
  return settle(job, absent, outcomes, sealed.result);
}

async function settle(
  job: Job,
  absent: readonly Repository[],
  outcomes: readonly PromiseSettledResult<CreateOutcome>[],
  sealing: Promise<SealResult>,
): Promise<Created> {
  const having = (status: CreateOutcome['status']) =>
    absent.filter((_, index) => {
      const outcome = outcomes[index];
      return outcome?.status === 'fulfilled' && outcome.value.status === status;
    });
  const failures = absent.flatMap((repository, index): StoreError[] => {
    const outcome = outcomes[index];
    return outcome?.status === 'rejected' ? [{ repository, error: outcome.reason }] : [];
  });
  const created = having('created');
  if (created.length === 0) return { tar: null, foundThere: having('exists'), failures };
  const result = await sealing;
  faultPoint('backup.uploaded');
  const tar = { tarBytes: result.plaintextBytes, tarSha256: result.plaintextSha256 };
  for (const { store } of created) {
    await writeReceipt(job.folder, { store: store.id, object: objectOf(job, result), ...tar });
  }
  return { tar, foundThere: having('exists'), failures };
}

function objectOf(job: Job, result: SealResult): StoredObject {
  return {
    key: keyOf(job),
    lengthBytes: result.storedBytes,
    sha256: result.storedSha256,
    crc32: result.storedCrc32,
    compression: 'zstd',
    encryption: job.ctx.repositories.key.kind === 'none' ? 'none' : 'aws-encryption-sdk',
  };
}

function keyOf({ ctx, captured }: Job): string {
  return backupKey(captured.backupId, ctx.repositories.key.kind === 'none' ? 'none' : 'aws-encryption-sdk');
}

function contextOf(captured: CapturedBackup) {
  return backupContext(captured.backupId, captured.repositoryId);
}

function metadataOf(captured: CapturedBackup): Record<string, string> {
  return {
    server_uuid: captured.serverUuid,
    backup_id: captured.backupId,
    binlog: captured.coordinates.binlog,
    position: String(captured.coordinates.position),
    compression: 'zstd',
  };
}

async function writeReceipt(folder: BackupFolder, receipt: Receipt): Promise<void> {
  await writeMark(folder, `stored-${receipt.store}`, receipt);
}

async function collect(job: Job, left: readonly LeftBehind[]): Promise<UploadedBackup> {
  const receipts: Receipt[] = [];
  for (const { store } of job.ctx.repositories.all) {
    const receipt = await readMark<Receipt>(job.folder, `stored-${store.id}`);
    if (receipt !== undefined) receipts.push(receipt);
  }
  const [first] = receipts;
  if (first === undefined) throw tooFewStores(job.captured.backupId, left);
  if (receipts.some(({ tarSha256 }) => tarSha256 !== first.tarSha256)) {
    throw tarsDiffer(job.captured.backupId, receipts);
  }
  return {
    ...job.captured,
    dataBytes: dataLength(job.entries),
    tarBytes: first.tarBytes,
    tarSha256: first.tarSha256,
    objects: receipts.map(({ store, object }) => ({ store, object })),
    left,
  };
}

function tarsDiffer(backupId: string, receipts: readonly Receipt[]): AppError {
  return new AppError({
    code: 'BackupsDiffer',
    kind: 'corrupt',
    message: `The stores got different contents for the backup ${backupId}: the staged clone changed between two tries.`,
    hint: 'Leave the staging folder alone, and take the backup again.',
    facts: { backupId, tars: receipts.map(({ store, tarSha256 }) => `${store}: ${tarSha256}`) },
  });
}

function missingBranch(): never {
  throw new AppError({ code: 'MissingBranch', kind: 'bug', message: 'A store has no branch of the stream.' });
}
