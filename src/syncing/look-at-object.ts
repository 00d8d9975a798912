import type { ObjectStore } from '../storage/object-store.ts';
import type { SealedBody } from './sealed-body.ts';

/** Something wrong with an object that a catalog names. */
export interface ObjectFinding {
  readonly key: string;
  readonly code:
    | 'missing'
    | 'other-length'
    | 'other-checksum'
    | 'other-content'
    | 'not-sound'
    | 'other-facts';
  /** What was found, a clause. */
  readonly detail: string;
}

/** What a look at an object proved. */
export type ObjectProof =
  /** It is there with its length; `checksum` where the store itself vouches for its bytes. */
  | { readonly kind: 'present'; readonly by: 'checksum' | 'length' }
  /** All of it was read, decrypted and compared; a binlog was scanned. */
  | { readonly kind: 'proven' }
  | { readonly kind: 'damaged'; readonly findings: readonly ObjectFinding[] };

/**
 * Looks at an object without reading it: that it is there, its length, and the checksum that the store
 * itself keeps.
 * @throws refused `StoreDenied`; unavailable
 */
export async function lookAtObject(
  store: ObjectStore,
  { object }: SealedBody,
  signal: AbortSignal,
): Promise<ObjectProof> {
  const { key, lengthBytes, crc32 } = object;
  const damaged = (code: ObjectFinding['code'], detail: string): ObjectProof => ({
    kind: 'damaged',
    findings: [{ key, code, detail }],
  });
  const info = await store.head(key, { signal });
  if (info === undefined) return damaged('missing', 'the catalog names it, and the store has it not');
  if (info.lengthBytes !== lengthBytes) {
    return damaged('other-length', `it has ${info.lengthBytes} bytes where the catalog says ${lengthBytes}`);
  }
  const { checksum } = info;
  // GCS keeps a CRC-32C, with which the catalog's CRC-32 cannot be compared: reading proves that one.
  if (checksum === null || checksum.kind !== 'crc32') return { kind: 'present', by: 'length' };
  if (checksum.hex === crc32) return { kind: 'present', by: vouches(store) ? 'checksum' : 'length' };
  return damaged(
    'other-checksum',
    `the store keeps CRC-32 ${checksum.hex} for it where the catalog says ${crc32}`,
  );
}

/** Beside a file lies the checksum of what was written once: no word on the bytes that lie there now. */
function vouches({ kind }: ObjectStore): boolean {
  return kind !== 'directory';
}
