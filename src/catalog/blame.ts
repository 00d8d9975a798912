import { catalogKey } from '../domain/object-keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { BreakFound, type CatalogBreak } from './broken.ts';
import { decodeEntry } from './decode.ts';
import { digestOf } from './entry-codec.ts';
import { fetchSmall, MAX_ENTRY_BYTES } from './fetch.ts';

/**
 * Names the changed one of two entries whose link is broken: the later where its own successor does
 * not confirm it either, else the earlier. Without a successor the earlier is named, because an
 * entry that says what came before it is the one witness there is.
 */
export async function blameLink(store: ObjectStore, found: CatalogBreak): Promise<CatalogBreak> {
  const { sequence } = found;
  const later = await fetchSmall(store, catalogKey(sequence), MAX_ENTRY_BYTES, null);
  const successor = await fetchSmall(store, catalogKey(sequence + 1), MAX_ENTRY_BYTES, null);
  if (later !== undefined && successor !== undefined && !confirms(successor, sequence + 1, later)) {
    return {
      ...found,
      detail: `entry ${sequence} is changed: neither its predecessor nor its successor fits it`,
    };
  }
  return {
    ...found,
    sequence: sequence - 1,
    detail: `entry ${sequence - 1} is changed: entry ${sequence} was written after another one in its place`,
  };
}

function confirms(successor: Uint8Array, sequence: number, bytes: Uint8Array): boolean {
  try {
    return decodeEntry(successor, sequence).previous === digestOf(bytes);
  } catch (error) {
    if (error instanceof BreakFound) return true;
    throw error;
  }
}
