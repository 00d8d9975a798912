import { createReadStream } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import type { RepositoryId } from '../domain/identity.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import { open } from '../envelope/open.ts';
import { type Checksum, runningChecksum } from '../storage/checksum.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { storedDiffers } from '../storage/refusals.ts';
import type { SealedSegment } from './facts-file.ts';
import { segmentContext } from './seal-context.ts';
import { type LogRef, stagedFiles } from './staging.ts';

/** So much of a log is decrypted and compared. */
const BEGINNING_BYTES = 8 * 1024;

export interface VerifyBeginningOptions {
  readonly stagingDir: string;
  readonly log: LogRef;
  readonly store: ObjectStore;
  readonly repositoryId: RepositoryId;
  readonly key: EnvelopeKey;
  readonly signal: AbortSignal;
}

/**
 * Proves a stored log by what costs little: the first 8 KiB are read, decrypted and compared with the
 * staged log, and length and checksum of the whole are those that the store tells. What the store keeps
 * no checksum of is proven by its length alone; `verify: full` reads it.
 *
 * @throws corrupt `StoredDiffers` and what `open` finds; refused `ObjectMissing`, `WrongKey`; unavailable
 */
export async function verifyBeginning(sealed: SealedSegment, options: VerifyBeginningOptions): Promise<void> {
  const { store, log, stagingDir, signal } = options;
  const { key: objectKey, lengthBytes } = sealed.object;
  const files = stagedFiles(stagingDir, log);
  const differs = (detail: string) => storedDiffers(store.location, objectKey, detail);
  const info = await store.head(objectKey, { signal });
  if (info === undefined) throw differs('it is not there');
  if (info.lengthBytes !== lengthBytes) {
    throw differs(`it has ${info.lengthBytes} bytes where ${lengthBytes} were stored`);
  }
  const { checksum } = info;
  if (checksum !== null) {
    const sent = await checksumOf(files.sealed, checksum.kind, signal);
    if (checksum.hex !== sent) {
      throw differs(`the store keeps the checksum ${checksum.hex} for it where ${sent} was stored`);
    }
  }
  const [found, expected] = [await openedBeginning(sealed, options), await readBeginning(files.log)];
  if (!found.equals(expected)) throw differs(`its first ${expected.length} bytes are others, opened`);
}

async function openedBeginning(sealed: SealedSegment, options: VerifyBeginningOptions): Promise<Buffer> {
  const { store, log, repositoryId, key, signal } = options;
  const plaintext = open(store.read(sealed.object.key, { signal }), {
    key,
    context: { ...segmentContext(log, repositoryId), plaintextSha256: sealed.segment.sha256 },
    plaintextBytes: sealed.segment.lengthBytes,
    signal,
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of plaintext) {
    // A copy: the chunk's memory may be used again.
    chunks.push(Uint8Array.from(chunk.subarray(0, BEGINNING_BYTES)));
    bytes += chunk.length;
    if (bytes >= BEGINNING_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, BEGINNING_BYTES);
}

async function readBeginning(path: string): Promise<Buffer> {
  const file = await openFile(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function checksumOf(path: string, kind: Checksum['kind'], signal: AbortSignal): Promise<string> {
  const checksum = await runningChecksum(kind);
  for await (const chunk of createReadStream(path, { signal })) checksum.update(chunk as Uint8Array);
  return checksum.finish();
}
