import { AppError } from '../domain/errors.ts';
import { catalogKey, catalogPackKey } from '../domain/object-keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { PACK_ENTRIES, packOf } from './packs.ts';

/** How far behind a missing sequence a reader asks for single entries. */
const LOOK_AHEAD = 8;
const ENTRY_KEY = /^catalog\/([0-9]{20})\.json$/;
const PACK_KEY = /^catalog\/packs\/([0-9]{20})\.ndjson\.zst$/;

/** How much is asked of the store: a listing costs more, and a polling reader does without. */
export type HoleSearch = 'look-ahead' | 'look-ahead-and-listing';

/**
 * A sequence after `missing` that stands, or undefined. Then `missing` is a hole, unless it was
 * written in the meantime: the caller reads it once more before it says so.
 */
export async function findBeyond(
  store: ObjectStore,
  missing: number,
  search: HoleSearch,
): Promise<number | undefined> {
  const ahead = Array.from({ length: LOOK_AHEAD }, (_, index) => missing + 1 + index);
  const heads = await Promise.all(ahead.map((sequence) => store.head(catalogKey(sequence))));
  const seen = ahead.find((_, index) => heads[index] !== undefined);
  if (seen !== undefined || search === 'look-ahead') return seen;
  return (await listedBeyond(store, missing)) ?? undefined;
}

/** Looks at listings of the packs and of the thousand sequences around the end; a hint, confirmed by `head`. */
async function listedBeyond(store: ObjectStore, missing: number): Promise<number | undefined> {
  const nearby = catalogKey(missing).slice(0, -'000.json'.length);
  for (const [prefix, sequenceOf] of [
    ['catalog/packs/', (key: string) => Number(PACK_KEY.exec(key)?.[1] ?? 0) * PACK_ENTRIES],
    [nearby, (key: string) => Number(ENTRY_KEY.exec(key)?.[1] ?? 0)],
  ] as const) {
    for await (const { key } of listHints(store, prefix)) {
      const sequence = sequenceOf(key);
      if (sequence > missing && (await stands(store, sequence, prefix))) return sequence;
    }
  }
  return undefined;
}

async function stands(store: ObjectStore, sequence: number, prefix: string): Promise<boolean> {
  const key = prefix === 'catalog/packs/' ? catalogPackKey(packOf(sequence)) : catalogKey(sequence);
  return (await store.head(key)) !== undefined;
}

/** Listing; a writer without the permission to list goes without the hint. */
async function* listHints(store: ObjectStore, prefix: string): AsyncGenerator<{ readonly key: string }> {
  try {
    yield* store.list(prefix);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'StoreDenied')) throw error;
  }
}
