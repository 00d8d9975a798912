import type { Sha256 } from '../domain/identity.ts';
import type { StoredObject } from '../domain/segment.ts';
import type { SealContext } from '../envelope/context.ts';
import { RunningCrc32, RunningSha256 } from '../envelope/digest.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { open } from '../envelope/open.ts';
import { freeIfWhole, freeNow } from '../process/lent-memory.ts';
import type { ObjectStore, ReadOptions } from './object-store.ts';
import { storedDiffers } from './refusals.ts';

/** What the plaintext of a sealed object must be. */
export interface ExpectedPlaintext {
  readonly plaintextSha256: Sha256;
  readonly lengthBytes: number;
}

export interface ReadBackOptions {
  readonly signal?: AbortSignal;
  /** Called with the stored bytes read so far. */
  readonly onProgress?: (readBytes: number) => void;
  /** Called with the plaintext as it comes out; authenticated, but not known to be whole before the end. Its memory is freed afterwards. */
  readonly onPlaintext?: (chunk: Uint8Array) => void;
}

/** The stored bytes of an object, as they were read. */
export interface FoundObject {
  readonly lengthBytes: number;
  readonly sha256: Sha256;
  readonly crc32: string;
}

/**
 * Proves that a sealed object can be restored: reads all of it, decrypts, decompresses, and compares
 * length and digest of what is stored and of the plaintext.
 *
 * @throws corrupt `StoredDiffers` and what `open` finds; refused `ObjectMissing`, `WrongKey`, `StoreDenied`; unavailable
 */
export async function verifyStored(
  store: ObjectStore,
  object: StoredObject,
  key: EnvelopeKey,
  context: SealContext,
  expect: ExpectedPlaintext,
  options: ReadBackOptions = {},
): Promise<void> {
  assertSame(store, object, await readSealed(store, object.key, key, context, expect, options));
}

/**
 * Proves that a store gives back, byte for byte, an object that was opened elsewhere: reads all of it, and compares its
 * length and digest.
 *
 * @throws corrupt `StoredDiffers`; refused `ObjectMissing`, `StoreDenied`; unavailable
 */
export async function verifyBytes(
  store: ObjectStore,
  object: StoredObject,
  options: ReadBackOptions = {},
): Promise<void> {
  assertSame(store, object, await readStored(store, object.key, options));
}

function assertSame(store: ObjectStore, object: StoredObject, found: FoundObject): void {
  if (found.lengthBytes === object.lengthBytes && found.sha256 === object.sha256) return;
  throw storedDiffers(
    store.location,
    object.key,
    `it has ${found.lengthBytes} bytes with SHA-256 ${found.sha256} where ${object.lengthBytes} bytes with ${object.sha256} were stored`,
  );
}

/**
 * Reads a sealed object to its end and proves its plaintext; returns what its stored bytes are.
 * @throws as `verifyStored`
 */
export async function readSealed(
  store: ObjectStore,
  objectKey: string,
  key: EnvelopeKey,
  context: SealContext,
  expect: ExpectedPlaintext,
  options: ReadBackOptions = {},
): Promise<FoundObject> {
  const input = store.read(objectKey, readOptions(options));
  return openWhole(input, key, context, expect, options);
}

/**
 * Opens sealed bytes to their end, wherever they come from, and proves their plaintext; returns what they are.
 * @throws corrupt and refused what `open` finds; what the input throws
 */
export async function openWhole(
  input: AsyncIterable<Uint8Array>,
  key: EnvelopeKey,
  context: SealContext,
  expect: ExpectedPlaintext,
  options: ReadBackOptions = {},
): Promise<FoundObject> {
  const stored = new StoredDigest();
  const plaintext = open(stored.watch(input, options), {
    key,
    context: { ...context, plaintextSha256: expect.plaintextSha256 },
    plaintextBytes: expect.lengthBytes,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  for await (const chunk of plaintext) {
    options.onPlaintext?.(chunk);
    freeNow(chunk);
  }
  return stored.finish();
}

/** Reads an object to its end; returns what its bytes are. @throws as `ObjectStore.read` */
export async function readStored(
  store: ObjectStore,
  objectKey: string,
  options: ReadBackOptions = {},
): Promise<FoundObject> {
  const stored = new StoredDigest();
  for await (const chunk of stored.watch(store.read(objectKey, readOptions(options)), options))
    freeIfWhole(chunk);
  return stored.finish();
}

function readOptions({ signal }: ReadBackOptions): ReadOptions {
  return signal === undefined ? {} : { signal };
}

class StoredDigest {
  readonly #sha256 = new RunningSha256();
  readonly #crc32 = new RunningCrc32();

  async *watch(
    input: AsyncIterable<Uint8Array>,
    { onProgress }: ReadBackOptions,
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      this.#sha256.update(chunk);
      this.#crc32.update(chunk);
      onProgress?.(this.#sha256.lengthBytes);
      yield chunk;
    }
  }

  finish(): FoundObject {
    const { lengthBytes } = this.#sha256;
    return { lengthBytes, sha256: this.#sha256.finish(), crc32: this.#crc32.finish() };
  }
}
