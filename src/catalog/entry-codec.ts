import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import type { CatalogEntry } from '../domain/catalog-entry.ts';
import type { Sha256 } from '../domain/identity.ts';
import { canonicalJson } from './canonical-json.ts';

/** A decoded entry with the digest of its stored bytes, which is what the next entry links to. */
export interface DigestedEntry {
  readonly entry: CatalogEntry;
  readonly sha256: Sha256;
}

/** An entry ready to be stored. */
export interface EncodedEntry extends DigestedEntry {
  /** Canonical JSON and a line feed, UTF-8. */
  readonly bytes: Uint8Array;
}

/** SHA-256 of stored bytes, which the next entry names as its `previous`. */
export function digestOf(bytes: Uint8Array): Sha256 {
  return createHash('sha256').update(bytes).digest('hex') as Sha256;
}

/** Signs (where a key is given) and encodes an entry: canonical JSON and one line feed. */
export function encodeEntry(unsigned: Omit<CatalogEntry, 'signature'>, key: KeyObject | null): EncodedEntry {
  const signature = key === null ? null : sign(null, signedBytes(unsigned), key).toString('base64');
  const entry: CatalogEntry = { ...unsigned, signature };
  const bytes = Buffer.from(`${canonicalJson(entry)}\n`, 'utf8');
  return { entry, bytes, sha256: digestOf(bytes) };
}

/** True where the entry carries a good Ed25519 signature of this key. */
export function isSignedBy(entry: CatalogEntry, key: KeyObject): boolean {
  const { signature, ...unsigned } = entry;
  if (signature === null) return false;
  return verify(null, signedBytes(unsigned), key, Buffer.from(signature, 'base64'));
}

function signedBytes(unsigned: Omit<CatalogEntry, 'signature'>): Buffer {
  return Buffer.from(canonicalJson(unsigned), 'utf8');
}
