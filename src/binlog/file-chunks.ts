import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';

const CHUNK_BYTES = 1024 * 1024;

function unreadable(path: string, cause: unknown): AppError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  const missing = code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
  return new AppError({
    code: missing ? 'BinlogMissing' : 'BinlogUnreadable',
    kind: missing || code === 'EACCES' ? 'refused' : 'unavailable',
    message: `${path} cannot be read (${code}), so nothing is known of it.`,
    hint: missing ? 'Give the path of a binlog file.' : 'Check permissions and the disk.',
    facts: { path, errno: code },
    cause,
  });
}

/**
 * Reads a file in chunks of 1 MiB, one read ahead of the consumer. Two buffers alternate: a
 * chunk is valid until the next one is asked for. @throws refused, unavailable
 */
export async function* readFileChunks(path: string): AsyncGenerator<Uint8Array> {
  const handle = await openFile(path);
  try {
    const buffers = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)] as const;
    let pending = readInto(handle, buffers[0], path);
    for (let turn = 0; ; turn ^= 1) {
      const length = await pending;
      if (length === 0) return;
      pending = readInto(handle, buffers[turn ^ 1] as Buffer, path);
      // Awaited by the next turn; where the consumer leaves early nobody may be left to see it fail.
      pending.catch(() => undefined);
      yield (buffers[turn] as Buffer).subarray(0, length);
    }
  } finally {
    await handle.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readInto(handle: FileHandle, buffer: Buffer, path: string): Promise<number> {
  try {
    return (await handle.read(buffer, 0, buffer.length, null)).bytesRead;
  } catch (error) {
    throw unreadable(path, error);
  }
}
