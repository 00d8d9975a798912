import { crc32 } from 'node:zlib';
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { crcToBase64 } from '../checksum.ts';
import type { Part } from '../parts.ts';
import { storeUnreachable } from '../refusals.ts';
import { abort, abortAfter } from './abort.ts';
import { withSignal } from './bucket.ts';
import { createdOrExists } from './conflict.ts';
import { s3Error, s3Failure } from './errors.ts';
import { partsInFlight } from './parts.ts';
import type { Upload } from './task.ts';

/**
 * Uploads an object in parts, some at a time. Nothing is visible before the end; a failure aborts
 * the upload, at once or when the store is back, so that no part stays. A crash leaves parts, invisible, to the
 * bucket's lifecycle rule.
 */
export async function putParts(
  task: Upload,
  first: Part,
  rest: AsyncIterable<Part>,
): Promise<'created' | 'exists'> {
  const uploadId = await begin(task);
  let status: 'created' | 'exists';
  try {
    const parts = await sendParts(task, uploadId, first, rest);
    task.digest.checkLength(task.objectKey, task.options.lengthBytes);
    status = await complete(task, uploadId, parts);
  } catch (error) {
    throw await abortAfter(task.bucket, { objectKey: task.objectKey, uploadId }, error);
  }
  if (status === 'exists') await abort(task.bucket, { objectKey: task.objectKey, uploadId });
  return status;
}

async function begin({ bucket, objectKey, options }: Upload): Promise<string> {
  const command = new CreateMultipartUploadCommand({
    Bucket: bucket.name,
    Key: objectKey,
    ChecksumAlgorithm: 'CRC32',
    ChecksumType: 'FULL_OBJECT',
    Metadata: { ...options.metadata },
  });
  try {
    const { UploadId } = await bucket.client.send(command, withSignal(options.signal));
    if (UploadId !== undefined) return UploadId;
  } catch (error) {
    throw s3Error(bucket.location, 's3:PutObject', error, options.signal);
  }
  throw storeUnreachable(bucket.location, 'it began an upload without naming it');
}

/** Sends all parts; when this throws, none is under way any more. */
async function sendParts(
  task: Upload,
  uploadId: string,
  first: Part,
  rest: AsyncIterable<Part>,
): Promise<readonly CompletedPart[]> {
  const cancel = new AbortController();
  const completed: CompletedPart[] = [];
  // A failed part stays in here, so that the next wait throws its error.
  const running = new Set<Promise<void>>();
  let acknowledgedBytes = 0;
  const start = (part: Part): void => {
    const sending: Promise<void> = sendPart(task, uploadId, part, cancel.signal).then((done) => {
      running.delete(sending);
      task.memory.giveBack(part.bytes);
      completed[part.number - 1] = done;
      acknowledgedBytes += part.bytes.length;
      task.options.onProgress?.(acknowledgedBytes);
    });
    sending.catch(() => undefined);
    running.add(sending);
  };
  try {
    start(first);
    for await (const part of rest) {
      while (running.size >= partsInFlight(part.bytes.length)) await Promise.race(running);
      start(part);
    }
    await Promise.all(running);
    return completed;
  } catch (error) {
    cancel.abort();
    await Promise.allSettled(running);
    throw error;
  }
}

async function sendPart(
  { bucket, objectKey, options }: Upload,
  uploadId: string,
  { number, bytes }: Part,
  cancel: AbortSignal,
): Promise<CompletedPart> {
  const checksum = crcToBase64(crc32(bytes).toString(16).padStart(8, '0'));
  const command = new UploadPartCommand({
    Bucket: bucket.name,
    Key: objectKey,
    UploadId: uploadId,
    PartNumber: number,
    Body: bytes,
    ContentLength: bytes.length,
    ChecksumCRC32: checksum,
  });
  const abortSignal = options.signal === undefined ? cancel : AbortSignal.any([options.signal, cancel]);
  try {
    const { ETag } = await bucket.client.send(command, { abortSignal });
    if (ETag === undefined) throw storeUnreachable(bucket.location, `it took part ${number} without an ETag`);
    return { PartNumber: number, ETag, ChecksumCRC32: checksum };
  } catch (error) {
    throw s3Error(bucket.location, 's3:PutObject', error, options.signal);
  }
}

/** Makes the object of its parts. S3 may answer 200 with an error inside; the client throws that. */
async function complete(
  task: Upload,
  uploadId: string,
  parts: readonly CompletedPart[],
): Promise<'created' | 'exists'> {
  const { bucket, objectKey, options, digest } = task;
  const command = new CompleteMultipartUploadCommand({
    Bucket: bucket.name,
    Key: objectKey,
    UploadId: uploadId,
    MultipartUpload: { Parts: [...parts] },
    ChecksumType: 'FULL_OBJECT',
    ChecksumCRC32: crcToBase64(digest.crc32),
    MpuObjectSize: digest.lengthBytes,
    IfNoneMatch: '*',
  });
  try {
    return await createdOrExists(task, () => bucket.client.send(command, withSignal(options.signal)));
  } catch (error) {
    if (s3Failure(error).code === 'NoSuchUpload') {
      throw storeUnreachable(bucket.location, 'the upload was ended by somebody else');
    }
    throw s3Error(bucket.location, 's3:PutObject', error, options.signal);
  }
}
