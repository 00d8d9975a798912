import { stat } from 'node:fs/promises';
import { readFileChunks } from '../binlog/file-chunks.ts';
import type { VerifyDepth } from '../config/types.ts';
import { AppError, assertNever } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import type { SegmentFacts, StoredObject } from '../domain/segment.ts';
import type { SealContext } from '../envelope/context.ts';
import { RunningSha256 } from '../envelope/digest.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { faultPoint } from '../process/fault.ts';
import { isCode, removeIfThere } from '../process/files.ts';
import type { RateGate } from '../storage/guard/rate-gate.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type ExpectedPlaintext, readSealed, verifyBytes } from '../storage/read-back.ts';
import { requireFacts, type SealedSegment } from './facts-file.ts';
import { segmentRefused } from './refusals.ts';
import { segmentContext } from './seal-context.ts';
import { type LogRef, stagedFiles } from './staging.ts';
import { verifyBeginning } from './verify-beginning.ts';

/** Longer GTID sets would not fit beside the rest into 2 KiB of object metadata; then their digest stands there. */
const MAX_METADATA_GTIDS = 1024;

export interface UploadOptions {
  readonly stagingDir: string;
  readonly log: LogRef;
  readonly store: ObjectStore;
  readonly repositoryId: RepositoryId;
  readonly key: EnvelopeKey;
  /** How much of the stored object is read back before it counts. */
  readonly verify: VerifyDepth;
  /** What is sent passes it. */
  readonly gate: RateGate;
  readonly signal: AbortSignal;
  /** Called with the bytes that the store has acknowledged. */
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Puts a sealed log into one store and reads it back: every byte compared by digest with the sealed file, which was
 * opened when it was made, or its beginning opened, as `verify` says. An object that stands there already is opened
 * whole, and taken where it holds the same binlog, though its ciphertext may be another (the sealed file was lost in a
 * crash and made anew).
 * A crash leaves nothing under the key, or the whole object, which the next try finds.
 *
 * @returns the object as it lies in this store
 * @throws unavailable `SealedOtherwise` where it was sealed under another configuration; conflict where another content stands under the key; unavailable; refused `StoreDenied`;
 *   corrupt where the store gives back other bytes
 */
export async function uploadSegment(options: UploadOptions): Promise<StoredObject> {
  const { store, signal } = options;
  const files = stagedFiles(options.stagingDir, options.log);
  const sealed = await requireFacts(files.facts, options);
  if (!(await isThere(files.sealed))) throw await spoolAltered(options, sealed, 'none: it is gone');
  const sent = spool(files.sealed, sealed, options);
  const outcome = await store.create(sealed.object.key, options.gate.paced(sent, signal), {
    lengthBytes: sealed.object.lengthBytes,
    metadata: metadataOf(sealed.segment),
    signal,
    onProgress: options.onProgress,
  });
  faultPoint('archive.uploaded');
  const object =
    outcome.status === 'created' ? await readBack(sealed, options) : await adopt(sealed, options);
  faultPoint('archive.read-back');
  return object;
}

/**
 * The sealed file, on its way to a store. Its last chunk leaves only after the digest of the whole
 * was compared: a file that the disk altered makes no object.
 */
async function* spool(
  path: string,
  sealed: SealedSegment,
  options: UploadOptions,
): AsyncGenerator<Uint8Array> {
  const digest = new RunningSha256();
  let held: Uint8Array | undefined;
  // One is held back here, one is with the store, and one is read.
  for await (const chunk of readFileChunks(path, { buffers: 3, signal: options.signal })) {
    if (held !== undefined) yield held;
    held = chunk;
    digest.update(held);
    faultPoint('archive.mid-upload');
  }
  const sent = digest.finish();
  if (sent !== sealed.object.sha256) throw await spoolAltered(options, sealed, sent);
  if (held !== undefined) yield held;
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Forgets the sealed file, so that the next try makes it anew from the log. */
async function spoolAltered(options: UploadOptions, sealed: SealedSegment, sent: string): Promise<AppError> {
  const { log } = options;
  const files = stagedFiles(options.stagingDir, log);
  await removeIfThere(files.facts);
  return new AppError({
    code: 'SpoolAltered',
    kind: 'unavailable',
    message: `The sealed file of ${log.binlog} is not what was written (SHA-256 ${sent}, not ${sealed.object.sha256}): it was not stored, and is made again.`,
    hint: 'Check the disk of the staging folder if this comes back.',
    facts: { binlog: log.binlog, path: files.sealed },
  });
}

async function readBack(sealed: SealedSegment, options: UploadOptions): Promise<StoredObject> {
  const { store, signal } = options;
  switch (options.verify) {
    case 'full':
      await verifyBytes(store, sealed.object, { signal });
      return sealed.object;
    case 'first-8k':
      await verifyBeginning(sealed, options);
      return sealed.object;
    default:
      return assertNever(options.verify);
  }
}

/** Takes the object that stands under the key, where it holds this very log. */
async function adopt(sealed: SealedSegment, options: UploadOptions): Promise<StoredObject> {
  const { store, key, log, signal } = options;
  const objectKey = sealed.object.key;
  try {
    const found = await readSealed(store, objectKey, key, contextOf(options), expected(sealed), { signal });
    return { ...sealed.object, ...found };
  } catch (error) {
    if (!(error instanceof AppError) || !isOtherObject(error)) throw error;
    throw segmentRefused(log, {
      code: 'ObjectConflict',
      kind: 'conflict',
      message: `${store.location} holds another object under ${objectKey}, so ${log.binlog} was not stored there: ${error.message}`,
      hint:
        error.code === 'WrongKey'
          ? 'It was stored under another key before the configuration changed. Remove it where no catalog entry names it, or put the old key back; then retry.'
          : 'Find out who wrote it. Nothing was overwritten; retry when the key is free or another prefix is set.',
      facts: { key: objectKey, store: store.id },
    });
  }
}

/** True where the object itself is another one; a store that only denies the look at it says nothing of that. */
function isOtherObject({ code, kind }: AppError): boolean {
  return kind === 'corrupt' || code === 'WrongKey';
}

function contextOf({ log, repositoryId }: UploadOptions): SealContext {
  return segmentContext(log, repositoryId);
}

function expected({ segment }: SealedSegment): ExpectedPlaintext {
  return { plaintextSha256: segment.sha256, lengthBytes: segment.lengthBytes };
}

function metadataOf(segment: SegmentFacts): Record<string, string> {
  const gtids = segment.gtids.replaceAll('\n', '');
  const digest = new RunningSha256();
  digest.update(Buffer.from(gtids));
  return {
    server_uuid: segment.serverUuid,
    binlog: segment.binlog,
    ...(gtids.length <= MAX_METADATA_GTIDS ? { gtid_set: gtids } : { gtid_set_sha256: digest.finish() }),
    ...(segment.firstCommit === null ? {} : { first_commit: segment.firstCommit }),
    ...(segment.lastCommit === null ? {} : { last_commit: segment.lastCommit }),
    compression: 'zstd',
    plaintext_sha256: segment.sha256,
  };
}
