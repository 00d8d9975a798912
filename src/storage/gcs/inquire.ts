import { z } from 'zod';
import { crcFromBase64 } from '../checksum.ts';
import type { ListedObject, ObjectInfo } from '../object-store.ts';
import { storeUnreachable } from '../refusals.ts';
import { apiUrl, type Bucket, jsonOrNull, objectPath, persistently, send, unexpected } from './bucket.ts';
import { gcsError, gcsFailure, isBucketMissing } from './errors.ts';
import { textOf } from './http.ts';

const lengthSchema = z.string().regex(/^\d+$/).transform(Number).refine(Number.isSafeInteger);
const objectSchema = z.object({
  name: z.string(),
  size: lengthSchema,
  crc32c: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
/** As many as GCS gives at most. */
const PAGE_OBJECTS = 1000;
/** With its kind, or any document without items would pass for an empty listing. */
const pageSchema = z.object({
  kind: z.literal('storage#objects'),
  items: z.array(z.object({ name: z.string(), size: lengthSchema })).default([]),
  nextPageToken: z.string().min(1).optional(),
});

/** What the store says of an object; undefined where there is none. @throws as `ObjectStore.head` */
export async function readInfo(
  bucket: Bucket,
  objectKey: string,
  signal: AbortSignal | undefined,
): Promise<Omit<ObjectInfo, 'key'> | undefined> {
  try {
    const url = apiUrl(bucket, objectPath(bucket, objectKey), {});
    const { size, metadata = {}, crc32c } = await inquire(bucket, url, objectSchema, signal);
    const checksum = crc32c === undefined ? null : ({ kind: 'crc32c', hex: crcFromBase64(crc32c) } as const);
    return { lengthBytes: size, metadata, checksum };
  } catch (error) {
    const failure = gcsFailure(error);
    if (failure.status === 404 && !isBucketMissing(failure)) return undefined;
    throw gcsError(bucket.location, 'storage.objects.get', error, signal);
  }
}

export interface ListedPage {
  readonly objects: readonly ListedObject[];
  /** Null where this is the last. */
  readonly nextToken: string | null;
}

/** One page of the keys that start with a prefix. @throws as `ObjectStore.list` */
export async function listPage(
  bucket: Bucket,
  prefix: string,
  token: string | null,
  signal: AbortSignal | undefined,
): Promise<ListedPage> {
  const url = apiUrl(bucket, `/storage/v1/b/${encodeURIComponent(bucket.name)}/o`, {
    prefix,
    maxResults: String(PAGE_OBJECTS),
    fields: 'kind,items(name,size),nextPageToken',
    ...(token === null ? {} : { pageToken: token }),
  });
  try {
    const { items, nextPageToken } = await inquire(bucket, url, pageSchema, signal);
    const objects = items.map(({ name, size }) => ({ key: name, lengthBytes: size }));
    return { objects, nextToken: nextPageToken ?? null };
  } catch (error) {
    throw gcsError(bucket.location, 'storage.objects.list', error, signal);
  }
}

async function inquire<T>(
  bucket: Bucket,
  url: string,
  schema: z.ZodType<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const text = await persistently(bucket, signal, async () => {
    const answer = await send(bucket, { method: 'GET', url, headers: {}, body: [], signal });
    if (answer.statusCode !== 200) throw await unexpected(answer);
    return textOf(answer);
  });
  const decoded = schema.safeParse(jsonOrNull(text));
  if (decoded.success) return decoded.data;
  throw storeUnreachable(bucket.location, 'it answered with something else than was asked for');
}
