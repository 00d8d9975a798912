import type { FileHandle } from 'node:fs/promises';
import { decodeHeader, HEADER_BYTES, MAGIC } from './event-header.ts';

const WINDOW_BYTES = 64 * 1024;

/**
 * Where the last whole event of a log ends whose end may be torn, by its headers alone: each says how long it is and
 * where it ends. What an event holds is not looked at. 0 where not one event is whole.
 *
 * @throws the system's errors
 */
export async function lastEventBorder(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  const window = Buffer.alloc(WINDOW_BYTES);
  let windowStart = 0;
  let windowEnd = 0;
  let border = MAGIC.length;
  while (border + HEADER_BYTES <= size) {
    if (border < windowStart || border + HEADER_BYTES > windowEnd) {
      const { bytesRead } = await file.read(window, 0, WINDOW_BYTES, border);
      windowStart = border;
      windowEnd = border + bytesRead;
      if (bytesRead < HEADER_BYTES) break;
    }
    const { sizeBytes, logPos } = decodeHeader(window, border - windowStart);
    const end = border + sizeBytes;
    if (sizeBytes < HEADER_BYTES || end > size || logPos !== end % 2 ** 32) break;
    border = end;
  }
  return border === MAGIC.length ? 0 : border;
}
