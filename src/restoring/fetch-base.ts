import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backupContext } from '../backup/seal-context.ts';
import type { BackupFacts } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { parseRepositoryId } from '../domain/identity.ts';
import type { StoredObject } from '../domain/segment.ts';
import { open } from '../envelope/open.ts';
import { faultPoint } from '../process/fault.ts';
import { explainDiskFull, isCode, removeIfThere, writeWhole } from '../process/files.ts';
import { type ClaimedFolder, emptyDataFolder } from './data-folder.ts';
import type { FalloverReader } from './fallover.ts';
import { type Unpacked, unpackInto } from './fetch-base-unpack.ts';
import { isStoresDiffer } from './given.ts';
import type { SegmentHome } from './segment-stream.ts';

/** The base backup that is fetched, as its catalog entry has it. */
export interface BaseToFetch {
  readonly backup: Pick<BackupFacts, 'backupId' | 'tarBytes' | 'tarSha256'>;
  readonly object: StoredObject;
  /** Those that hold it, best first. */
  readonly stores: readonly string[];
}

export interface FetchOptions {
  readonly reader: FalloverReader;
  readonly base: BaseToFetch;
  readonly folder: ClaimedFolder;
  readonly signal: AbortSignal;
  /** Called with the bytes of the tar that were unpacked, of `base.backup.tarBytes`. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface FetchedBase {
  readonly backupId: string;
  readonly files: number;
  readonly bytes: number;
}

const MID_FETCH_BYTES = 8 * 1024 * 1024;

/**
 * Fetches a base backup into a claimed data folder, from the first store that gives it whole: store → decrypt → decompress → tar, unpacked
 * while it arrives, with no copy in between. Length and SHA-256 of the tar must be those of the
 * catalog. A finished fetch is kept; an unfinished one is removed and begun anew. On an error
 * nothing is left in the data folder.
 * @throws corrupt (truncated, altered, moved or foreign object), refused `WrongKey`, `ObjectMissing`; unavailable
 */
export async function fetchBase(options: FetchOptions): Promise<FetchedBase> {
  const { folder, base } = options;
  const done = await readMark(folder);
  if (done !== undefined && done.backupId === base.backup.backupId) return done;
  if (done !== undefined) throw otherBase(folder, done.backupId, base.backup.backupId);
  try {
    const unpacked = await unpackFromAny(options);
    const fetched = { backupId: base.backup.backupId, ...unpacked };
    faultPoint('restore.fetched');
    await writeWhole(markFile(folder), (file) => file.writeFile(`${JSON.stringify(fetched)}\n`));
    return fetched;
  } catch (error) {
    await emptyDataFolder(folder);
    throw explainDiskFull(error, folder.targetDir);
  }
}

/**
 * Where one store begins otherwise than another that failed, the catalog's digest tells which is right, at the
 * end: what was unpacked is removed, and the other one is read from its beginning.
 */
async function unpackFromAny(options: FetchOptions): Promise<Unpacked> {
  const { folder, base } = options;
  for (let left = base.stores.length; ; left -= 1) {
    await emptyDataFolder(folder);
    try {
      return await unpackInto(folder.targetDir, tarStream(options));
    } catch (error) {
      if (!isStoresDiffer(error) || left === 0) throw error;
    }
  }
}

/** True where the base was fetched whole. */
export async function isFetched(folder: ClaimedFolder): Promise<boolean> {
  return (await readMark(folder)) !== undefined;
}

/** Forgets that a fetch is complete: the next one empties the data folder and begins anew. */
export async function forgetFetched(folder: ClaimedFolder): Promise<void> {
  await removeIfThere(markFile(folder));
}

async function* tarStream(options: FetchOptions): AsyncGenerator<Uint8Array> {
  const { reader, base, signal, onProgress } = options;
  const { tarBytes } = base.backup;
  const what = `Base backup ${base.backup.backupId}`;
  const object = { key: base.object.key, what, stores: base.stores };
  const tar = reader.read(object, (home) => openTar(home, base, signal), signal);
  let bytes = 0;
  for await (const chunk of tar) {
    yield chunk;
    bytes += chunk.length;
    onProgress(bytes, tarBytes);
    if (bytes > MID_FETCH_BYTES) faultPoint('restore.mid-fetch');
  }
}

function openTar(home: SegmentHome, { backup, object }: BaseToFetch, signal: AbortSignal) {
  const { backupId, tarBytes, tarSha256 } = backup;
  const context = backupContext(backupId, parseRepositoryId(home.repositoryId));
  return open(home.store.read(object.key, { signal }), {
    key: home.key,
    context: { ...context, plaintextSha256: tarSha256 },
    plaintextBytes: tarBytes,
    signal,
  });
}

function markFile({ workDir }: ClaimedFolder): string {
  return join(workDir, 'fetched.json');
}

async function readMark(folder: ClaimedFolder): Promise<FetchedBase | undefined> {
  try {
    // Trusted without a schema: only `fetchBase` makes this file, whole, in a folder of our own.
    return JSON.parse(await readFile(markFile(folder), 'utf8')) as FetchedBase;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function otherBase(folder: ClaimedFolder, found: string, wanted: string): AppError {
  return new AppError({
    code: 'OtherBaseFetched',
    kind: 'refused',
    message: `${folder.targetDir} already holds the base backup ${found}, so ${wanted} is not fetched over it.`,
    hint: 'Give the restore up and start a new one.',
    facts: { targetDir: folder.targetDir, found, wanted },
  });
}
