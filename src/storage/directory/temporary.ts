import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../../domain/identity.ts';
import { RunningCrc32, RunningSha256 } from '../../envelope/digest.ts';
import { atStore } from './errors.ts';
import { type Layout, makeFolders } from './layout.ts';

/** A file that no write has touched for so long belongs to nobody any more. */
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;

export interface WrittenFile {
  readonly path: string;
  readonly lengthBytes: number;
  readonly sha256: Sha256;
  readonly crc32: string;
}

/** Writes a stream to a new temporary file, on disk when this returns. A failure removes the file. */
export async function writeTemporary(
  layout: Layout,
  body: AsyncIterable<Uint8Array>,
  onWritten: (lengthBytes: number) => void,
): Promise<WrittenFile> {
  const path = join(layout.temporary, `${process.pid}-${randomBytes(12).toString('hex')}`);
  const file = await atStore(layout.root, 'write', async () => {
    await makeFolders(layout, layout.temporary);
    return open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o640);
  });
  try {
    return { path, ...(await writeAll(layout, file, body, onWritten)) };
  } catch (error) {
    await atStore(layout.root, 'write', () => unlink(path));
    throw error;
  } finally {
    await file.close();
  }
}

async function writeAll(
  layout: Layout,
  file: FileHandle,
  body: AsyncIterable<Uint8Array>,
  onWritten: (lengthBytes: number) => void,
): Promise<Omit<WrittenFile, 'path'>> {
  const sha256 = new RunningSha256();
  const crc32 = new RunningCrc32();
  for await (const chunk of body) {
    sha256.update(chunk);
    crc32.update(chunk);
    // `writeFile` goes on after a short write, which is how a file system fills up.
    await atStore(layout.root, 'write', () => file.writeFile(chunk));
    onWritten(sha256.lengthBytes);
  }
  await atStore(layout.root, 'write', () => file.sync());
  return { lengthBytes: sha256.lengthBytes, sha256: sha256.finish(), crc32: crc32.finish() };
}

/** Removes what writers left behind that were killed; files in use are younger. */
export async function removeAbandoned(layout: Layout, now: number): Promise<void> {
  for (const name of await namesIn(layout.temporary)) {
    const path = join(layout.temporary, name);
    try {
      if (now - (await lstat(path)).mtimeMs > ABANDONED_AFTER_MS) await unlink(path);
    } catch (error) {
      // Its writer, or another cleaner, was faster.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
