import type { CatalogEntry } from '../domain/catalog-entry.ts';
import { AppError } from '../domain/errors.ts';
import { BreakFound, catalogBroken } from './broken.ts';
import { canonicalJson } from './canonical-json.ts';
import { decodeEntry } from './decode.ts';
import type { EncodedEntry } from './entry-codec.ts';

/** True where two entries are one append: all is equal but the time, and so the signature. */
export function isSameAppend(a: CatalogEntry, b: CatalogEntry): boolean {
  return canonicalJson(essence(a)) === canonicalJson(essence(b));
}

function essence(entry: CatalogEntry): Omit<CatalogEntry, 'writtenAt' | 'signature'> {
  const { writtenAt: _writtenAt, signature: _signature, ...rest } = entry;
  return rest;
}

/** Decodes an entry that stands in a store. @throws corrupt `CatalogBroken`, refused for a newer format */
export function decodeStanding(location: string, bytes: Uint8Array, sequence: number): CatalogEntry {
  try {
    return decodeEntry(bytes, sequence);
  } catch (error) {
    if (error instanceof BreakFound) throw catalogBroken(location, error.found);
    throw error;
  }
}

/** Proves, before it is written, that every reader will take this entry. @throws bug */
export function assertReadable(encoded: EncodedEntry): void {
  try {
    decodeEntry(encoded.bytes, encoded.entry.sequence);
  } catch (error) {
    if (!(error instanceof BreakFound)) throw error;
    throw new AppError({
      code: 'CatalogEntryMalformed',
      kind: 'bug',
      message: `A ${encoded.entry.body.kind} entry was about to be written that no reader would take, so it was not: ${error.found.detail}`,
      facts: { kind: encoded.entry.body.kind, detail: error.found.detail },
    });
  }
}
