import { PutObjectCommand } from '@aws-sdk/client-s3';
import { LentMemory } from '../../process/lent-memory.ts';
import { BodyDigest } from '../body-digest.ts';
import { crcToBase64 } from '../checksum.ts';
import type { CreateOptions, CreateOutcome } from '../object-store.ts';
import { type Cut, cutParts, sendCut } from '../parts.ts';
import { abortLeftBehind } from './abort.ts';
import { type Bucket, withSignal } from './bucket.ts';
import { createdOrExists } from './conflict.ts';
import { s3Error } from './errors.ts';
import { putParts } from './multipart.ts';
import { partBytes } from './parts.ts';
import type { Upload } from './task.ts';

/**
 * Creates an object with `If-None-Match: *`: in one request where it fits into one part, else in
 * parts with a CRC-32 of the whole.
 * @throws what the body throws; refused, unavailable, corrupt `BodyLengthDiffers`
 */
export function upload(
  bucket: Bucket,
  objectKey: string,
  body: AsyncIterable<Uint8Array>,
  options: CreateOptions,
): Promise<CreateOutcome> {
  const task: Upload = { bucket, objectKey, options, digest: new BodyDigest(), memory: new LentMemory() };
  const parts = cutParts(task.digest.watch(body, options.signal), cutOf(task));
  return sendCut(parts, {
    options,
    digest: task.digest,
    async whole(bytes) {
      await abortLeftBehind(bucket);
      return putWhole(task, bytes);
    },
    async parts(first, rest) {
      await abortLeftBehind(bucket);
      return putParts(task, first, rest);
    },
  });
}

/** Parts are gathered in memory that they give back when they are sent; a small object has no more than it needs. */
function cutOf({ options, memory }: Upload): Cut {
  const lengthBytes = options.lengthBytes ?? null;
  const sizeOf = (number: number) => partBytes(number, lengthBytes);
  return { sizeOf, blockOf: (number) => memory.take(Math.min(sizeOf(number), lengthBytes ?? Infinity)) };
}

async function putWhole(task: Upload, bytes: Buffer): Promise<'created' | 'exists'> {
  const { bucket, objectKey, options, digest } = task;
  digest.checkLength(objectKey, options.lengthBytes);
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: objectKey,
    Body: bytes,
    ContentLength: bytes.length,
    ChecksumCRC32: crcToBase64(digest.crc32),
    IfNoneMatch: '*',
    Metadata: { ...options.metadata },
  });
  try {
    const send = () => bucket.client.send(command, withSignal(options.signal));
    const status = await createdOrExists(task, send);
    if (status === 'created') options.onProgress?.(bytes.length);
    return status;
  } catch (error) {
    throw s3Error(bucket.location, 's3:PutObject', error, options.signal);
  }
}
