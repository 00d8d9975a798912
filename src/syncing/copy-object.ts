import { AppError } from '../domain/errors.ts';
import type { StoredObject } from '../domain/segment.ts';
import { RunningSha256 } from '../envelope/digest.ts';
import { faultPoint } from '../process/fault.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type FoundObject, readStored } from '../storage/read-back.ts';
import { storedDiffers } from '../storage/refusals.ts';

export interface CopyOptions {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** As the catalog of `from` describes it. */
  readonly object: StoredObject;
  /**
   * Asked where other bytes stand under the key: proves that they seal the same plaintext, or throws.
   * @returns what lies there
   */
  readonly adopt: (object: StoredObject) => Promise<FoundObject>;
  readonly signal: AbortSignal;
  /** Called with the bytes that `to` has acknowledged. */
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Copies an object from one store to another, byte for byte, and reads the copy back whole. It is never
 * opened, so no key is needed. Run again, it finds its own copy. A crash leaves nothing under the key, or
 * the whole object.
 * @returns the object as it lies in `to`
 * @throws corrupt where `from` gives other bytes than its catalog says, or `to` other than it was given;
 *   refused `ObjectMissing`, `StoreDenied`; conflict; unavailable
 */
export async function copyObject(options: CopyOptions): Promise<StoredObject> {
  const { from, to, object, signal, onProgress } = options;
  const metadata = (await from.head(object.key, { signal }))?.metadata ?? {};
  const outcome = await to.create(object.key, provenBytes(options), {
    lengthBytes: object.lengthBytes,
    metadata,
    signal,
    onProgress,
  });
  faultPoint('sync.copied');
  const found = await readStored(to, object.key, { signal });
  if (isSame(found, object)) return object;
  if (outcome.status === 'exists') return { ...object, ...(await options.adopt(object)) };
  throw storedDiffers(to.location, object.key, differenceOf(found, object));
}

/** The bytes of the object; the last chunk leaves only after all of them were proven. */
async function* provenBytes({ from, object, signal }: CopyOptions): AsyncGenerator<Uint8Array> {
  const digest = new RunningSha256();
  let held: Uint8Array | undefined;
  for await (const chunk of from.read(object.key, { signal })) {
    if (held !== undefined) yield held;
    held = chunk;
    digest.update(chunk);
    if (digest.lengthBytes > object.lengthBytes) break;
    faultPoint('sync.mid-copy');
  }
  const { lengthBytes } = digest;
  const sha256 = digest.finish();
  if (sha256 !== object.sha256) {
    throw storedDiffers(from.location, object.key, differenceOf({ lengthBytes, sha256 }, object));
  }
  if (held !== undefined) yield held;
}

function isSame(found: FoundObject, object: StoredObject): boolean {
  return found.sha256 === object.sha256 && found.lengthBytes === object.lengthBytes;
}

function differenceOf(found: Pick<FoundObject, 'lengthBytes' | 'sha256'>, object: StoredObject): string {
  return `it has ${found.lengthBytes} bytes with SHA-256 ${found.sha256} where the catalog says ${object.lengthBytes} bytes with ${object.sha256}`;
}

/** Other content stands in the way of a copy. */
export function copyConflict(to: ObjectStore, object: StoredObject, cause: AppError): AppError {
  return new AppError({
    code: 'ObjectConflict',
    kind: 'conflict',
    message: `${to.location} holds another object under ${object.key}, so it was not copied there: ${cause.message}`,
    hint: 'Find out who wrote it. Nothing was overwritten.',
    facts: { store: to.id, key: object.key },
    cause,
  });
}
