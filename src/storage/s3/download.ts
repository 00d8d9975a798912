import type { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ObjectRange } from '../bucket-store.ts';
import { objectMissing, storeUnreachable } from '../refusals.ts';
import { type Answer, replacedWhileRead, resumedRead } from '../resumed-read.ts';
import { type Bucket, withSignal } from './bucket.ts';
import { s3Error, s3Failure } from './errors.ts';

interface Download extends ObjectRange {
  readonly bucket: Bucket;
}

/**
 * Streams an object or a range of it; what is asked for again is of the same object (`If-Match`).
 * @throws refused `ObjectMissing`, `StoreDenied`; and as `resumedRead`
 */
export function download(task: Download): AsyncGenerator<Uint8Array> {
  const { location, idleMs } = task.bucket;
  return resumedRead({ ...task, location, idleMs, ask: (offset, etag) => ask(task, offset, etag) });
}

/** Sends a request; undefined where the range begins behind the end of the object. */
async function ask(task: Download, offset: number, etag: string | undefined): Promise<Answer | undefined> {
  const { bucket, key, objectKey, end, signal } = task;
  const ranged = offset > 0 || end !== Number.POSITIVE_INFINITY;
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: objectKey,
    ...(ranged ? { Range: `bytes=${offset}-${end === Number.POSITIVE_INFINITY ? '' : end - 1}` } : {}),
    ...(etag === undefined ? {} : { IfMatch: etag }),
  });
  try {
    return answerOf(task, offset, await bucket.client.send(command, withSignal(signal)));
  } catch (error) {
    const { code, status } = s3Failure(error);
    if (status === 416 || code === 'InvalidRange') return undefined;
    if (status === 412) throw replacedWhileRead(bucket.location, key);
    if (code === 'NoSuchKey') throw objectMissing(bucket.location, key);
    throw s3Error(bucket.location, 's3:GetObject', error, signal);
  }
}

function answerOf(task: Download, offset: number, output: GetObjectCommandOutput): Answer {
  const { Body, ContentLength, ETag } = output;
  if (Body === undefined || ContentLength === undefined) {
    throw storeUnreachable(task.bucket.location, 'it answered without a body or its length');
  }
  // In Node the SDK's body is the response itself.
  return { body: Body as Readable, endsAt: offset + ContentLength, version: ETag, checksum: null };
}
