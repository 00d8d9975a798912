import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { AppError } from '../domain/errors.ts';
import { catalogKey, catalogPackKey } from '../domain/object-keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { fetchSmall, MAX_ENTRY_BYTES, once } from './fetch.ts';
import { readAhead } from './read-ahead.ts';

/** How many consecutive entries lie in one pack: pack n holds 1000·(n-1)+1 to 1000·n. */
export const PACK_ENTRIES = 1000;
/** Bound of a pack, before compression. Where 1000 entries are larger, no pack is written. */
export const MAX_PACK_BYTES = 64 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const LINE_FEED = 0x0a;

/** The pack that a sequence lies in, from 1. */
export function packOf(sequence: number): number {
  return Math.ceil(sequence / PACK_ENTRIES);
}

/** First sequence of a pack. */
export function firstOf(pack: number): number {
  return PACK_ENTRIES * (pack - 1) + 1;
}

/** A pack as read: `damaged` ones are left aside, for the single entries are the truth. */
export type PackRead =
  | { readonly status: 'absent' }
  | { readonly status: 'damaged' }
  | { readonly status: 'read'; readonly entries: readonly Uint8Array[] };

/** Reads a pack and cuts it into the stored bytes of its entries; nothing in it is verified yet. */
export async function readPack(
  store: ObjectStore,
  pack: number,
  signal: AbortSignal | null,
): Promise<PackRead> {
  const packed = await fetchSmall(store, catalogPackKey(pack), MAX_PACK_BYTES, signal);
  if (packed === undefined) return { status: 'absent' };
  const plain = await unpack(packed);
  const entries = plain === null ? [] : cutLines(plain);
  return entries.length === PACK_ENTRIES ? { status: 'read', entries } : { status: 'damaged' };
}

async function unpack(packed: Uint8Array): Promise<Uint8Array | null> {
  try {
    return await decompress(packed, { maxOutputLength: MAX_PACK_BYTES });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (/^(ZSTD_|Z_|ERR_BUFFER_TOO_LARGE$)/.test(code)) return null;
    throw error;
  }
}

/** Each line with its line feed; bytes after the last line feed are a line too. */
function cutLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(LINE_FEED, start);
    const next = end === -1 ? bytes.length : end + 1;
    lines.push(bytes.subarray(start, next));
    start = next;
  }
  return lines;
}

/**
 * Writes a pack of entries that all stand, if none is there. A crash before it leaves no pack:
 * readers then read the single entries, and the writer of the next pack writes this one too.
 * The bytes come from the store itself; whoever reads the pack verifies the chain through it.
 */
export async function writePack(store: ObjectStore, pack: number): Promise<void> {
  if ((await store.head(catalogPackKey(pack))) !== undefined) return;
  const entries: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const bytes of readSingles(store, firstOf(pack))) {
    if (bytes === undefined) throw incomplete(store, pack, firstOf(pack) + entries.length);
    entries.push(bytes);
    lengthBytes += bytes.length;
    if (lengthBytes > MAX_PACK_BYTES) return;
    if (entries.length === PACK_ENTRIES) break;
  }
  const packed = await compress(Buffer.concat(entries, lengthBytes), {
    params: { [constants.ZSTD_c_compressionLevel]: 3 },
  });
  await store.create(catalogPackKey(pack), once(packed), { lengthBytes: packed.length });
}

/** The stored bytes of single entries from a sequence on, in order, undefined for each that is missing. */
export function readSingles(store: ObjectStore, from: number): AsyncGenerator<Uint8Array | undefined> {
  return readAhead(
    (index, signal) => fetchSmall(store, catalogKey(from + index), MAX_ENTRY_BYTES, signal),
    32,
  );
}

function incomplete(store: ObjectStore, pack: number, sequence: number): AppError {
  return new AppError({
    code: 'CatalogEntryVanished',
    kind: 'unavailable',
    message: `Catalog entry ${sequence} in ${store.location} was read before and is missing now, so pack ${pack} was not written.`,
    hint: 'The store gives stale answers, or someone removed the entry: run "pitrail check".',
    facts: { pack, sequence, location: store.location },
  });
}
