import { AppError } from '../domain/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** An entry holds a few GTID sets; more than this is no entry but an attempt to fill the memory. */
export const MAX_ENTRY_BYTES = 32 * 1024 * 1024;

/**
 * Reads a small object whole; undefined where there is none. Memory is bounded by `maxBytes`.
 * @throws corrupt `CatalogObjectTooLarge`, and what the store throws
 */
export async function fetchSmall(
  store: ObjectStore,
  key: string,
  maxBytes: number,
  signal: AbortSignal | null,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  try {
    for await (const chunk of store.read(key, signal === null ? {} : { signal })) {
      lengthBytes += chunk.length;
      if (lengthBytes > maxBytes) throw tooLarge(store, key, maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof AppError && error.code === 'ObjectMissing') return undefined;
    throw error;
  }
  return Buffer.concat(chunks, lengthBytes);
}

function tooLarge(store: ObjectStore, key: string, maxBytes: number): AppError {
  return new AppError({
    code: 'CatalogObjectTooLarge',
    kind: 'corrupt',
    message: `${key} in ${store.location} is larger than ${maxBytes} bytes, so it is no part of a catalog that pitrail wrote.`,
    hint: 'Look at who wrote this object; put the original back from an older version.',
    facts: { key, location: store.location, maxBytes },
  });
}

/** One small object as a stream, which is what a store takes. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
