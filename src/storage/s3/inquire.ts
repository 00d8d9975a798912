import { HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { crcFromBase64 } from '../checksum.ts';
import type { ListedObject, ObjectInfo } from '../object-store.ts';
import { storeUnreachable } from '../refusals.ts';
import { type Bucket, withSignal } from './bucket.ts';
import { s3Error, s3Failure } from './errors.ts';

/** What the store says of an object; undefined where there is none. @throws as `ObjectStore.head` */
export async function readInfo(
  bucket: Bucket,
  objectKey: string,
  signal: AbortSignal | undefined,
): Promise<Omit<ObjectInfo, 'key'> | undefined> {
  const command = new HeadObjectCommand({ Bucket: bucket.name, Key: objectKey, ChecksumMode: 'ENABLED' });
  try {
    const answer = await bucket.client.send(command, withSignal(signal));
    const { ChecksumType, ChecksumCRC32 } = answer;
    const whole = ChecksumType !== 'COMPOSITE' && ChecksumCRC32 !== undefined;
    return {
      lengthBytes: answer.ContentLength ?? 0,
      metadata: answer.Metadata ?? {},
      checksum: whole ? { kind: 'crc32', hex: crcFromBase64(ChecksumCRC32) } : null,
    };
  } catch (error) {
    // An answer to HEAD has no body: a bucket that is missing looks like a missing object here.
    const { code, status } = s3Failure(error);
    if (status === 404 && code !== 'NoSuchBucket') return undefined;
    throw s3Error(bucket.location, 's3:GetObject', error, signal);
  }
}

/** The keys that start with a prefix. @throws as `ObjectStore.list` */
export async function* list(
  bucket: Bucket,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  for (let token: string | undefined, more = true; more; ) {
    const command = new ListObjectsV2Command({
      Bucket: bucket.name,
      Prefix: prefix,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await pageOf(bucket, command, signal);
    for (const { Key, Size } of page.Contents ?? []) {
      if (Key !== undefined) yield { key: Key, lengthBytes: Size ?? 0 };
    }
    token = page.NextContinuationToken;
    more = page.IsTruncated === true;
    if (more && token === undefined) throw storeUnreachable(bucket.location, 'it cut a listing short');
  }
}

async function pageOf(bucket: Bucket, command: ListObjectsV2Command, signal: AbortSignal | undefined) {
  try {
    return await bucket.client.send(command, withSignal(signal));
  } catch (error) {
    throw s3Error(bucket.location, 's3:ListBucket', error, signal);
  }
}
