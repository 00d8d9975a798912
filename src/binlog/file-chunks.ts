import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../domain/errors.ts';

export interface FileChunkOptions {
  /** Length of every chunk but the last. */
  readonly chunkBytes?: number;
  /** How many buffers take turns: a chunk is valid until `buffers - 1` more were asked for. At least 2. */
  readonly buffers?: number;
  readonly signal?: AbortSignal;
}

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
 * Reads a file in chunks of 1 MiB, one read ahead of the consumer. The buffers are used again, which
 * spares the process a fresh page for each 4 KiB of the file: of two buffers, a chunk is valid until
 * the next one is asked for. @throws refused, unavailable, the signal's reason
 */
export async function* readFileChunks(
  path: string,
  options: FileChunkOptions = {},
): AsyncGenerator<Uint8Array> {
  const { chunkBytes = CHUNK_BYTES, buffers: count = 2, signal } = options;
  const handle = await openFile(path);
  const buffers = Array.from({ length: count }, () => Buffer.allocUnsafeSlow(chunkBytes));
  const fill = (turn: number): Promise<Uint8Array> => readInto(handle, buffers[turn % count] as Buffer, path);
  let pending = fill(0);
  try {
    for (let turn = 1; ; turn += 1) {
      const chunk = await pending;
      if (chunk.length === 0) return;
      signal?.throwIfAborted();
      pending = fill(turn);
      // Awaited by the next turn; where the consumer leaves early nobody may be left to see it fail.
      pending.catch(() => undefined);
      yield chunk;
    }
  } finally {
    // A read that is still under way needs the handle.
    await pending.catch(() => undefined);
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

/** Fills the buffer, or what is left of the file: a short chunk is the last one. */
async function readInto(handle: FileHandle, buffer: Buffer, path: string): Promise<Uint8Array> {
  let length = 0;
  try {
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  return buffer.subarray(0, length);
}
