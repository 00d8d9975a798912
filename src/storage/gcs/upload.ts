import { BodyDigest } from '../body-digest.ts';
import { type RunningChecksum, runningChecksum } from '../checksum.ts';
import type { CreateOptions, CreateOutcome } from '../object-store.ts';
import { type Cut, cutParts, sendCut } from '../parts.ts';
import { type Bucket, libraryBucket, persistently } from './bucket.ts';
import { putChunks } from './resumable.ts';
import { checkCreated, crcOf, orExists, resourceOf, type Upload, WHERE_NONE_IS } from './task.ts';

/** Size of the chunks of an upload, and of the largest object that goes in one request; a multiple of 256 KiB. */
export const CHUNK_BYTES = 6 * 1024 * 1024;
/** The library's validation deletes what differs; the server's own, and ours, do not. */
const ONE_REQUEST = { resumable: false, validation: false } as const;

/**
 * Creates an object with `ifGenerationMatch=0`: in one request where it fits into one chunk, else by
 * a resumable upload in chunks. Either way the CRC-32C of the whole goes with it, so that the server
 * refuses other bytes.
 * @throws what the body throws; refused, unavailable, config, corrupt `BodyLengthDiffers`, `StoredDiffers`
 */
export async function upload(
  bucket: Bucket,
  objectKey: string,
  body: AsyncIterable<Uint8Array>,
  options: CreateOptions,
): Promise<CreateOutcome> {
  const crc32c = await runningChecksum('crc32c');
  const task: Upload = { bucket, objectKey, options, digest: new BodyDigest(), crc32c };
  const parts = cutParts(passing(task.digest.watch(body, options.signal), crc32c), inTwoBlocks(options));
  return sendCut(parts, {
    options,
    digest: task.digest,
    whole: (bytes) => putWhole(task, bytes),
    parts: (first, rest) => putChunks(task, first, rest),
  });
}

/**
 * The chunks of one upload take turns in two blocks of memory: while one is sent, the next is
 * gathered, and the one before is with the store. A small object has no more than it needs.
 */
function inTwoBlocks({ lengthBytes }: CreateOptions): Cut {
  const blocks: Buffer[] = [];
  const blockOf = (number: number): Buffer => {
    const block =
      blocks[number % 2] ?? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, lengthBytes ?? Infinity));
    blocks[number % 2] = block;
    return block;
  };
  return { sizeOf: () => CHUNK_BYTES, blockOf };
}

async function* passing(
  body: AsyncIterable<Uint8Array>,
  crc32c: RunningChecksum,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    crc32c.update(chunk);
    yield chunk;
  }
}

async function putWhole(task: Upload, bytes: Buffer): Promise<'created' | 'exists'> {
  const { bucket, objectKey, options, digest } = task;
  digest.checkLength(objectKey, options.lengthBytes);
  const sending = () => persistently(bucket, options.signal, () => putOnce(task, bytes));
  const status = await orExists(task, sending);
  if (status === 'created') options.onProgress?.(bytes.length);
  return status;
}

async function putOnce(task: Upload, bytes: Buffer): Promise<'created'> {
  const { bucket, objectKey, options } = task;
  const failure: unknown[] = [];
  const extras = { signal: options.signal, onFailure: (error: unknown) => failure.push(error) };
  const file = libraryBucket(bucket, extras).file(objectKey);
  const metadata = { ...resourceOf(task), crc32c: crcOf(task) };
  try {
    await file.save(bytes, { ...WHERE_NONE_IS, ...ONE_REQUEST, metadata });
  } catch (error) {
    throw failure[0] ?? error;
  }
  checkCreated(task, file.metadata);
  return 'created';
}
